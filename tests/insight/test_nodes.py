"""What keeps a cluster from carrying a run is named, with the node and the remedy."""

from dataclasses import replace

import pytest

from search.findings import Finding
from search.insight.nodes import CHECKS, Node, check_newcomers, check_nodes

VERSIONS = {"python": "3.11.9", "ray": "2.60.0"}
HEAD = Node("10.0.0.1", True, 0.0, 0.0, VERSIONS, "abc", auth_mode="token")
WORKER = Node("10.0.0.2", False, 8.0, 2.0, VERSIONS, "abc", auth_mode="token")


def poor(*nodes: Node) -> dict[str, Finding]:
    return {each.check: each for each in check_nodes(nodes) if each.status != "PASS"}


def test_a_sound_cluster_passes_every_check_in_their_order() -> None:
    found = check_nodes([HEAD, WORKER])
    assert [each.check for each in found] == list(CHECKS)
    assert {each.status for each in found} == {"PASS"}
    assert found[0].message == "2 answered, with 8 CPUs and 2 GPUs"


@pytest.mark.parametrize(
    ("check", "status", "changes", "words"),
    [
        ("versions", "FAIL", {"versions": {**VERSIONS, "ray": "2.59.0"}}, "2.59.0 on 10.0.0.2"),
        ("code", "FAIL", {"code": "xyz"}, "10.0.0.2 has other code"),
        ("model", "FAIL", {"model": "xyz"}, "10.0.0.2 has another model module"),
        ("model", "FAIL", {"model_problem": "no model module 'own'"}, "10.0.0.2: no model module"),
        ("gpus", "FAIL", {"sees_gpus": False}, "10.0.0.2: Ray counts 2 GPUs, PyTorch sees none"),
        ("storage", "FAIL", {"storage": "/runs isn't the folder that the driver sees"}, "/runs"),
        ("token", "WARN", {"auth_mode": "disabled"}, "whoever reaches its ports"),
        ("token", "WARN", {"token_is_private": False}, "others can read"),
        ("clock", "WARN", {"clock_seconds": -30.0}, "-30.0 s"),
        ("disk", "WARN", {"free_bytes": 2**30}, "1.0 GiB free"),
        ("object_store", "WARN", {"store_bytes": 2**27}, "128 MiB"),
    ],
)
def test_what_is_wrong_with_a_node_is_named(
    check: str, status: str, changes: dict, words: str
) -> None:
    found = poor(HEAD, replace(WORKER, **changes))
    assert set(found) == {check}
    assert found[check].status == status
    assert words in found[check].message
    assert found[check].remedy


def test_a_package_that_a_node_lacks_is_another_version() -> None:
    found = poor(HEAD, replace(WORKER, versions={"python": "3.11.9"}))
    assert "none on 10.0.0.2" in found["versions"].message


def test_torch_for_the_cpu_beside_torch_for_gpus_is_the_same_version() -> None:
    head = replace(HEAD, versions={**VERSIONS, "torch": "2.13.0+cpu"})
    assert not poor(head, replace(WORKER, versions={**VERSIONS, "torch": "2.13.0"}))
    other = replace(WORKER, versions={**VERSIONS, "torch": "2.12.1"})
    assert "2.13.0 on 10.0.0.1; 2.12.1 on 10.0.0.2" in poor(head, other)["versions"].message


def test_a_cluster_without_a_cpu_for_trials_fails() -> None:
    assert poor(HEAD)["nodes"].status == "FAIL"


def test_nodes_without_a_gpu_beside_others_with_one_are_named() -> None:
    plain = replace(WORKER, name="10.0.0.3", num_gpus=0.0)
    assert "10.0.0.3 has no GPU" in poor(HEAD, WORKER, plain)["gpus"].message


def test_a_node_that_cannot_answer_fails_and_the_others_are_judged() -> None:
    without = replace(WORKER, silent="ModuleNotFoundError: No module named 'search'")
    found = [each for each in check_nodes([HEAD, without, WORKER]) if each.status != "PASS"]
    assert [each.message for each in found] == [f"{WORKER.name} can't answer: {without.silent}"]
    assert found[0].status == "FAIL"
    assert "install sieve there" in found[0].remedy


def test_a_folder_that_nobody_was_asked_for_has_not_passed() -> None:
    found = {each.check: each for each in check_nodes([HEAD, WORKER], with_storage=False)}
    assert (found["storage"].status, found["storage"].message) == ("WARN", "not looked at")


def test_one_machine_alone_needs_no_token_and_isnt_said_to_have_one() -> None:
    alone = replace(WORKER, is_driver=True, auth_mode="")
    assert poor(alone) == {}
    (token,) = [each for each in check_nodes([alone]) if each.check == "token"]
    assert token.message == "asked for by nobody; there is one node alone"


def test_a_user_s_model_that_is_the_same_everywhere_passes_and_none_says_so() -> None:
    found = {each.check: each for each in check_nodes([HEAD, WORKER])}
    assert found["model"].message == "none beside sieve's own was asked for"
    same = [replace(node, model="m") for node in (HEAD, WORKER)]
    assert not poor(*same)
    lacks = replace(WORKER, model_problem="the model file '/home/me/own.py' can't be read (gone)")
    found = poor(same[0], lacks)
    assert set(found) == {"model"}
    assert "/home/me/own.py" in found["model"].message
    assert found["model"].remedy.startswith("copy the driver's to the same place there")


def test_pytorch_s_version_is_named_where_it_sees_no_gpu() -> None:
    there = {"versions": {**VERSIONS, "torch": "2.13.0+cpu"}, "sees_gpus": False}
    head = replace(HEAD, versions={**VERSIONS, "torch": "2.13.0"})
    found = poor(head, replace(WORKER, **there))["gpus"]
    assert "PyTorch 2.13.0+cpu sees none" in found.message
    assert "gpus_per_trial=0" in found.remedy


def test_newcomers_are_compared_with_the_driver_whose_own_faults_were_told_before() -> None:
    poor_head = replace(HEAD, free_bytes=0, clock_seconds=9.0, auth_mode="", model="m")
    joined = replace(WORKER, code="xyz", model="m")
    found = [each for each in check_newcomers([poor_head, joined]) or () if each.status != "PASS"]
    assert [each.check for each in found] == ["code"]
    assert check_newcomers([poor_head]) == [], "they have gone again"


@pytest.mark.parametrize("changes", [{"silent": "it died"}, {"storage": "can't be written"}])
def test_newcomers_are_not_judged_by_a_driver_that_is_in_trouble_itself(changes: dict) -> None:
    assert check_newcomers([replace(HEAD, **changes), WORKER]) is None
    assert check_newcomers([WORKER]) is None
