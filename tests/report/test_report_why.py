"""A trial explained in the terminal: plain when piped, complete, in lines."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from search.events import PHASES
from search.insight.why import explain
from search.report import print_why
from search.rundir import RunDir
from search.trials import History


@pytest.fixture
def run(driven: Path) -> RunDir:
    return RunDir.open(driven)


def printed(run: RunDir, name: str | None = None, **options: object) -> str:
    stream = io.StringIO()
    print_why(explain(run, name), Console(file=stream, width=60, **options))
    return stream.getvalue()


def row(text: str, title: str) -> list[str]:
    """Return the lines beside a title."""
    lines = text.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith(title))
    more = lines[first + 1 :]
    end = next((place for place, line in enumerate(more) if line[:1] != " "), len(more))
    return [line[15:] for line in (lines[first], *more[:end])]


def test_the_winner_is_told_with_its_rivals(run: RunDir) -> None:
    text = printed(run)
    answer = explain(run)
    winner = answer.winner
    assert text.startswith(f"{winner}  fine  the winner  {answer.explanation.state}\n")
    assert row(text, "came of it")[0].startswith("the winner. ")
    proof = row(text, "the proof")
    assert proof[0].startswith(f"{winner}")
    assert sum(line.startswith("not taken: ") for line in proof) == 2
    assert "± " in proof[0]
    assert "\x1b" not in text


def test_each_decision_is_a_line_with_its_numbers(run: RunDir) -> None:
    told = explain(run).explanation
    lines = row(printed(run), "decisions")
    assert len(lines) == len(told.steps)
    judged = [step for step in told.steps if step.rank is not None]
    for step in judged:
        (line,) = [each for each in lines if step.reason in each]
        assert line.lstrip().startswith(f"{step.samples:,}")


def test_what_differs_from_the_default_stands_beside_it(run: RunDir) -> None:
    lines = row(printed(run, "c0001"), "configuration")
    assert lines[0] == "beside the published default, a paper"
    assert lines[1].split() == ["rate", "0.9", "0.001"]
    assert lines[2] == "the same: kind=plain"
    same = row(printed(run, "baseline"), "configuration")
    assert same == ["the published default's, a paper", "rate=0.001 kind=plain"]


def test_the_curve_has_a_picture_and_three_places(run: RunDir) -> None:
    picture, *places = row(printed(run), "curve")
    assert set(picture) <= set("▁▂▃▄▅▆▇█")
    assert [line.split()[0] for line in places] == ["start", "best", "last"]
    assert "accuracy" in places[0]


def test_a_pause_that_came_to_nothing_isn_t_told_twice(run: RunDir) -> None:
    stopped = next(
        r.trial.trial_id
        for r in History(run.events("coarse"))
        if r.ending is not None and r.ending.reason.endswith("; not called again")
    )
    *_, last = row(printed(run, stopped), "decisions")
    assert last.endswith("stopped: not called again")


@pytest.mark.parametrize("phase", PHASES)
def test_every_trial_can_be_told_in_colour_and_without(run: RunDir, phase: str) -> None:
    for record in History(run.events(phase)):
        plain = printed(run, record.trial.trial_id)
        assert "\x1b" not in plain
        coloured = printed(run, record.trial.trial_id, force_terminal=True)
        assert record.trial.trial_id in coloured
