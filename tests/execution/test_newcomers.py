"""Nodes that join while a run is on: asked once, counted on when they are sound, said when not."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from search.errors import RunFailed
from search.execution.newcomers import Newcomers
from search.findings import Finding, failures
from search.insight.nodes import Node

VERSIONS = {"python": "3.11.9", "ray": "2.60.0"}
DRIVER = Node("10.0.0.1", True, 0.0, 0.0, VERSIONS, "abc", auth_mode="token")
NODE = Node("10.0.0.2", False, 8.0, 2.0, VERSIONS, "abc", auth_mode="token")
ELSEWHERE = replace(NODE, storage="/runs isn't the folder that the driver sees")


class Asked:
    """Nodes that answer when they are let."""

    def __init__(self) -> None:
        self.said: list[Node] | None = None
        self.is_closed = False

    def answers(self) -> list[Node] | None:
        return self.said

    def close(self) -> None:
        self.is_closed = True


class Cluster:
    """Newcomers, whom they have asked, and what was said of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[set[str], Asked]] = []
        self.told: list[Finding] = []
        self.newcomers = Newcomers(["a"], self.ask, self.heed)

    def ask(self, strangers: Collection[str]) -> Asked:
        self.asked.append((set(strangers), Asked()))
        return self.asked[-1][1]

    def heed(self, findings: list[Finding]) -> None:
        self.told += [each for each in findings if each.status != "PASS"]
        if failures(findings):
            raise RunFailed(f"{self.told[0].message}; {self.told[0].remedy}")


def test_a_node_that_joins_is_asked_once_and_counted_when_it_has_answered() -> None:
    cluster = Cluster()
    admit = cluster.newcomers.admit
    assert admit(["a"]) == {"a"}
    assert cluster.asked == []
    assert [admit(["a", "b"]) for _ in range(3)] == [{"a"}] * 3, "nobody waits for it"
    [(strangers, asked)] = cluster.asked
    assert strangers == {"b"}
    asked.said = [DRIVER, NODE]
    assert admit(["a", "b"]) == {"a", "b"}
    assert admit(["a", "b"]) == {"a", "b"}
    assert (len(cluster.asked), cluster.told) == (1, [])


def test_a_node_with_a_disk_of_its_own_ends_the_run_with_the_reason() -> None:
    cluster = Cluster()
    cluster.newcomers.admit(["a", "b"])
    cluster.asked[0][1].said = [DRIVER, ELSEWHERE]
    with pytest.raises(RunFailed, match=r"10\.0\.0\.2: /runs isn't the folder .*all nodes see"):
        cluster.newcomers.admit(["a", "b"])


def test_what_only_warns_is_said_and_the_node_is_used() -> None:
    cluster = Cluster()
    cluster.newcomers.admit(["a", "b"])
    cluster.asked[0][1].said = [replace(DRIVER, free_bytes=0), replace(NODE, free_bytes=0)]
    assert cluster.newcomers.admit(["a", "b"]) == {"a", "b"}
    assert [each.message for each in cluster.told] == ["10.0.0.2 has 0.0 GiB free"]


def test_while_the_driver_itself_has_lost_the_storage_nobody_is_judged() -> None:
    cluster = Cluster()
    cluster.newcomers.admit(["a", "b"])
    out = "can't be written: it doesn't answer"
    cluster.asked[0][1].said = [replace(DRIVER, storage=out), replace(NODE, storage=out)]
    assert cluster.newcomers.admit(["a", "b"]) == {"a"}
    assert cluster.newcomers.admit(["a", "b"]) == {"a"}
    assert [strangers for strangers, _ in cluster.asked] == [{"b"}, {"b"}], "it is asked again"
    cluster.asked[1][1].said = [DRIVER, NODE]
    assert cluster.newcomers.admit(["a", "b"]) == {"a", "b"}


def test_a_node_that_goes_before_it_answers_is_no_matter() -> None:
    cluster = Cluster()
    cluster.newcomers.admit(["a", "b"])
    cluster.asked[0][1].said = [DRIVER]
    assert cluster.newcomers.admit(["a"]) == {"a"}
    assert cluster.told == []


def test_what_joins_while_others_are_asked_has_its_turn_later() -> None:
    cluster = Cluster()
    cluster.newcomers.admit(["a", "b"])
    cluster.asked[0][1].said = [DRIVER, NODE]
    assert cluster.newcomers.admit(["a", "b", "c"]) == {"a", "b"}
    cluster.newcomers.admit(["a", "b", "c"])
    assert [strangers for strangers, _ in cluster.asked] == [{"b"}, {"c"}]
    cluster.newcomers.close()
    assert cluster.asked[1][1].is_closed
