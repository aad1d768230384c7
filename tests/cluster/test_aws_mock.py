"""cluster.yaml on moto's mock of AWS, through Ray's own bootstrap and creation of machines.

The mock knows neither the resources nor the conditions of rights, and runs no machines.
"""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

boto3 = pytest.importorskip("boto3", reason="boto3 isn't installed (the dev extra has it)")
moto = pytest.importorskip("moto", reason="moto isn't installed (the dev extra has it)")

from botocore.exceptions import ClientError, ParamValidationError  # noqa: E402
from moto.core import set_initial_no_auth_action_count  # noqa: E402
from moto.ec2.models.instance_types import InstanceTypeBackend  # noqa: E402
from ray.autoscaler._private.aws import config as aws_config  # noqa: E402
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider  # noqa: E402
from ray.autoscaler._private.aws.utils import client_cache, resource_cache  # noqa: E402
from ray.autoscaler._private.commands import _bootstrap_config  # noqa: E402
from ray.autoscaler._private.util import prepare_config, validate_config  # noqa: E402
from ray.autoscaler.tags import TAG_RAY_NODE_KIND  # noqa: E402

ROOT = Path(__file__).parents[2]
WORLD = {"0.0.0.0/0", "::/0"}
ARGUMENTS = ["--ssh-from", "203.0.113.7/32", "--bucket", "data", "--region", "us-west-2"]
Config = dict[str, Any]


@pytest.fixture(scope="module")
def aws_access() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts" / "cluster"))
        yield pytest.importorskip("aws_access")


class Account:
    """An account in which aws_access.py has run; what it printed is filled in."""

    def __init__(self, aws_access: Any) -> None:
        filled = aws_access.main(ARGUMENTS)
        self.ec2, self.iam = boto3.client("ec2", "us-west-2"), boto3.client("iam")
        image = self.ec2.register_image(Name="Ubuntu", RootDeviceName="/dev/sda1")["ImageId"]
        filled |= {"ami-FILL-IN-head": image, "ami-FILL-IN-worker": image}
        text = (ROOT / "cluster.yaml").read_text()
        for placeholder, value in filled.items():
            assert placeholder in text
            text = text.replace(placeholder, value)
        self.config: Config = yaml.safe_load(text)
        assert "FILL-IN" not in str(self.config)

    def bootstrap(self) -> Config:
        """Do as `ray up`, without asking what types of machines there are: it takes seconds."""
        prepared = prepare_config(self.config)
        validate_config(prepared)
        return dict(aws_config.bootstrap_aws(prepared))

    def launch(self, ready: Config) -> list[Config]:
        """Start a machine of each type and return all there are."""
        provider = AWSNodeProvider(ready["provider"], ready["cluster_name"])
        for name, kind in ready["available_node_types"].items():
            head = ready["head_node"] if name == ready["head_node_type"] else {}
            tags = {TAG_RAY_NODE_KIND: name}
            provider.create_node({**head, **kind["node_config"]}, tags, 1)
        reservations = self.ec2.describe_instances()["Reservations"]
        return [each for reservation in reservations for each in reservation["Instances"]]

    def disks(self, machine: Config) -> list[Config]:
        ids = [each["Ebs"]["VolumeId"] for each in machine["BlockDeviceMappings"]]
        return list(self.ec2.describe_volumes(VolumeIds=ids)["Volumes"])

    def groups(self) -> set[str]:
        found = self.ec2.describe_security_groups()["SecurityGroups"]
        return {each["GroupName"] for each in found if each["GroupName"] != "default"}

    def roles(self) -> set[str]:
        return {each["RoleName"] for each in self.iam.list_roles()["Roles"]}

    def open_to_the_world(self, machines: list[Config]) -> list[int]:
        """Return the ports of these machines that anybody may reach."""
        ids = {group["GroupId"] for each in machines for group in each["SecurityGroups"]}
        groups = self.ec2.describe_security_groups(GroupIds=sorted(ids))["SecurityGroups"]
        rules = [rule for group in groups for rule in group["IpPermissions"]]
        return [
            rule.get("FromPort", -1)
            for rule in rules
            for source in (*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", []))
            if {source.get("CidrIp"), source.get("CidrIpv6")} & WORLD
        ]

    def attached_policies(self) -> list[str]:
        """Return the policies of AWS's own that roles have."""
        attached = [self.iam.list_attached_role_policies(RoleName=each) for each in self.roles()]
        return sorted(p["PolicyName"] for each in attached for p in each["AttachedPolicies"])


def _types_of(config: Config) -> list[Config]:
    """Return the cluster's types of machines; to tell of all that the mock knows takes seconds."""
    kinds = config["available_node_types"].values()
    names = {kind["node_config"]["InstanceType"] for kind in kinds}
    return [each for each in InstanceTypeBackend.instance_types if each["InstanceType"] in names]


@contextmanager
def _mocked(home: Path, aws_access: Any, *, managed: bool = False) -> Iterator[Account]:
    caches = (resource_cache, client_cache, aws_config._get_subnets_or_die)
    policies = {"iam": {"load_aws_managed_policies": managed}}
    with pytest.MonkeyPatch.context() as patch, moto.mock_aws(config=policies):
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        patch.setenv("HOME", str(home))
        patch.setenv("AWS_ACCESS_KEY_ID", "none")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        patch.setattr(aws_config.time, "sleep", lambda seconds: None)
        for cache in caches:
            cache.cache_clear()
        yield Account(aws_access)
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def account(tmp_path: Path, aws_access: Any) -> Iterator[Account]:
    with _mocked(tmp_path, aws_access) as account:
        yield account


@dataclass(frozen=True)
class Launched:
    """What there is after `ray up` and the start of one worker."""

    ready: Config
    head: Config
    worker: Config
    disks: list[Config]
    groups: set[str]
    roles: set[str]
    attached_policies: list[str]
    open_to_the_world: list[int]
    key_mode: int


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory, aws_access: Any) -> Launched:
    home = tmp_path_factory.mktemp("home")
    with _mocked(home, aws_access) as account, pytest.MonkeyPatch.context() as patch:
        patch.setattr(InstanceTypeBackend, "instance_types", _types_of(account.config))
        ready = _bootstrap_config(account.config, no_config_cache=True)
        head, worker = machines = account.launch(ready)
        return Launched(
            ready=ready,
            head=head,
            worker=worker,
            disks=[disk for machine in machines for disk in account.disks(machine)],
            groups=account.groups(),
            roles=account.roles(),
            attached_policies=account.attached_policies(),
            open_to_the_world=account.open_to_the_world(machines),
            key_mode=(home / ".ssh" / "sieve.pem").stat().st_mode,
        )


