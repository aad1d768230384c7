from search.events import Ending, Evaluation, Event, Pause, Promotion, Trial
from search.insight.trail import Judgements, trail

TRIAL = Trial("c0001", "coarse", "sobol", {"rate": 0.1}, 0, 90, (5, 10, 30, 90))
OTHER = Trial("c0002", "coarse", "sobol", {"rate": 0.2}, 1, 90, (5, 10, 30, 90))


def evaluated(point: int, loss: float = 0.5, trial: Trial = TRIAL) -> Evaluation:
    number = 1 + trial.points.index(point)
    return Evaluation(trial.trial_id, number, point, point, loss, loss, 0.5, 0.5, 0.1, 1.0)


def entry(trial: str, event: str, said: str, phase: str = "coarse", **numbers: object) -> dict:
    return {"phase": phase, "event": event, "message": f"{trial}: {said}", "numbers": numbers}


def judged(event: str, samples: int, rank: int, of: int, limit: float | None, loss: float = 0.5):
    numbers = {"samples": samples, "rank": rank, "of": of, "limit": limit, "loss": loss, "rung": 0}
    return entry("c0001", event, f"loss {loss} is {rank} of {of}", **numbers)


def told(events: list[Event], journal: list[dict]):
    return trail(TRIAL, events, Judgements(journal, "coarse"))


def test_a_rung_passed_at_once_then_a_pause_a_call_and_the_end() -> None:
    reason = "loss 0.4 is 3 of 3"
    events = [
        TRIAL,
        OTHER,
        evaluated(5),
        evaluated(10),
        evaluated(10, 0.9, OTHER),
        evaluated(30, 0.4),
        Pause("c0001", reason),
        Ending("c0002", "stopped", "the phase's time is up"),
        Promotion("c0001", 90, "among the best 1/3 of its rung by now"),
        evaluated(90, 0.3),
        Ending("c0001", "completed", "trained for its whole budget"),
    ]
    journal = [
        judged("promote", 10, 1, 3, 0.5),
        judged("pause", 30, 3, 3, 0.2, 0.4),
        entry("c0001", "promote", "among the best 1/3 of its rung by now", samples=90),
    ]
    steps = told(events, journal)
    assert [step.kind for step in steps] == ["kept", "paused", "called", "completed"]
    assert [step.samples for step in steps] == [10, 30, 30, 90]
    assert (steps[0].rank, steps[0].of, steps[0].loss, steps[0].limit) == (1, 3, 0.5, 0.5)
    assert (steps[1].reason, steps[1].limit) == (reason, 0.2)
    assert steps[2].goes_to == 90
    assert steps[3].reason == "trained for its whole budget"


def test_a_second_look_isn_t_judged_at_the_rungs_above() -> None:
    events = [
        TRIAL,
        evaluated(10),
        Pause("c0001", "last of 9"),
        Promotion("c0001", 90, "a second look, by lot: its curve is flat", is_look=True),
        evaluated(30),
        evaluated(90),
        Ending("c0001", "completed", "trained for its whole budget"),
    ]
    journal = [judged("pause", 10, 9, 9, 0.1), {**judged("pause", 30, 1, 2, 0.2)}]
    journal[1]["message"] = "c0002: loss 0.5 is 1 of 2"
    steps = told(events, journal)
    assert [step.kind for step in steps] == ["paused", "looked at", "passed", "completed"]
    assert steps[1].reason == "a second look, by lot: its curve is flat"
    assert (steps[2].rank, steps[2].reason) == (None, "")


def test_what_the_journal_lost_in_a_crash_still_stands_in_the_events() -> None:
    events = [TRIAL, evaluated(10), Pause("c0001", "loss 0.5 is 9 of 9")]
    (step,) = told(events, [])
    assert (step.kind, step.samples, step.reason) == ("paused", 10, "loss 0.5 is 9 of 9")
    assert (step.rank, step.of, step.limit) == (None, None, None)


def test_a_stop_and_a_failure_end_it_with_their_reasons() -> None:
    for status in ("stopped", "failed"):
        events = [TRIAL, evaluated(5), Ending("c0001", status, "too slow")]
        (step,) = told(events, [entry("c0001", "stop", "too slow")])
        assert (step.kind, step.samples, step.reason) == (status, 5, "too slow")


def test_a_verdict_that_ends_it_is_no_judgement_at_a_rung() -> None:
    said = "too-long: nothing was gained after 5%; 10 of 13 at 7 samples"
    journal = [
        judged("promote", 5, 1, 13, 0.5),
        entry("c0001", "stop", said, settled_at=0.05, rank=10, of=13),
        entry("the order after 5 samples", "trust", "rank correlation 0.9", rung=5, later=10),
    ]
    events = [TRIAL, evaluated(5), evaluated(10), Ending("c0001", "stopped", said)]
    kept, stopped = told(events, journal)
    assert (kept.kind, kept.rank) == ("kept", 1)
    assert (stopped.kind, stopped.samples, stopped.reason) == ("stopped", 10, said)
    assert Judgements(journal, "coarse").notes("c0001") == ()


def test_notes_are_what_isn_t_told_by_the_events() -> None:
    journal = [
        entry("c0001", "stop", "too slow"),
        entry("c0001", "note", "its state is damaged"),
        entry("c0001", "note", "of another phase", phase="fine"),
        {"phase": "coarse", "event": "plan", "message": "rungs 1 / 2", "numbers": {}},
        {"phase": "coarse"},
    ]
    found = Judgements(journal, "coarse")
    assert found.notes("c0001") == ("its state is damaged",)
    assert found.notes("c0002") == ()
    assert found.rungs == set()
