"""Explanations of the trials of real run directories; their trainings are a formula."""

import json
import math
import shutil
from pathlib import Path

import pytest

from search.errors import RunDirError
from search.events import PHASES, Promotion, Trial, event_to_json
from search.insight.explanation import differences, proposer, raised
from search.insight.why import explain
from search.rundir import RunDir
from search.trials import History

TRACEBACK = """Traceback (most recent call last):
  File "search/session.py", line 91, in _open
    build(config)
    ^^^^^^^^^^^^^
  File "mymodel.py", line 7, in build
    raise ValueError("too wide:
ValueError: too wide:
  second line
"""


@pytest.fixture
def run(driven: Path) -> RunDir:
    return RunDir.open(driven)


@pytest.fixture
def copied(driven: Path, tmp_path: Path) -> RunDir:
    """A copy that a test may change."""
    shutil.copytree(driven, tmp_path / "run")
    return RunDir.open(tmp_path / "run")


def histories(run: RunDir) -> dict[str, History]:
    return {phase: History(run.events(phase)) for phase in PHASES}


def test_without_a_name_the_winner_is_explained_and_why_the_others_weren_t_taken(
    run: RunDir,
) -> None:
    answer = explain(run)
    result = run.read_json("result.json")
    assert answer.winner == answer.explanation.trial.trial_id == result["winner"]["trial_id"]
    assert (answer.status, answer.metric, answer.asked) == ("complete", "accuracy", None)
    assert answer.explanation.role == "winner"
    assert answer.explanation.outcome == f"the winner. {result['comparison']['statement']}"
    assert answer.note == ""
    assert answer.contest[0].wins
    assert len(answer.contest) == 3
    assert all(each.why_not for each in answer.contest[1:])
    assert [each.test.mean for each in answer.contest if each.wins] == pytest.approx(
        [result["winner"]["test"]["mean"]]
    )
    runs = [trial for trial in answer.explanation.followed_by if trial.startswith("x-")]
    assert runs == [f"x-{answer.winner}-s{number}" for number in range(3)]


def test_every_trial_s_decisions_are_those_of_the_events_and_rest_on_the_journal_s_numbers(
    run: RunDir,
) -> None:
    for phase, history in histories(run).items():
        calls = [e.trial_id for e in run.events(phase) if isinstance(e, Promotion)]
        for record in history:
            told = explain(run, record.trial.trial_id).explanation
            kinds = [step.kind for step in told.steps]
            assert record.ending is not None
            assert (kinds[-1], told.state) == (record.ending.status, record.ending.status)
            assert told.steps[-1].reason == record.ending.reason
            assert kinds.count("called") + kinds.count("looked at") == calls.count(
                record.trial.trial_id
            )
            for step in told.steps:
                if step.kind in ("kept", "paused"):
                    limit = -math.inf if step.limit is None else step.limit
                    assert (step.loss <= limit) == (step.kind == "kept")
                    assert 1 <= step.rank <= step.of


def test_its_place_its_curve_and_its_cost_are_the_record_s(run: RunDir) -> None:
    history = histories(run)["coarse"]
    ranked = sorted((r for r in history if math.isfinite(r.loss)), key=lambda r: r.loss)
    for rank, record in enumerate(ranked, start=1):
        told = explain(run, record.trial.trial_id).explanation
        assert (told.place.rank, told.place.of) == (rank, len(ranked))
        assert told.place.best_id == ranked[0].trial.trial_id
        assert told.curve is not None
        assert told.curve.best == record.best
        assert told.curve.validation_losses[-1] == told.curve.last.validation_loss
        assert told.cost.samples_seen == record.samples_seen
        assert told.cost.full_runs == record.samples_seen / 1080
        assert told.cost.train_seconds + told.cost.eval_seconds == pytest.approx(record.seconds)
    shares = [explain(run, r.trial.trial_id).explanation.cost.phase_share for r in history]
    assert sum(shares) == pytest.approx(1.0)


def test_who_proposed_a_trial_is_said_in_words() -> None:
    assert proposer("default:a paper: with colons") == "a published default: a paper: with colons"
    assert proposer("survivor:c0003") == "a survivor of coarse: c0003, trained anew"
    assert proposer("sobol").startswith("a Sobol point")
    assert proposer("grid") == "a point of the grid"
    assert proposer("gp").startswith("the model's proposal")
    assert proposer("oracle") == "oracle"


def test_a_survivor_is_followed_into_fine_and_the_proof(run: RunDir) -> None:
    history = histories(run)["fine"]
    survivor = next(r.trial for r in history if r.trial.source.startswith("survivor:"))
    origin = survivor.source.partition(":")[2]
    assert survivor.trial_id in explain(run, origin).explanation.followed_by


def test_what_differs_from_the_baseline_is_told_with_both_values(run: RunDir) -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "c": 3}) == {"b": (2, None), "c": (None, 3)}
    baseline = explain(run, "baseline")
    assert baseline.explanation.differs == {}
    assert baseline.baseline_source == "a paper"
    other = explain(run, "c0001").explanation
    assert other.differs == {"rate": (0.9, 0.001)}


def test_the_baseline_is_its_trial_of_coarse(run: RunDir) -> None:
    told = explain(run, "baseline").explanation
    assert (told.trial.trial_id, told.role) == ("c0000", "baseline")
    assert told.followed_by[-3:] == tuple(f"x-baseline-s{number}" for number in range(3))
    assert told.outcome.startswith("the published default, not taken: validation accuracy")


