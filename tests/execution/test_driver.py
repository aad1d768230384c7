"""A phase's driver on a real run directory; Ray isn't needed to see what it decides."""

import json
import math
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

import search.execution.driver as execution_driver
from search.errors import RunFailed, StudyError
from search.events import Asked, Ending, Evaluation, Growth, Proposals, Trial, event_to_json
from search.execution.clock import RunClock
from search.execution.driver import MAX_LOSSES, TAKEN_AWAY, PhaseDriver
from search.execution.shelf import STATE, Shelf, check_room
from search.report import Progress
from search.rundir import RunDir
from search.space import Float, Space
from search.strategy.budget import Ladder
from search.strategy.coarse import CoarsePhase
from search.strategy.fine import FinePhase
from search.strategy.phase import PhaseStrategy
from search.task import Default
from search.trials import History

SPACE = Space([Float(name="rate", low=0.1, high=1.0)])
LADDER = Ladder((10, 30, 90, 270), 3)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDir]:
    with RunDir.create(tmp_path / "run", {"model": "m"}, "digest") as run:
        yield run


def drive(
    run: RunDir,
    *,
    stop: bool = False,
    ends_at: float = 1e9,
    slots: int = 2,
    num_trials: int = 4,
    strategy: PhaseStrategy | None = None,
    shelf: Shelf | None = None,
) -> PhaseDriver:
    defaults = [Default({"rate": 0.5}, "a paper")]
    strategy = strategy or CoarsePhase(SPACE, defaults, LADDER, num_trials=num_trials, seed=0)
    return PhaseDriver(
        strategy,
        run,
        clock=RunClock(0.0),
        slots=lambda: slots,
        ends_at=lambda: ends_at,
        stop_requested=lambda: stop,
        observer=Progress("accuracy", "max"),
        shelf=shelf,
    )


def start(driver: PhaseDriver) -> Trial:
    handout = driver.next_trial()
    assert handout is not None
    return handout.trial


def evaluated(trial: Trial, number: int, loss: float) -> Evaluation:
    point = trial.points[number - 1]
    return Evaluation(
        trial.trial_id, number, point, point, loss, loss, 0.5, 0.5, 0.1, float(number)
    )


def report(
    driver: PhaseDriver,
    trial: Trial,
    *events: Evaluation | Ending,
    note: str = "",
    state_bytes: int = 0,
) -> str:
    values = {"events": [event_to_json(each) for each in events], "vitals": {}, "note": note}
    return driver.report(trial.trial_id, json.dumps(values | {"state_bytes": state_bytes})).action


def test_no_more_trials_run_than_there_are_slots(run: RunDir) -> None:
    driver = drive(run)
    first, second = start(driver), start(driver)
    assert first.trial_id != second.trial_id
    assert driver.next_trial() is None
    assert not driver.finished
    report(driver, first, Ending(first.trial_id, "completed", "done"))
    assert start(driver).trial_id not in (first.trial_id, second.trial_id)


def test_what_happened_is_on_disk_before_it_is_answered(run: RunDir) -> None:
    driver = drive(run)
    trial = start(driver)
    event = evaluated(trial, 1, 0.5)
    report(driver, trial, event)
    assert [asdict(each) for each in run.events("coarse")] == [asdict(trial), asdict(event)]


def test_a_trial_that_was_running_is_handed_out_again_with_what_is_known(run: RunDir) -> None:
    driver = drive(run)
    trial = start(driver)
    report(driver, trial, evaluated(trial, 1, 0.5))
    again = drive(run).next_trial()
    assert again is not None
    assert (again.trial, again.reported) == (trial, 1)


def test_a_trial_that_pauses_frees_its_slot_and_is_handed_out_again_when_it_is_called(
    run: RunDir,
) -> None:
    driver = drive(run, num_trials=3)
    trials = [start(driver), start(driver)]
    for trial, loss in zip(trials, (0.1, 0.9), strict=True):
        report(driver, trial, evaluated(trial, 1, loss))
        assert report(driver, trial, evaluated(trial, 2, loss)) == "pause"
    last = start(driver)
    assert driver.next_trial() is None, "all were started, and nobody may go on yet"
    assert not driver.finished
    report(driver, last, evaluated(last, 1, 0.5))
    assert report(driver, last, evaluated(last, 2, 0.5)) == "pause"
    called = driver.next_trial()
    assert called is not None
    assert (called.trial, called.reported) == (trials[0], 2)
    assert driver.next_trial() is None
    words = [entry["message"] for entry in run.read_journal()]
    assert "c0000: among the best 1/3 of its rung by now" in words


