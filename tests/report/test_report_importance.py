"""What mattered in each phase: by value, and as pictures."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from test_report_data import record

from search.report.files import read_run
from search.report.importance import common_rung, what_mattered
from search.report.importance_figures import (
    importance_figure,
    isolation_figure,
    isolation_figures,
)
from search.rundir import RunDir
from search.space import Space
from search.strategy.budget import Plan
from search.strategy.importance import Importance
from search.strategy.narrow import gather_evidence
from search.trials import History


@pytest.fixture(scope="module")
def mattered(run_dir):
    return {each.phase: each for each in what_mattered(read_run(run_dir))}


def test_both_phases_are_measured_at_a_rung_of_their_own(mattered):
    assert list(mattered) == ["coarse", "fine"]
    assert mattered["coarse"].samples == 468
    assert mattered["fine"].samples == 7500, "most of fine's trials came so far"
    assert not mattered["coarse"].too_few
    assert mattered["coarse"].importances
    assert mattered["fine"].too_few
    assert mattered["fine"].importances == ()


def test_the_dimensions_come_in_the_order_of_their_importance(mattered):
    coarse = mattered["coarse"]
    names = [each.name for each in coarse.importances]
    shown = [each.dimension.name for each in coarse.isolations]
    assert shown == [name for name in names if name in shown]
    values = [each.value for each in coarse.importances]
    assert values == sorted(values, reverse=True)
    assert coarse.importance(names[0]) == coarse.importances[0]
    assert coarse.importance("nothing") is None


def test_few_trials_still_have_isolations(mattered):
    names = {each.dimension.name for each in mattered["fine"].isolations}
    assert "width" in names


def test_the_report_measures_what_narrowing_measured(driven: Path):
    run = RunDir.open(driven)
    told = {each.phase: each for each in what_mattered(read_run(driven))}["coarse"]
    ladder = Plan.from_json(run.read_json("plan.json")).ladder
    space = Space.from_json(run.read_json("space/0.json")["dimensions"])
    history = History(run.events("coarse"))
    evidence = gather_evidence(space, history, ladder, share=0.25, seed=0)
    assert told.samples == ladder.base
    assert list(told.importances) == list(evidence.importances) != []


def test_without_a_plan_or_a_space_nothing_can_be_compared(run_dir):
    run = read_run(run_dir)
    assert what_mattered(replace(run, plan={})) == []
    assert what_mattered(replace(run, spaces=())) == []
    assert what_mattered(replace(run, trials=())) == []


def test_the_common_rung_is_the_highest_that_half_have_come_to():
    lengths = [1, 2, 2, 2, 4, 4, 4, 4, 8, 8]
    trials = [record(f"c{n}", [1.0] * length) for n, length in enumerate(lengths)]
    assert common_rung(trials, (100, 200, 400, 800)) == 400
    assert common_rung(trials[:4], (100, 200, 400, 800)) == 200
    assert common_rung([record("c", [])], (100,)) is None
    assert common_rung(trials, ()) is None


def test_the_loss_at_a_rung_is_that_of_the_search():
    trial = record("c1", [3.0, 1.0, 2.0], "stopped", budget_samples=800)
    assert [trial.value_at(point) for point in (100, 200, 300, 400)] == [3.0, 1.0, 1.0, None]
    done = record("c2", [3.0, 1.0], budget_samples=800)
    assert done.value_at(800) == 1.0
    assert done.value_at(900) is None
    assert record("c3", [3.0], "failed").value_at(100) == math.inf
    assert record("c4", [math.nan], "stopped").value_at(100) == math.inf


def test_the_importance_figure_has_a_bar_and_an_interval_for_each():
    told = [Importance("rate", 0.5, 0.4, 0.7), Importance("<odd>", 0.1, 0.0, 0.2)]
    (bars,) = importance_figure(told).data
    assert list(bars.x) == [0.1, 0.5]
    assert list(bars.error_x.array) == pytest.approx([0.1, 0.2])
    assert list(bars.error_x.arrayminus) == pytest.approx([0.1, 0.1])
    assert importance_figure(told).layout.yaxis.ticktext == ("&lt;odd&gt;", "rate")


def test_the_isolation_figures_share_their_scale_and_show_each_bucket(mattered):
    isolations = mattered["coarse"].isolations
    pictures = list(isolation_figures(isolations))
    assert len({tuple(figure.layout.yaxis.range) for _, figure in pictures}) == 1
    for isolation, figure in pictures:
        best, expected = figure.data
        assert len(best.x) == len(isolation.buckets)
        judged = [each for each in isolation.buckets if math.isfinite(each.expected)]
        assert list(expected.y) == [each.expected for each in judged]
        assert all(value >= 0 for value in expected.error_y.array)


def test_a_range_is_drawn_over_its_values_and_a_choice_by_name(mattered):
    found = {each.dimension.name: each for each in mattered["coarse"].isolations}
    width = isolation_figure(found["width"])
    assert width.layout.xaxis.type == "log"
    assert max(width.data[1].error_x.array) > 0
    dropout = isolation_figure(found["dropout"])
    assert dropout.layout.xaxis.ticktext == ("0", "0.3", "0.5", "0.7")