def test_a_baseline_that_coarse_didn_t_try_is_its_run_of_the_proof(copied: RunDir) -> None:
    path = copied.path / "coarse" / "events.jsonl"
    lines = [line for line in path.read_text().splitlines(True) if '"c0000"' not in line]
    path.write_text("".join(lines))
    result = copied.read_json("result.json")
    copied.write_json("result.json", {**result, "winner": result["baseline"]})
    for name in (None, "baseline"):
        answer = explain(copied, name)
        assert (answer.explanation.trial.trial_id, answer.winner) == ("x-baseline-s0", "baseline")
        assert answer.explanation.role == "winner"
        assert answer.explanation.outcome == "the winner: the published default stays"
    assert explain(copied, "x-baseline-s1").explanation.role == "proof"


def test_a_run_of_the_proof_tells_its_test_and_whose_it_is(run: RunDir) -> None:
    answer = explain(run, f"x-{explain(run).winner}-s1")
    assert answer.explanation.role == "proof"
    assert answer.explanation.test_metric is not None
    assert answer.explanation.outcome.startswith(f"a run of {answer.winner}: the winner")
    assert len(answer.contest) == 3


def test_a_trial_that_failed_says_what_was_raised_and_where(run: RunDir) -> None:
    records = [r for history in histories(run).values() for r in history]
    raising = [r for r in records if r.ending is not None and r.ending.error]
    told = explain(run, raising[0].trial.trial_id).explanation
    assert told.error == "mymodel.py, line 7, in build: ValueError: depth 8.5 is too deep"
    assert (told.state, told.curve, told.place.rank) == ("failed", None, None)
    assert told.outcome == "no finalist: it failed, or has no finite validation loss"
    diverged = explain(run, "c0001").explanation
    assert diverged.steps[-1].reason == "validation loss is nan"
    assert diverged.error == ""


def test_a_traceback_in_a_line() -> None:
    assert raised(TRACEBACK) == "mymodel.py, line 7, in build: ValueError: too wide:"
    assert raised("killed\nby the kernel") == "killed by the kernel"
    assert raised("") == ""


def test_who_was_no_finalist_is_told_by_how_much(run: RunDir) -> None:
    ranked = sorted(histories(run)["fine"], key=lambda record: record.loss)
    worst = [record for record in ranked if math.isfinite(record.loss)][-1]
    told = explain(run, worst.trial.trial_id).explanation
    assert told.role == ""
    assert f"its best validation loss {worst.loss:.4g} is behind that of" in told.outcome
    assert explain(run, worst.trial.trial_id).contest == ()


def test_as_json_it_holds_no_number_that_isn_t_finite(run: RunDir) -> None:
    for name in (None, "c0001", "baseline"):
        text = json.dumps(explain(run, name).to_json(), allow_nan=False)
        assert json.loads(text)["explanation"]["trial"]["trial_id"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("c17", "'c0017'"), ("C0003", "'c0003'"), ("c00x3", "'c00"), ("7", "known: c0000, ")],
)
def test_a_trial_that_isn_t_there_is_named_with_what_was_meant(
    run: RunDir, name: str, meant: str
) -> None:
    with pytest.raises(RunDirError, match=f"has no trial '{name}'") as refused:
        explain(run, name)
    assert meant in str(refused.value)
    assert len(str(refused.value)) < 400


def test_an_interrupted_run_is_explained_by_its_best_trial_so_far(tmp_path: Path) -> None:
    from driven_run import DrivenRun

    run = DrivenRun(tmp_path / "run", stops_after=120).go()
    answer = explain(run)
    assert (answer.status, answer.winner, answer.contest) == ("interrupted", None, ())
    assert "there is no winner yet; this is coarse's best trial so far" in answer.note
    assert "(a signal came)" in answer.note
    assert answer.explanation.place.rank == 1
    assert answer.explanation.outcome == "finalists haven't been chosen yet"
    states = {explain(run, r.trial.trial_id).explanation.state for r in histories(run)["coarse"]}
    assert states & {"waiting", "running"}


def test_a_run_that_was_cut_off_before_its_result_is_explained(copied: RunDir) -> None:
    for name in ("result.json", "provenance.json", "plan.json", "space/0.json", "journal.jsonl"):
        (copied.path / name).unlink()
    shutil.rmtree(copied.path / "confirm")
    answer = explain(copied)
    assert (answer.status, answer.metric) == ("unfinished", "metric")
    assert answer.explanation.trial.phase == "fine"
    assert answer.explanation.cost.full_runs is None
    assert answer.baseline_source == "a paper"


def test_where_all_failed_the_trial_that_came_furthest_is_explained(tmp_path: Path) -> None:
    with RunDir.create(tmp_path / "run", {"model": "m"}, "digest") as run:
        with pytest.raises(RunDirError, match="has no trial yet"):
            explain(run)
        for number in range(2):
            trial = Trial(f"c000{number}", "coarse", "sobol", {"a": 1}, 0, 90, (10, 90))
            run.append_event("coarse", trial, elapsed=1.0)
        ending = {"event": "ending", "trial_id": "c0001", "status": "failed", "reason": "diverged"}
        lost = {**ending, "samples_seen": 40, "elapsed": 2.0}
        with (run.path / "coarse" / "events.jsonl").open("a") as log:
            log.write(json.dumps(lost) + "\n")
        run.write_json("result.json", {"status": "failed", "reason": "nothing converged"})
        answer = explain(run)
        assert answer.explanation.trial.trial_id == "c0001"
        assert answer.note.endswith("coarse's longest trial so far (nothing converged)")
        assert event_to_json(answer.explanation.trial)["event"] == "trial"


def test_a_damaged_log_is_refused_as_everywhere(copied: RunDir) -> None:
    path = copied.path / "fine" / "events.jsonl"
    path.write_text("no json\n" + path.read_text())
    with pytest.raises(RunDirError, match="damaged at line 1"):
        explain(copied)
