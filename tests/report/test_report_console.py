"""The progress of a search, and what the terminal, a pipe and a program get to see of it."""

import io
import json
import math
import threading

import pytest
from rich.console import Console

from search.report import Progress, make_display, print_summary
from search.report.console import JsonDisplay, LiveDisplay, QuietDisplay


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress("accuracy", "max", clock=clock)


def play(progress, clock, num=14):
    """A coarse phase in full swing: one failed, some stopped, two running."""
    progress.phase_started("coarse", at=1000.0, ends_by=1200.0, num_trials=20)
    for index in range(num):
        trial = f"c{index:04d}"
        config = {
            "optimizer": "adam",
            "learning_rate_adam": 3.1e-3 * (1 + index),
            "batch_size": 64,
            "weight_decay": 1e-4,
        }
        progress.trial_started(trial, config, "sobol", 1000.0 + index)
        for step in range(1, 9):
            loss = math.nan if index == 3 else (0.2 + 0.1 * index) * (1 + 8 / step)
            progress.trial_reported(trial, 100 * step, 1600, loss, loss, 1 / (1 + loss), 1001.0)
        if index == 3:
            progress.trial_ended(trial, "failed", "the loss is\nNaN", 1002.0)
        elif index % 2:
            progress.trial_ended(trial, "stopped", "rung 1: not in the best third", 1003.0)
        elif index < num - 2:
            progress.trial_ended(trial, "completed", "", 1004.0)
    progress.message("rank correlation 0.81 between rungs", "coarse", 1005.0)
    clock.now = 1050.0


def test_empty_progress_knows_nothing(progress):
    assert progress.phase is None
    assert progress.best is None
    assert progress.budget_used is None
    assert progress.eta_seconds is None
    assert progress.counts()["started"] == 0


def test_counts_best_and_losses(progress, clock):
    play(progress, clock)
    assert progress.phase == "coarse"
    assert progress.counts() == {
        "started": 14,
        "running": 1,
        "paused": 0,
        "completed": 6,
        "stopped": 6,
        "failed": 1,
    }
    assert progress.best.trial_id == "c0000"
    assert progress.best.best_loss == pytest.approx(0.4)
    assert progress.best.best_metric == pytest.approx(1 / 1.4)
    best = progress.best_trials()
    assert len(best) == 10
    assert "c0003" not in [trial.trial_id for trial in best]
    assert len(best[0].losses) == 8


def test_budget_and_eta_take_the_nearer_limit(progress, clock):
    play(progress, clock)
    done = (13 + 0.5) / 20
    assert progress.budget_used == pytest.approx(done)
    assert progress.eta_seconds == pytest.approx(50.0 * (1 - done) / done)
    clock.now = 1190.0
    assert progress.budget_used == pytest.approx(0.95)
    assert progress.eta_seconds == pytest.approx(10.0)
    clock.now = 1500.0
    assert (progress.budget_used, progress.eta_seconds) == (1.0, 0.0)


def test_an_open_phase_has_no_share(progress, clock):
    progress.phase_started("fine", at=1000.0, ends_by=None, num_trials=None)
    assert progress.budget_used is None
    assert progress.eta_seconds is None


def test_recent_keeps_the_last_eight_with_reasons(progress, clock):
    play(progress, clock, num=30)
    recent = progress.recent
    assert len(recent) == 8
    assert recent[-1].text == "rank correlation 0.81 between rungs"
    assert recent[-2].text == "c0029 stopped: rung 1: not in the best third"


def test_phases_are_kept_apart(progress, clock):
    play(progress, clock)
    progress.phase_ended("coarse", 1060.0)
    progress.phase_started("fine", at=1061.0, ends_by=None, num_trials=5)
    assert progress.trials() == []
    assert progress.counts("coarse")["started"] == 14
    assert progress.elapsed("coarse") == 60.0


def test_a_resumed_run_may_report_on_unknown_trials(progress):
    progress.phase_started("coarse", at=1000.0, ends_by=None, num_trials=1)
    progress.trial_reported("c0001", 10, 20, 1.0, 1.0, 0.5, 1001.0)
    progress.trial_started("c0001", {"x": 1}, "sobol", 1002.0)
    assert progress.best.trial_id == "c0001"


def drawn(progress, width):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False, color_system=None)
    console.print(LiveDisplay(progress, console).render())
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_live_picture_fits_without_wrapping(progress, clock, width):
    play(progress, clock)
    lines = drawn(progress, width).splitlines()
    assert max(map(len, lines)) <= width
    # Head, counts, best; table head and ten rows; a gap and eight events.
    assert len(lines) == 3 + 11 + 1 + 8
    assert sum(line.startswith("c00") for line in lines) == 10