def test_what_waits_when_a_phase_ends_is_stopped_with_what_it_has_cost(run: RunDir) -> None:
    driver = drive(run)
    trial = start(driver)
    values = {"events": [], "vitals": {"train_seconds": 7.0}, "note": ""}
    report(driver, trial, evaluated(trial, 1, 0.5))
    values["events"] = [event_to_json(evaluated(trial, 2, 0.5))]
    assert driver.report(trial.trial_id, json.dumps(values)).action == "pause"
    driver.close()
    ending = driver.strategy.history[trial.trial_id].ending
    assert ending is not None
    assert (ending.status, ending.train_seconds) == ("stopped", 7.0)
    assert ending.reason.endswith("; not called again")


def test_what_waits_when_a_run_is_interrupted_waits_for_its_resumption(run: RunDir) -> None:
    driver = drive(run)
    trial = start(driver)
    report(driver, trial, evaluated(trial, 1, 0.5))
    report(driver, trial, evaluated(trial, 2, 0.5))
    drive(run, stop=True).close()
    resumed = drive(run)
    assert [record.trial for record in resumed.strategy.history.paused] == [trial]
    assert start(resumed).trial_id != trial.trial_id


def test_a_trial_that_had_paused_isn_t_handed_out_again_though_a_crash_kept_it_from_the_log(
    run: RunDir,
) -> None:
    driver = drive(run)
    running, paused = start(driver), start(driver)
    run.append_event("coarse", evaluated(paused, 1, 9.0), elapsed=1.0)
    run.append_event("coarse", evaluated(paused, 2, 9.0), elapsed=1.0)  # its rung; then the crash
    resumed = drive(run)
    assert resumed.strategy.history[paused.trial_id].pause is not None
    assert start(resumed).trial_id == running.trial_id
    assert start(resumed).trial_id not in (running.trial_id, paused.trial_id)


def test_what_a_resumed_trial_sends_twice_counts_once(run: RunDir) -> None:
    driver = drive(run)
    trial = start(driver)
    report(driver, trial, evaluated(trial, 1, 0.5))
    report(driver, trial, evaluated(trial, 1, 0.7), evaluated(trial, 2, 0.4))
    losses = [each.validation_loss for each in driver.strategy.history[trial.trial_id].evaluations]
    assert losses == [0.5, 0.4]


def test_when_the_time_is_up_running_trials_stop_once_enough_is_known(run: RunDir) -> None:
    driver = drive(run, ends_at=0.0)
    trial = start(driver)
    assert report(driver, trial, evaluated(trial, 1, 0.5)) == "continue", "nothing is judged yet"


def test_a_request_to_stop_starts_nothing_more_and_ends_nothing(run: RunDir) -> None:
    driver = drive(run)
    trial = start(driver)
    stopped = drive(run, stop=True)
    assert stopped.finished
    assert stopped.next_trial() is None
    assert stopped.strategy.history[trial.trial_id].ending is None


def test_a_trial_whose_process_died_is_taken_up_again_in_another_slot(run: RunDir) -> None:
    driver = drive(run, slots=1)
    trial = start(driver)
    report(driver, trial, evaluated(trial, 1, 0.5))
    driver.lost(trial.trial_id, "its process died")
    again = driver.next_trial()
    assert again is not None
    assert (again.trial, again.reported, again.slot) == (trial, 1, 1)
    assert driver.next_trial() is None, "there is one slot"