def test_the_head_stays_and_workers_are_spot(launched: Launched) -> None:
    assert "InstanceLifecycle" not in launched.head
    assert launched.worker["InstanceLifecycle"] == "spot"


def test_a_worker_has_several_gpus_and_the_head_runs_no_trials(launched: Launched) -> None:
    types = launched.ready["available_node_types"]
    assert types["worker"]["resources"]["GPU"] == 4
    assert types["worker"]["resources"]["CPU"] == 48
    assert (types["head"]["resources"]["CPU"], types["head"]["resources"]["GPU"]) == (0, 0)


def test_the_metadata_want_a_token(launched: Launched) -> None:
    for machine in (launched.head, launched.worker):
        assert machine["MetadataOptions"]["HttpTokens"] == "required"


def test_disks_are_encrypted(launched: Launched) -> None:
    assert len(launched.disks) == 2
    assert all(disk["Encrypted"] for disk in launched.disks)


def test_no_port_is_open_to_the_world(launched: Launched) -> None:
    assert launched.open_to_the_world == []
    assert launched.groups == {"sieve-cluster", "sieve-ssh"}
    used = [
        {group["GroupName"] for group in machine["SecurityGroups"]}
        for machine in (launched.head, launched.worker)
    ]
    assert used == [{"sieve-cluster", "sieve-ssh"}, {"sieve-cluster"}]


def test_no_role_has_full_access(launched: Launched) -> None:
    assert launched.roles == {"sieve-head", "sieve-worker"}
    assert launched.attached_policies == []
    for machine, role in ((launched.head, "sieve-head"), (launched.worker, "sieve-worker")):
        assert machine["IamInstanceProfile"]["Arn"].endswith(f"/{role}")


def test_the_key_is_the_cluster_s_own_and_nobody_else_reads_it(launched: Launched) -> None:
    assert {launched.head["KeyName"], launched.worker["KeyName"]} == {"sieve"}
    assert launched.key_mode & 0o077 == 0


def test_without_groups_ray_would_let_the_world_in(account: Account) -> None:
    for kind in account.config["available_node_types"].values():
        del kind["node_config"]["SecurityGroupIds"]
    assert account.open_to_the_world(account.launch(account.bootstrap())) == [22]


