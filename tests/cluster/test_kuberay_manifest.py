"""The RayJob: known fields, Ray's own reading of it, no door to the outside."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)

ROOT = Path(__file__).parents[2]
Node = dict[str, Any]
# The fields that KubeRay 1.5 and Kubernetes have, as far as the manifest may need them.
JOB = {
    *("entrypoint", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"),
    *("activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate"),
    *("runtimeEnvYAML", "entrypointNumCpus", "suspend", "metadata", "jobId"),
}
CLUSTER = {
    *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions"),
    *("headGroupSpec", "workerGroupSpecs", "gcsFaultToleranceOptions", "headServiceAnnotations"),
}
AUTOSCALER = {"version", "idleTimeoutSeconds", "upscalingMode", "resources", "env", "image"}
GROUP = {"rayStartParams", "template", "resources", "labels"}
HEAD = GROUP | {"serviceType", "enableIngress", "headService"}
WORKERS = GROUP | {
    *("groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds", "numOfHosts"),
}
POD = {
    *("containers", "initContainers", "volumes", "securityContext", "restartPolicy"),
    *("automountServiceAccountToken", "serviceAccountName", "nodeSelector", "tolerations"),
    *("affinity", "imagePullSecrets", "terminationGracePeriodSeconds"),
}
CONTAINER = {
    *("name", "image", "command", "args", "env", "envFrom", "ports", "resources"),
    *("securityContext", "volumeMounts", "imagePullPolicy", "lifecycle"),
}


@pytest.fixture
def documents() -> list[Node]:
    path = ROOT / "scripts" / "cluster" / "kuberay.yaml"
    return list(yaml.safe_load_all(path.read_text()))


@pytest.fixture
def job(documents: list[Node]) -> Node:
    return documents[0]["spec"]


def _templates(job: Node) -> list[Node]:
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [*(group["template"] for group in groups), job["submitterPodTemplate"]]


def _keys_and_values(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield from node.items()
    for inner in node.values() if isinstance(node, dict) else node:
        if isinstance(inner, dict | list):
            yield from _keys_and_values(inner)


def test_the_kinds_are_those_of_kuberay_and_kubernetes(documents: list[Node]) -> None:
    kinds = [(each["apiVersion"], each["kind"]) for each in documents]
    assert kinds == [("ray.io/v1", "RayJob"), ("networking.k8s.io/v1", "NetworkPolicy")]


def test_all_fields_are_known(job: Node) -> None:
    cluster = job["rayClusterSpec"]
    assert set(job) <= JOB
    assert set(cluster) <= CLUSTER
    assert set(cluster["autoscalerOptions"]) <= AUTOSCALER
    assert set(cluster["headGroupSpec"]) <= HEAD
    assert all(set(group) <= WORKERS for group in cluster["workerGroupSpecs"])
    for template in _templates(job):
        assert set(template) == {"metadata", "spec"}
        assert set(template["spec"]) <= POD
        assert all(set(each) <= CONTAINER for each in template["spec"]["containers"])


def test_ray_s_version_is_the_tested_one(job: Node) -> None:
    pins = (ROOT / "constraints.txt").read_text()
    pinned = re.search(r"^ray==(.+)$", pins, re.M)
    assert pinned is not None
    assert job["rayClusterSpec"]["rayVersion"] == pinned[1]
    images = {each["spec"]["containers"][0]["image"] for each in _templates(job)}
    assert len(images) == 1


def test_ray_s_autoscaler_reads_it_as_meant(job: Node) -> None:
    metadata = {"name": "sieve", "namespace": "default"}
    read = _derive_autoscaling_config_from_ray_cr(
        {"metadata": metadata, "spec": job["rayClusterSpec"]}
    )
    head, workers = (read["available_node_types"][name] for name in ("headgroup", "gpu"))
    assert (head["resources"]["CPU"], head["resources"]["GPU"]) == (0, 0)
    assert (workers["resources"]["CPU"], workers["resources"]["GPU"]) == (32, 4)
    assert (workers["min_workers"], workers["max_workers"]) == (0, 4)
    assert read["max_workers"] == 4
    assert read["idle_timeout_minutes"] == 5


def test_the_machines_go_when_the_search_has_ended(job: Node) -> None:
    assert job["shutdownAfterJobFinishes"] is True
    assert job["ttlSecondsAfterFinished"] <= 300
    assert job["activeDeadlineSeconds"] > 0
    assert job["backoffLimit"] == 0


def test_no_door_leads_outside(job: Node) -> None:
    assert job["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    keys = dict(_keys_and_values(job))
    forbidden = {"hostNetwork", "hostPort", "hostPath", "hostPID", "hostIPC", "privileged"}
    assert not forbidden & set(keys)
    head = job["rayClusterSpec"]["headGroupSpec"]
    assert (head["serviceType"], head["enableIngress"]) == ("ClusterIP", False)


def test_pods_have_no_rights_that_they_do_not_need(job: Node) -> None:
    head, *others = _templates(job)
    assert all(each["spec"]["automountServiceAccountToken"] is False for each in others)
    for template in (head, *others):
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        (container,) = template["spec"]["containers"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_only_its_own_pods_and_the_operator_reach_it(documents: list[Node], job: Node) -> None:
    policy = documents[1]["spec"]
    selected = policy["podSelector"]["matchLabels"]
    for template in _templates(job):
        assert selected.items() <= template["metadata"]["labels"].items()
    assert policy["policyTypes"] == ["Ingress"]
    own, operator = policy["ingress"]
    assert own == {"from": [{"podSelector": {"matchLabels": selected}}]}
    assert [each["port"] for each in operator["ports"]] == [8265]
    (source,) = operator["from"]
    assert source["podSelector"]["matchLabels"]
    assert source["namespaceSelector"]["matchLabels"]