def test_a_process_that_died_too_often_fails_its_trial_with_the_reason(run: RunDir) -> None:
    driver = drive(run)
    for _ in range(MAX_LOSSES):
        trial = start(driver)
        assert driver.strategy.history[trial.trial_id].ending is None
        driver.lost(trial.trial_id, "its process died")
    ending = driver.strategy.history["c0000"].ending
    assert ending is not None
    assert (ending.status, ending.reason) == ("failed", "its process died, 4 times")
    said = [entry["message"] for entry in run.read_journal() if entry["event"] == "lost"]
    assert len(said) == MAX_LOSSES
    assert said[0] == "c0000: its process died; it is taken up again"


def test_spot_machines_that_are_taken_away_are_no_sign_against_a_trial(run: RunDir) -> None:
    driver = drive(run)
    for _ in range(2 * MAX_LOSSES):
        driver.lost(start(driver).trial_id, TAKEN_AWAY)
    assert driver.strategy.history["c0000"].ending is None


def test_processes_that_had_waited_and_died_unheard_count_nothing(run: RunDir) -> None:
    driver = drive(run, num_trials=8, slots=8)
    first = [start(driver) for _ in range(7)]
    for trial in first[1:]:
        report(driver, trial, Ending(trial.trial_id, "completed", "done"))
    driver.lost(first[0].trial_id, "its machine has gone")
    for _ in range(6):
        assert start(driver) == first[0]
        driver.lost(first[0].trial_id, "its process had gone before")
    for _ in range(MAX_LOSSES - 1):
        assert driver.strategy.history["c0000"].ending is None
        assert start(driver) == first[0], "in a new process"
        driver.lost("c0000", "it died")
    ending = driver.strategy.history["c0000"].ending
    assert ending is not None
    assert ending.reason == "it died, 4 times"


def test_states_keep_to_their_budget_the_worst_that_wait_begin_again(
    run: RunDir, tmp_path: Path
) -> None:
    driver = drive(run, num_trials=6, slots=6, shelf=Shelf(tmp_path, max_bytes=350))
    for number, trial in enumerate([start(driver) for _ in range(6)]):
        (tmp_path / trial.trial_id).mkdir()
        (tmp_path / trial.trial_id / STATE).write_bytes(bytes(100))
        report(driver, trial, evaluated(trial, 1, 1.0 + number))
        report(driver, trial, evaluated(trial, 2, 1.0 + number), state_bytes=100)
    left = sorted(path.parent.name for path in tmp_path.glob(f"*/{STATE}"))
    assert left == ["c0000", "c0001", "c0002"], "the best stay"
    gone = [entry for entry in run.read_journal() if entry["event"] == "no room"]
    assert len(gone) == 3
    assert "it would begin again" in gone[0]["message"]


def test_a_trial_without_room_on_the_disk_stops_the_run_and_stays_as_it_is(run: RunDir) -> None:
    driver = drive(run)
    trial = start(driver)
    sent = {"events": [], "vitals": {}, "note": "", "stop_run": "no space left for state.pt"}
    assert driver.report(trial.trial_id, json.dumps(sent)).action == "continue"
    assert driver.interrupted
    assert driver.cant_go_on == "no space left for state.pt"
    driver.close()
    restored = drive(run)
    assert start(restored).trial_id == trial.trial_id


def test_no_more_trials_are_wanted_than_run_or_may_still_be_started(run: RunDir) -> None:
    driver = drive(run, num_trials=3)
    assert driver.num_wanted == 3
    trials = [start(driver), start(driver)]
    assert driver.num_wanted == 3
    for trial, loss in zip(trials, (0.1, 0.9), strict=True):
        report(driver, trial, evaluated(trial, 1, loss))
        report(driver, trial, evaluated(trial, 2, loss))
    assert driver.num_wanted == 3, "one is new, two may be called"
    last = start(driver)
    assert driver.num_wanted == 1, "nobody may be called before it has reported"
    report(driver, last, evaluated(last, 1, 0.5))
    report(driver, last, evaluated(last, 2, 0.5))
    called = start(driver)
    assert called == trials[0]
    driver.lost(called.trial_id, "its machine has gone")
    assert driver.num_wanted == 1, "it is taken up again"
    start(driver)
    report(driver, called, Ending(called.trial_id, "completed", "done"))
    assert driver.finished
    assert driver.num_wanted == 0


