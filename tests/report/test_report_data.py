"""The report's numbers by value, and that figures draw them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.report import figures, search_figures, text
from search.report.canvas import axis, log_ticks, trial_text
from search.report.cost import cost_table
from search.report.data import (
    config_rows,
    contenders,
    estimate,
    failures,
    mean_curve,
    phase_curves,
    published_source,
    reached,
    scores_by_seed,
    verdict_rows,
)
from search.report.files import PHASES, Point, TrialRecord, read_run
from search.report.spaces import space_rows
from search.report.strips import strips


@pytest.fixture(scope="module")
def run(run_dir):
    return read_run(run_dir)


def record(trial_id, losses, status="completed", **own):
    points = tuple(
        Point(100 * index, 100 * index, loss, loss, 0.5, 0.5, loss)
        for index, loss in enumerate(losses, start=1)
    )
    finite = [loss for loss in losses if math.isfinite(loss)]
    values = {
        "trial_id": trial_id,
        "phase": "coarse",
        "source": "sobol",
        "config": {"x": 1.0},
        "status": status,
        "reason": "",
        "seed": 0,
        "samples_seen": 100 * len(losses),
        "best_validation_loss": min(finite, default=math.nan),
        "best_samples": 100,
        "points": points,
    }
    rest = TrialRecord.__dataclass_fields__.keys() - values.keys()
    return TrialRecord(**(values | dict.fromkeys(rest, math.nan) | own))


def test_estimate_is_students():
    found = estimate([0.90, 0.92, 0.91, math.nan])
    assert found.n == 3
    assert found.mean == pytest.approx(0.91)
    assert found.sd == pytest.approx(0.01)
    assert found.high - found.mean == pytest.approx(4.302653 * 0.01 / math.sqrt(3))


def test_estimate_of_one_seed_has_no_interval():
    found = estimate([0.5])
    assert (found.mean, found.n) == (0.5, 1)
    assert math.isnan(found.sd)
    assert math.isnan(found.low)
    assert math.isnan(estimate([]).mean)


def test_contenders_winner_first_baseline_last(run):
    found = contenders(run)
    assert [each.role for each in found] == ["winner", "finalist", "finalist", "baseline"]
    assert found[0].name == run.result["winner"]["trial_id"]
    assert found[0].test.mean == pytest.approx(run.result["winner"]["test"]["mean"])
    assert found[0].difference.value == pytest.approx(run.result["comparison"]["difference"])
    assert [trial.seed for trial in found[1].trials] == [11, 12, 13]
    assert found[1].validation.mean >= found[2].validation.mean
    assert found[1].difference.value == pytest.approx(found[1].test.mean - found[3].test.mean)
    assert [found[0].difference.low, found[0].difference.high] == pytest.approx(
        run.result["comparison"]["ci95"]
    )
    assert found[3].difference is None
    assert [each.wins for each in found] == [True, False, False, False]


def test_a_failed_seed_does_not_count(run):
    trials = [*contenders(run)[0].trials, record("r9", [1.0], "failed", seed=99, test_metric=0.1)]
    assert set(scores_by_seed(trials)) == {11, 12, 13}


def test_the_baseline_says_where_it_was_published(run, coarse_dir):
    assert published_source(run) == "Gorishniy et al. 2021, table 2"
    assert published_source(read_run(coarse_dir)) == ""


def test_a_trial_that_the_time_limit_cut_off_is_unfinished(run):
    cut = run.of_phase("fine")[1]
    assert (cut.status, cut.reason) == ("unfinished", "")
    names = {trace.name for trace in search_figures.phase_figure(phase_curves(run, "fine")).data}
    assert "unfinished" in names


def test_mean_curve_goes_as_far_as_all_seeds():
    mean = mean_curve([record("a", [3.0, 2.0, 1.0]), record("b", [1.0, 1.0])])
    assert mean.samples_seen == [100.0, 200.0]
    assert mean.validation_loss == [2.0, 1.5]
    assert mean_curve([]).train_loss == []


def test_phase_curves_keep_the_best_and_count_the_rest(run):
    curves = phase_curves(run, "coarse", limit=10)
    best = min((t for t in run.of_phase("coarse")), key=lambda trial: trial.loss)
    assert curves.best == best.trial_id == curves.trials[-1].trial_id
    assert (len(curves.trials), curves.left_out) == (10, 29)
    assert [trial.trial_id for trial in curves.undrawable] == ["c0005"]


def test_exploding_losses_do_not_stretch_the_axis(run):
    assert phase_curves(run, "coarse").top < 3.0
    figure = search_figures.phase_figure(phase_curves(run, "coarse"))
    assert 10 ** figure.layout.yaxis.range[1] < 4.0


def test_failed_trials(run):
    assert failures(run)
    assert {trial.status for trial in failures(run)} == {"failed"}
    assert all(trial.loss == math.inf for trial in failures(run))
    assert reached(run) == ["coarse", "fine", "confirm"]


def test_config_rows_show_both_sides():
    rows = config_rows({"a": 1, "b": 2}, {"a": 1, "c": 3})
    assert [(row.name, row.winner, row.baseline, row.differs) for row in rows] == [
        ("a", 1, 1, False),
        ("b", 2, None, True),
        ("c", None, 3, True),
    ]


def test_space_rows_by_value(run):
    rows = {row.name: row for row in space_rows(run.space_before, run.space_after)}
    assert [row.group for row in rows.values()] == sorted(
        (row.group for row in rows.values()),
        key=["learning rate and optimizer", "capacity and batch size", "regularisation"].index,
    )
    rate = rows["learning_rate_adam"]
    assert (rate.before.left, rate.before.width, rate.log) == (0.0, 100.0, True)
    assert rate.after.left == pytest.approx(100 * math.log10(4e-4 / 1e-5) / 4, abs=0.01)
    assert (rate.after.low, rate.after.high, rate.change) == ("4e-4", "0.009", "narrowed")
    assert rate.condition == "only with optimizer = adam"
    states = [(chip.text, chip.state) for chip in rows["batch_size"].chips]
    assert states == [
        ("32", "kept"),
        ("64", "kept"),
        ("128", "kept"),
        ("256", "dropped"),
        ("512", "dropped"),
    ]
    assert rows["batch_size"].change == "narrowed"
    assert (rows["normalisation"].fixed, rows["normalisation"].change) == ("batch", "fixed")
    assert rows["width"].before.width < rows["width"].after.width == 100.0
    assert (rows["momentum"].after, rows["momentum"].change) == (None, "dropped")
    assert rows["dropout"].change == "kept"


def test_space_rows_before_narrowing(run):
    rows = space_rows(run.space_before, None)
    assert len(rows) == 12
    assert {row.change for row in rows} == {""}
    assert {chip.state for row in rows for chip in row.chips} == {"kept"}


def test_a_fixed_dimension_as_the_space_writes_it():
    before = {"dimensions": [{"name": "x", "type": "float", "low": 0.0, "high": 2.0}]}
    after = {"dimensions": [{"name": "x", "type": "fixed", "value": 0.5}]}
    (row,) = space_rows(before, after)
    assert (row.fixed, row.change, row.after) == ("0.5", "fixed", None)


def test_strips_put_failed_trials_at_the_edge(run):
    found = {strip.name: strip for strip in strips(run)}
    assert "normalisation" in found  # fixed in fine, searched in coarse
    assert len(found["width"].dots) == 55
    failed = [dot for dot in found["width"].dots if dot.trial.status == "failed"]
    assert {dot.y for dot in failed} == {found["width"].losses[1]}
    assert found["width"].span == (16, 1024)
    assert found["learning_rate_adam"].window == (4e-4, 9e-3)
    choice = found["dropout"]
    for dot in choice.dots:
        place = ["0", "0.3", "0.5", "0.7"].index(text.number(dot.trial.config["dropout"]))
        assert abs(dot.x - place) <= 0.3


def test_cost_comes_from_the_result(run):
    table = cost_table(run)
    assert [row.phase for row in table.rows] == ["coarse", "fine", "confirm", "total"]
    keys = [measure.key for measure in table.measures]
    wall = keys.index("wall_seconds")
    assert [row.cells[wall].shown for row in table.rows] == [
        "2 min 51 s",
        "1 min 38 s",
        "2 min 51 s",
        "6 min 50 s",
    ]
    assert table.rows[1].cells[wall].percent == pytest.approx(57.3)
    assert table.rows[0].cells[keys.index("training_share")].shown == "87 %"
    assert table.rows[3].cells[wall].percent == 0.0


def test_cost_is_added_up_without_a_result(coarse_dir):
    run = read_run(coarse_dir)
    table = cost_table(run)
    keys = [measure.key for measure in table.measures]
    assert "training_share" not in keys
    assert [row.phase for row in table.rows] == ["coarse"]
    seen = table.rows[0].cells[keys.index("samples_seen")].value
    assert seen == sum(trial.samples_seen for trial in run.trials)
    assert table.rows[0].cells[keys.index("wall_seconds")].value == pytest.approx(81.0)


def test_training_figure_draws_every_seed_and_the_mean(run):
    winner = contenders(run)[0]
    figure = figures.training_figure(winner, "accuracy")
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert len(lines) == 2 * 2 * (3 + 1)
    assert sum(trace.mode == "markers" for trace in figure.data) == 6
    assert len({trace.yaxis for trace in figure.data}) == 2


def test_training_figure_survives_a_seed_that_failed(run):
    winner = contenders(run)[0]
    failed = record("r9", [2.0, math.nan], "failed", test_metric=math.nan)
    both = type(winner)(**(winner.__dict__ | {"trials": (*winner.trials, failed)}))
    assert figures.training_figure(both, "accuracy").to_json()
    assert figures.confirmation_figure([both], "accuracy").to_json()


def test_hover_text_is_escaped_and_short():
    words = trial_text(record("t", [1.0], config={"<a>": "&" * 200, "b": 1}, reason="w " * 90))
    assert "&lt;a&gt;" in words
    assert "<a>" not in words
    assert max(len(line) for line in words.split("<br>")[:3]) < 60


def test_axis_is_logarithmic_only_where_it_helps():
    assert axis([1.0, 2.0, math.nan], text.number)["nticks"] == 6
    assert axis([0.1, 2.0], text.number)["type"] == "log"
    assert "type" not in axis([-1.0, 100.0], text.number)
    assert axis([math.nan], text.number) == {}
    assert axis([2.0], text.number)["range"] == [1.5, 2.5]


@given(st.floats(1e-8, 1e6), st.floats(1.01, 1e9), st.integers(2, 8))
def test_log_ticks_lie_inside_and_rise(low, ratio, most):
    ticks = log_ticks(low, low * ratio, most)
    assert len(ticks) <= most
    assert all(low <= tick <= low * ratio for tick in ticks)
    assert list(ticks) == sorted(set(ticks))


def test_verdict_rows_count_by_phase_with_what_they_ask_for(run) -> None:
    rows = {row.name: row for row in verdict_rows(run)}
    failed = [sum(t.verdict == "exploding" for t in run.of_phase(p)) for p in PHASES]
    assert rows["exploding"].counts == tuple(failed)
    assert rows["exploding"].proposal == "lower the learning rate"
    assert sum(map(sum, (row.counts for row in rows.values()))) == len(run.trials)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0031234, "0.003123"),
        (1.2e-5, "1.2e-5"),
        (12345, "12,345"),
        (1234.5678, "1,235"),
        (99999.6, "100,000"),
        (True, "True"),
        ("adam", "adam"),
        (None, "—"),
        (math.nan, "—"),
        (-math.inf, "-∞"),
        (0.0, "0"),
        (2.5e7, "2.5e7"),
    ],
)
def test_number(value, shown):
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0 s"),
        (0.045, "45 ms"),
        (31.24, "31.2 s"),
        (59.97, "1 min 00 s"),
        (7500, "2 h 05 min"),
        (None, "—"),
    ],
)
def test_seconds(value, shown):
    assert text.seconds(value) == shown


def test_mean_sd_and_interval_share_their_places():
    assert text.mean_sd(0.88123, 0.0042) == "0.8812 ± 0.0042"
    assert text.mean_sd(0.5, None) == "0.5"
    assert text.mean_sd(None, None) == "—"
    assert text.mean_sd(0.5, 0.0) == "0.5000 ± 0.0000"
    assert text.interval(-0.0123, 0.0312, True) == "[-0.012, +0.031]"
    assert text.interval(None, None) == "—"
    assert text.difference(0.01234, -0.0123, 0.0312) == "+0.012"
    assert text.aligned([0.91123, 0.898]) == ["0.9112", "0.8980"]
    assert (text.count(950), text.count(12_300), text.count(999_900)) == ("950", "12.3k", "1M")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60))
def test_sparkline_fits_for_any_values(values):
    drawn = text.sparkline(values, 12)
    assert len(drawn) == min(len(values), 12)
    assert set(drawn) <= set("▁▂▃▄▅▆▇█x")


def test_sparkline_is_logarithmic():
    assert text.sparkline(list(np.geomspace(100, 1, 8))) == "█▇▆▅▄▃▂▁"
    assert text.sparkline([1.0, math.nan, 0.5]) == "█x▁"
    assert text.sparkline([2.0, 2.0]) == "▅▅"


def test_tiny_units_keep_their_digits():
    assert text.mean_sd(3.21e-8, 1e-9) == "3.210e-08 ± 1.000e-09"
    assert text.interval(-1e-9, 3e-9, True) == "[-1.000e-09, +3.000e-09]"
    assert text.difference(1e-9, -1e-9, 3e-9) == "+1.000e-09"


def test_what_narrowing_fixed_keeps_its_picture_and_what_the_study_fixed_has_none(
    tmp_path, build_run
):
    run_dir = build_run(tmp_path / "run")
    before, after = (json.loads((run_dir / "space" / f"{n}.json").read_text()) for n in (0, 1))
    first, second = "num_layers", "weight_decay"
    for space in (before, after):
        for each in space["dimensions"]:
            if each["name"] == second or (each["name"] == first and space is after):
                middle = each["low"] if "low" in each else each["value"]
                each |= {"type": "fixed", "value": middle}
                for key in ("low", "high", "log"):
                    each.pop(key, None)
    after["evidence"] = []
    for number, space in enumerate((before, after)):
        (run_dir / "space" / f"{number}.json").write_text(json.dumps(space))
    run = read_run(run_dir)
    drawn = {strip.name: strip for strip in strips(run)}
    assert second not in drawn
    assert drawn[first].values == ()
    rows = {row.name: row for row in space_rows(run.space_before, run.space_after)}
    assert rows[first].change == "fixed"
    assert rows[second].change == "kept"