def test_live_picture_tells_the_state(progress, clock):
    play(progress, clock)
    picture = drawn(progress, 120)
    assert "coarse" in picture
    assert "68 %" in picture
    assert "24.1 s left" in picture
    assert "best c0000  validation loss 0.4  accuracy 0.7143" in picture
    assert "█▅▄▃▂▁▁▁" in picture
    assert "opt=adam lr_adam=0.0031 batch=64" in picture
    assert "coarse c0013 stopped: rung 1: not in the best third" in picture
    assert "the loss is NaN" in picture


def test_live_picture_before_anything_happened(progress):
    assert "starting" in drawn(progress, 80)
    assert "no trial yet" in drawn(progress, 80)


def test_live_display_runs_while_another_thread_reports(progress, clock):
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True)
    with LiveDisplay(progress, console) as display:
        worker = threading.Thread(target=play, args=(progress, clock, 200))
        worker.start()
        while worker.is_alive():
            display.refresh()
        worker.join()
        progress.phase_ended("coarse", 1060.0)
    assert "coarse: 200 trials" in stream.getvalue()


def test_quiet_display_is_one_plain_line_each(progress, clock):
    stream = io.StringIO()
    with QuietDisplay(progress, stream):
        play(progress, clock)
        progress.phase_ended("coarse", 1031.2)
    assert stream.getvalue().splitlines() == [
        "coarse: started, 20 trials, at most 3 min 20 s",
        "coarse: rank correlation 0.81 between rungs",
        "coarse: 14 trials, 6 completed, 6 stopped, 1 failed, best val loss 0.4 (c0000), 31.2 s",
    ]
    assert "\x1b" not in stream.getvalue()


def test_json_display_is_one_object_a_line(progress, clock):
    stream = io.StringIO()
    with JsonDisplay(progress, stream):
        play(progress, clock, num=4)
        progress.phase_ended("coarse", 1031.2)
    lines = stream.getvalue().splitlines()
    events = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert events[0]["event"] == "phase_started"
    assert any(event.get("validation_loss", 0) is None for event in events)
    assert events[-1] == {"event": "phase_ended", "phase": "coarse", "at": 1031.2}


def test_the_factory_looks_at_the_place(progress, capsys):
    pipe = Console(file=io.StringIO(), force_terminal=False)
    terminal = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})
    assert isinstance(make_display(progress, json=False, console=pipe), QuietDisplay)
    assert isinstance(make_display(progress, json=False, console=terminal), LiveDisplay)
    assert isinstance(make_display(progress, json=True), JsonDisplay)
    progress.message("hello", "coarse", 1.0)
    said = capsys.readouterr()
    assert json.loads(said.out)["text"] == "hello"
    assert pipe.file.getvalue() == "coarse: hello\n"


def summary(result, report, **options):
    stream = io.StringIO()
    print_summary(result, report, Console(file=stream, width=60, **options))
    return stream.getvalue()


def test_summary_of_a_complete_run(run_dir):
    result = json.loads((run_dir / "result.json").read_text())
    lines = summary(result, "s3://bucket/run/report.html").splitlines()
    assert lines[0] == result["comparison"]["statement"]
    assert lines[1].startswith("winner     test accuracy 0.")
    assert "±" in lines[1]
    assert "over 3 seeds" in lines[2]
    assert "95 % interval [" in lines[3]
    assert lines[4] == (
        "ensemble   test accuracy 0.934 with 3 models: +0.0040 [+0.0010, +0.0070] "
        "against the single winner (better)"
    )
    assert lines[5] == "report     s3://bucket/run/report.html"
    assert "\x1b" not in "".join(lines)


def test_summary_of_an_interrupted_run():
    nothing = {"winner": None, "baseline": None, "comparison": None}
    said = summary({"status": "interrupted", "metric": "accuracy"} | nothing, None)
    assert said.strip() == "The run was interrupted before its end."


def test_summary_says_why_the_default_stays_though_a_finalist_is_better_on_test(run_dir):
    result = json.loads((run_dir / "result.json").read_text())
    assert result["comparison"]["verdict"] == "better"
    result["winner"] = {**result["baseline"], "trial_id": "baseline"}
    said = " ".join(summary(result, None).split())
    assert "That is the best finalist; on validation" in said
    assert "the published default did best: it stays." in said