def test_where_time_decides_all_machines_are_wanted_until_it_is_up(run: RunDir) -> None:
    assert drive(run, strategy=Untrusted()).num_wanted == math.inf
    driver = drive(run, strategy=Untrusted(), ends_at=0.0, slots=9)
    assert driver.num_wanted == math.inf, "too little is known to end"
    trials = [start(driver) for _ in range(6)]
    for trial in trials[:5]:
        report(driver, trial, Ending(trial.trial_id, "completed", "done"))
    assert driver.num_wanted == 1


def test_machines_that_end_the_run_leave_it_as_it_is(run: RunDir) -> None:
    room = [2]

    def slots() -> int:
        if not room:
            raise RunFailed("no machine came in 20 minutes")
        return room[0]

    driver = drive(run)
    driver._slots = slots
    trial = start(driver)
    assert not driver.interrupted
    room.clear()
    assert driver.interrupted, "also where Tune asks for no trial"
    assert driver.cant_go_on == "no machine came in 20 minutes"
    assert driver.next_trial() is None
    driver.close()
    assert start(drive(run)) == trial, "it can be resumed"


def test_a_budget_for_less_than_the_running_states_is_refused_ahead() -> None:
    assert check_room(None, 1_000, 2) == check_room(10, 0, 2) == ""
    assert "8 may wait at rungs" in check_room(160_000, 1_000, 2)
    with pytest.raises(StudyError, match=r"give at least 32,000, or lower resources"):
        check_room(31_999, 1_000, 2)


def test_a_note_reaches_the_journal(run: RunDir) -> None:
    driver = drive(run)
    trial = start(driver)
    report(driver, trial, note="its state is damaged")
    assert run.read_journal()[-1]["message"] == f"{trial.trial_id}: its state is damaged"


class Untrusted(CoarsePhase):
    """A coarse phase whose subsample grows at once."""

    def __init__(self) -> None:
        super().__init__(SPACE, [], LADDER, num_trials=None, seed=0, sizes=(100, 400))

    def wants(self) -> Growth | None:
        return Growth(1, "the order doesn't hold", {"rows": 100}) if self.division == 0 else None


def test_a_subsample_that_grows_is_written_down_and_stays_so(run: RunDir) -> None:
    driver = drive(run, strategy=Untrusted())
    first = start(driver)
    assert first.division == 1
    said = run.read_journal()[-1]
    assert (said["event"], said["message"]) == ("grow", "the order doesn't hold")
    assert said["numbers"] == {"rows": 100}
    restored = drive(run, strategy=Untrusted())
    assert [start(restored).division for _ in range(2)] == [1, 1]
    assert [entry["event"] for entry in run.read_journal()] == ["grow"]


class SlowModel(FinePhase):
    """A fine phase whose model answers when it is let."""

    def __init__(self, answers: threading.Event) -> None:
        super().__init__(SPACE, SPACE, [], History(), LADDER, num_trials=None, seed=0)
        self._answers = answers

    def wants(self) -> Asked | None:
        return Asked(self._num_answers) if self.question is None else None

    def ask_model(self) -> None:
        self._question = self._answer

    def _answer(self) -> Proposals:
        assert self._answers.wait(30)
        return Proposals(({"rate": 0.25},) * 20, "gp")


def test_no_slot_waits_for_a_model_that_thinks_and_its_answer_is_taken_when_it_comes(
    run: RunDir,
) -> None:
    answers = threading.Event()
    driver = drive(run, strategy=SlowModel(answers), slots=20)
    first = start(driver)
    assert first.source == "random"
    answers.set()
    sources = [start(driver).source for _ in range(10)]
    assert "gp" in sources
    driver.close()
    restored = drive(run, strategy=SlowModel(answers))
    assert isinstance(restored.strategy, SlowModel)
    assert restored.strategy.propose(99) == driver.strategy.propose(99)


def test_no_slot_waits_while_proposals_are_left(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    answers.set()
    driver = drive(run, strategy=SlowModel(answers), slots=20)
    while not driver.strategy.has_proposals:
        start(driver)
    answers.clear()
    monkeypatch.setattr(execution_driver, "_WAIT_S", 60.0)  # the model itself gives up before
    assert [start(driver).source for _ in range(5)].count("gp") >= 3
    answers.set()
    driver.close()
