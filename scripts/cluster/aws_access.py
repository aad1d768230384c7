"""Make what cluster.yaml needs on AWS, with the fewest rights, and print what to fill in.

    python scripts/cluster/aws_access.py --ssh-from 203.0.113.7/32 --bucket my-data

makes two security groups (all traffic between the cluster's machines; SSH to the head from that
network), a role for the head (start, tag and end this cluster's machines) and one for the workers,
both with the bucket's objects. What is there already is kept, its rights are set again.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

CLUSTER = "sieve"
HEAD, WORKER = f"{CLUSTER}-head", f"{CLUSTER}-worker"
"""Names of the roles and of their instance profiles."""
Statement = dict[str, Any]


def head_statements(worker_arn: str, cluster: str = CLUSTER) -> list[Statement]:
    """Return what the head's autoscaler may do: run its cluster's machines, and nothing else."""
    machines = "arn:aws:ec2:*:*:instance/*"
    ours = {"StringEquals": {"ec2:ResourceTag/ray-cluster-name": cluster}}
    launched = {"StringEquals": {"ec2:CreateAction": "RunInstances"}}
    passed = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    return [
        _allow(["ec2:DescribeInstances", "ec2:RunInstances"], "*"),
        _allow(["ec2:CreateTags"], machines, launched),
        _allow(["ec2:CreateTags", "ec2:TerminateInstances"], machines, ours),
        _allow(["iam:PassRole"], worker_arn, passed),
    ]


def bucket_statements(bucket: str | None) -> list[Statement]:
    """Return the rights to read and write a bucket's objects; none without a bucket."""
    if bucket is None:
        return []
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    return [
        _allow(["s3:ListBucket"], f"arn:aws:s3:::{bucket}"),
        _allow(objects, f"arn:aws:s3:::{bucket}/*"),
    ]


def _allow(actions: list[str], resource: str, condition: Statement | None = None) -> Statement:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def make_groups(ec2: Any, vpc: str, network: str) -> dict[str, str]:
    """Make the two security groups and return their ids by the name in cluster.yaml."""
    cluster = _group(ec2, vpc, f"{CLUSTER}-cluster", "Traffic between the cluster's machines")
    _open(ec2, cluster, {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": cluster}]})
    ssh = _group(ec2, vpc, f"{CLUSTER}-ssh", "SSH to the head")
    port = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    _open(ec2, ssh, port | {"IpRanges": [{"CidrIp": network}]})
    return {"sg-FILL-IN-cluster": cluster, "sg-FILL-IN-ssh": ssh}


def _group(ec2: Any, vpc: str, name: str, description: str) -> str:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [name]}]
    found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    if found:
        return str(found[0]["GroupId"])
    made = ec2.create_security_group(GroupName=name, Description=description, VpcId=vpc)
    return str(made["GroupId"])


def _open(ec2: Any, group: str, permission: dict[str, Any]) -> None:
    opening = {"GroupId": group, "IpPermissions": [permission]}
    _unless_there("InvalidPermission.Duplicate", ec2.authorize_security_group_ingress, opening)


def _unless_there(code: str, call: Callable[..., Any], arguments: dict[str, Any]) -> None:
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


def make_roles(iam: Any, bucket: str | None) -> None:
    """Make the two roles and their instance profiles."""
    worker_arn = _role(iam, WORKER)
    _role(iam, HEAD)
    _grant(iam, HEAD, head_statements(worker_arn) + bucket_statements(bucket))
    _grant(iam, WORKER, bucket_statements(bucket))


def _role(iam: Any, name: str) -> str:
    trust = _allow(["sts:AssumeRole"], "") | {"Principal": {"Service": "ec2.amazonaws.com"}}
    del trust["Resource"]
    role = {"RoleName": name, "AssumeRolePolicyDocument": _document([trust])}
    profile = {"InstanceProfileName": name}
    _unless_there("EntityAlreadyExists", iam.create_role, role)
    _unless_there("EntityAlreadyExists", iam.create_instance_profile, profile)
    joined = profile | {"RoleName": name}
    _unless_there("LimitExceeded", iam.add_role_to_instance_profile, joined)
    return str(iam.get_role(RoleName=name)["Role"]["Arn"])


def _grant(iam: Any, role: str, statements: list[Statement]) -> None:
    policy = {"RoleName": role, "PolicyName": CLUSTER}
    if statements:
        iam.put_role_policy(**policy, PolicyDocument=_document(statements))
    else:
        _unless_there("NoSuchEntity", iam.delete_role_policy, policy)


def _document(statements: list[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def default_vpc(ec2: Any) -> str:
    """Return the region's default network.

    Raises:
        SystemExit: There is none.
    """
    filters = [{"Name": "is-default", "Values": ["true"]}]
    found = ec2.describe_vpcs(Filters=filters)["Vpcs"]
    if not found:
        raise SystemExit("aws_access: the region has no default VPC; name one with --vpc")
    return str(found[0]["VpcId"])


def network(text: str) -> str:
    """Return ``text`` as a network's address.

    Raises:
        argparse.ArgumentTypeError: It is none, or takes in all the world.
    """
    try:
        parsed = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; give one like 203.0.113.7/32") from error
    if parsed.prefixlen < 8:
        raise argparse.ArgumentTypeError(f"{text} is open to the world; give your own network")
    return str(parsed)


def main(arguments: list[str] | None = None) -> dict[str, str]:
    """Make groups and roles, print and return what to fill in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--region", default="us-west-2", help="as in cluster.yaml")
    parser.add_argument("--ssh-from", type=network, required=True, help="your network")
    parser.add_argument("--bucket", help="of the data: its objects may be read and written")
    parser.add_argument("--vpc", help="without it the region's default VPC")
    options = parser.parse_args(arguments)
    ec2 = boto3.client("ec2", region_name=options.region)
    groups = make_groups(ec2, options.vpc or default_vpc(ec2), options.ssh_from)
    make_roles(boto3.client("iam"), options.bucket)
    for placeholder, group in groups.items():
        print(f"{placeholder}: {group}")
    return groups


if __name__ == "__main__":
    main()