def test_without_a_profile_ray_would_give_the_head_full_access(
    tmp_path: Path, aws_access: Any
) -> None:
    with _mocked(tmp_path, aws_access, managed=True) as account:
        del account.config["available_node_types"]["head"]["node_config"]["IamInstanceProfile"]
        account.bootstrap()
        assert account.attached_policies() == ["AmazonEC2FullAccess", "AmazonS3FullAccess"]


def test_an_unknown_key_of_a_machine_is_refused(account: Account) -> None:
    account.config["available_node_types"]["worker"]["node_config"]["Metadata"] = {}
    with pytest.raises(ParamValidationError, match="Metadata"):
        account.launch(account.bootstrap())


def _actions_alone(policy: Config) -> str:
    statements = [
        {"Effect": "Allow", "Action": each["Action"], "Resource": "*"}
        for each in policy["Statement"]
    ]
    return json.dumps({"Version": policy["Version"], "Statement": statements})


def _as_role(account: Account, role: str) -> dict[str, str]:
    """Return keys of a role that has its actions, without the bounds that the mock can't check."""
    named = {"RoleName": role, "PolicyName": "sieve"}
    policy = _actions_alone(account.iam.get_role_policy(**named)["PolicyDocument"])
    account.iam.put_role_policy(**named, PolicyDocument=policy)
    arn = account.iam.get_role(RoleName=role)["Role"]["Arn"]
    given = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName=role)["Credentials"]
    names = {"access_key_id": "AccessKeyId", "secret_access_key": "SecretAccessKey"}
    names |= {"session_token": "SessionToken"}
    return {f"aws_{name}": given[key] for name, key in names.items()}


def test_the_head_s_rights_are_enough_to_run_the_workers(account: Account) -> None:
    ready, keys = account.bootstrap(), _as_role(account, "sieve-head")
    worker = ready["available_node_types"]["worker"]["node_config"]
    provider = AWSNodeProvider(ready["provider"] | {"aws_credentials": keys}, "sieve")

    @set_initial_no_auth_action_count(0)
    def as_the_head() -> None:
        (node,) = provider.create_node(worker, {TAG_RAY_NODE_KIND: "worker"}, 1)
        assert provider.non_terminated_nodes({}) == [node]
        provider.set_node_tags(node, {"ray-node-status": "up-to-date"})
        provider.terminate_nodes([node])
        assert provider.non_terminated_nodes({}) == []

    as_the_head()


def test_nobody_can_open_a_port_or_make_a_user(account: Account) -> None:
    clients = [
        {name: boto3.client(name, "us-west-2", **keys) for name in ("ec2", "iam")}
        for keys in (_as_role(account, role) for role in ("sieve-head", "sieve-worker"))
    ]

    @set_initial_no_auth_action_count(0)
    def as_the_roles() -> None:
        for client in clients:
            with pytest.raises(ClientError, match="not authorized"):
                client["ec2"].create_security_group(GroupName="open", Description="open")
            with pytest.raises(ClientError, match="not authorized"):
                client["iam"].create_user(UserName="another")

    as_the_roles()


def test_rights_are_bounded(account: Account) -> None:
    for role in account.roles():
        policy = account.iam.get_role_policy(RoleName=role, PolicyName="sieve")["PolicyDocument"]
        for statement in policy["Statement"]:
            assert all("*" not in action for action in statement["Action"])
            unbounded = statement["Resource"] == "*" and "Condition" not in statement
            assert not unbounded or statement["Action"] == [
                "ec2:DescribeInstances",
                "ec2:RunInstances",
            ]


def test_making_the_access_again_changes_nothing(account: Account, aws_access: Any) -> None:
    before = (account.groups(), account.roles())
    rules = copy.deepcopy(account.ec2.describe_security_group_rules()["SecurityGroupRules"])
    aws_access.main(ARGUMENTS)
    assert (account.groups(), account.roles()) == before
    assert account.ec2.describe_security_group_rules()["SecurityGroupRules"] == rules


@pytest.mark.parametrize("network", ["0.0.0.0/0", "0.0.0.0/1", "here", "203.0.113.7/8"])
def test_a_network_that_is_none_or_all_the_world_is_refused(
    network: str, aws_access: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        aws_access.main(["--ssh-from", network])
    assert "--ssh-from" in capsys.readouterr().err
