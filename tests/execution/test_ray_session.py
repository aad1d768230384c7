"""A session on a cluster that isn't there: what is looked at, asked for and said while it lasts."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from search.data import Dataset
from search.errors import RunFailed, Unwritable
from search.execution import capacity, experiment, nodes, session
from search.execution.clock import RunClock
from search.execution.cluster import TrialResources
from search.execution.context import PhaseContext
from search.execution.driver import PhaseDriver
from search.execution.experiment import Experiment
from search.execution.machines import Kind
from search.execution.session import RaySession
from search.execution.signals import StopRequest
from search.findings import Finding, failures
from search.insight.nodes import Node, Question, check_newcomers, check_nodes
from search.report import Progress
from search.rundir import CLUSTER, RunDir
from search.stages.material import Material
from search.stages.run_context import RunContext
from search.stages.start import Start
from search.study import resolve_study
from search.trials import History

DRIVER = Node("10.0.0.1", True, 4.0, 0.0, code="abc", auth_mode="token")
ELSEWHERE = replace(DRIVER, name="10.0.0.2", is_driver=False, storage="/runs isn't the folder")


@contextmanager
def nothing(address: str | None, *, data_bytes: int) -> Iterator[None]:
    yield


class Inquiry:
    """Nodes that have answered already; those that join see another folder."""

    node_ids = ("a",)

    def __init__(self, only: Collection[str] | None) -> None:
        self._only = only

    def wait(self) -> list[Node]:
        return [DRIVER]

    def answers(self) -> list[Node]:
        assert self._only == {"b"}
        return [DRIVER, ELSEWHERE]

    def close(self) -> None:
        pass


class Here:
    """A session, the machines that are up, and what was found of them."""

    def __init__(self, address: str | None) -> None:
        self.up = {"a": Kind({"CPU": 4})}
        self.found: list[Finding] = []
        self.questions: list[Question] = []
        data = cast(Dataset, SimpleNamespace(inputs=SimpleNamespace(nbytes=0)))
        study = resolve_study({"data": "sklearn:wine"})
        nobody = SimpleNamespace(arm=lambda: None, check=lambda: None)
        stop = cast(StopRequest, nobody)
        self.session = RaySession(study, data, address, stop, lambda words: None, log="log")

    def ask(self, question: Question, only: Collection[str] | None = None) -> Inquiry:
        self.questions.append(question)
        return Inquiry(only)

    def heed(self, findings: list[Finding]) -> None:
        self.found += findings
        if failures(findings):
            raise RunFailed(failures(findings)[0].message)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    made = Here("10.0.0.1:6379")
    monkeypatch.setattr(session, "connected", nothing)
    monkeypatch.setattr(session, "startable", list)
    monkeypatch.setattr(capacity, "_machines", lambda: made.up)
    monkeypatch.setattr(capacity, "LOOK_S", 0.0)
    monkeypatch.setattr(capacity._Demand, "keep", lambda self, number, hold=False: None)
    monkeypatch.setattr(nodes, "Inquiry", made.ask)
    with made.session:
        yield made


def test_a_node_that_joins_a_lone_one_is_looked_at_as_that_was(here: Here) -> None:
    question = Question("/runs", "/home/me/own.py")
    assert here.session.check_nodes(question, here.heed)[0].status == "PASS"
    assert [here.session.slots() for _ in range(2)] == [4, 4]
    assert len(here.questions) == 1, "nobody has joined"
    here.up["b"] = Kind({"CPU": 4})
    assert here.session.slots() == 4, "no trial is counted on it yet"
    with pytest.raises(RunFailed, match=r"10\.0\.0\.2: /runs isn't the folder"):
        here.session.slots()
    assert here.questions == [replace(question, about_gpus=False)] * 2


def test_a_local_ray_has_nodes_of_its_own_only(monkeypatch: pytest.MonkeyPatch) -> None:
    local = Here(None)
    monkeypatch.setattr(session, "connected", nothing)
    monkeypatch.setattr(capacity, "_machines", lambda: local.up)
    monkeypatch.setattr(capacity._Demand, "keep", lambda self, number, hold=False: None)
    with local.session:
        assert local.session.check_nodes(Question("/runs"), local.heed) == []


def test_machines_are_told_what_the_phase_that_is_on_has_a_use_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[tuple[float, int]] = []
    monkeypatch.setattr(experiment.ray, "put", lambda value: value)
    context = cast(PhaseContext, SimpleNamespace(num_workers=3, storage=None, trial_folder=None))
    made = Experiment(
        None,
        TrialResources(1, 0.0, 4),
        "log",
        lambda num_wanted, least: served.append((num_wanted(), least)),
    )
    strategy = SimpleNamespace(phase="confirm", history=History())
    phase = SimpleNamespace(
        strategy=strategy,
        num_wanted=5,
        finished=True,
        cant_go_on=None,
        close=lambda: None,
        after_events=None,
    )
    made.run_phase(cast(PhaseDriver, phase), context)
    assert served == [(15, 3)]


def test_a_storage_that_ray_cannot_write_to_ends_a_run_that_can_be_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: Experiment) -> None:
        raise OSError("AWS Error NETWORK_CONNECTION")

    monkeypatch.setattr(experiment.ray, "put", lambda value: value)
    monkeypatch.setattr(Experiment, "_tuner", refuse)
    context = cast(PhaseContext, SimpleNamespace(num_workers=1))
    made = Experiment(None, TrialResources(1, 0.0, 4), "s3://bucket/ray")
    phase = SimpleNamespace(strategy=SimpleNamespace(phase="coarse"), finished=False)
    with pytest.raises(Unwritable, match=r"s3://bucket/ray can't be written now \(OSError: AWS"):
        made.run_phase(cast(PhaseDriver, phase), context)


def test_what_is_wrong_with_a_late_node_stands_in_journal_and_file(tmp_path: Path) -> None:
    study = resolve_study({"data": "sklearn:wine"})
    model = SimpleNamespace(path="models.mlp", uses_gpu=False)
    material = cast(Material, SimpleNamespace(data=None, model=model))
    with RunDir.create(tmp_path / "run", study.to_json(), study.digest) as folder:
        context = RunContext(study, folder, Progress("accuracy", "max"), RunClock(0.0))
        start = Start(context, material, "10.0.0.1:6379")
        start._heed_nodes(check_nodes([DRIVER, replace(DRIVER, clock_seconds=9.0)]))
        with pytest.raises(RunFailed, match=r"10\.0\.0\.2: /runs .*all findings: .*cluster\.json"):
            start._heed_nodes(check_newcomers([DRIVER, ELSEWHERE]) or [])
        said = [each["message"] for each in folder.read_journal()]
        kept = [each for each in folder.read_json(CLUSTER) if each["status"] != "PASS"]
    assert "clock: 10.0.0.1 is +9.0 s from the driver" in said
    assert "storage: 10.0.0.2: /runs isn't the folder" in said
    assert [each["check"] for each in kept] == ["clock", "storage"]
