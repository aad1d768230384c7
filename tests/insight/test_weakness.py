"""Classes, pairs, rows, and what no tuning will mend, counted from what several runs say."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, log_loss, mean_absolute_error, recall_score
from tables import adults, certain, features, judged

from search.insight.classes import worst_classes, worst_confusions
from search.insight.judgement import Judgement, Panel, Truth
from search.insight.samples import suspected_mislabels
from search.insight.slices import LEVEL
from search.insight.unfixable import find_unfixable
from search.insight.weakness import find_weakness, measure_again
from search.training.predictions import Predictions

NAMES = ("cat", "dog", "fox")
ROWS = np.arange(300)
CODES = np.random.default_rng(0).integers(0, 3, 300)
TRUTH = Truth(CODES, NAMES, name="animal")


def said(seed: int, wrong: float = 0.2) -> np.ndarray:
    """Return what a model says that errs on a share of the rows."""
    random = np.random.default_rng(seed)
    shift = np.where(random.random(300) < wrong, random.integers(1, 3, 300), 0)
    return (CODES + shift) % 3


def says(codes: np.ndarray, confidence: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    return ROWS, certain(codes, 3, confidence)


# ---------------------------------------------------------------------- what runs say


def test_a_run_s_error_and_loss_are_those_of_its_outputs() -> None:
    outputs = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
    found = judged(TRUTH, (ROWS, outputs))
    assert found.error.mean() == pytest.approx((outputs.argmax(1) != CODES).mean())
    assert found.loss.mean() == pytest.approx(log_loss(CODES, found.said), rel=1e-5)


@given(st.integers(0, 1_000))
@settings(max_examples=20)
def test_runs_with_rows_of_their_own_are_put_together(seed: int) -> None:
    random = np.random.default_rng(seed)
    codes = said(seed)
    parts = np.array_split(random.permutation(300), 3)
    runs = [(rows, certain(codes[rows], 3)) for rows in parts]
    one, all_at_once = judged(TRUTH, *runs), judged(TRUTH, says(codes))
    assert np.array_equal(one.rows, ROWS)
    assert np.array_equal(one.error, all_at_once.error)
    assert one.confusions == all_at_once.confusions
    assert (one.num_runs, all_at_once.num_runs) == (3, 1)


def test_a_row_that_several_runs_have_judged_counts_once() -> None:
    found = judged(TRUTH, says(CODES), says((CODES + 1) % 3))
    assert set(found.error) == {0.5}
    assert not found.always_errs.any()
    assert sum(found.confusions.values()) == pytest.approx(150)


def test_a_run_that_says_nothing_finite_is_left_out() -> None:
    broken = certain(CODES, 3)
    broken[7] = np.nan
    found = judged(TRUTH, says(CODES), (ROWS, broken))
    assert found.num_runs == 1
    assert Judgement.of([Predictions(ROWS, broken)], TRUTH) is None
    assert Judgement.of([], TRUTH) is None


def test_certainty_without_a_doubt_has_a_finite_loss() -> None:
    with np.errstate(divide="ignore"):
        outputs = np.log(np.eye(3)[(CODES + 1) % 3]).astype(np.float32)
    assert judged(TRUTH, (ROWS, outputs)).loss.max() < np.inf


# ---------------------------------------------------------------------- classes


def test_classes_and_pairs_are_those_of_the_confusion_matrix() -> None:
    codes = said(3, 0.3)
    found = judged(TRUTH, says(codes))
    matrix, recalls = confusion_matrix(CODES, codes), recall_score(CODES, codes, average=None)
    for each in worst_classes(found, 10):
        code = NAMES.index(each.name)
        assert each.num_rows == matrix[code].sum()
        assert each.recall.value == pytest.approx(recalls[code])
        assert each.recall.low < each.recall.value < each.recall.high
    pairs = worst_confusions(found, 10)
    assert [each.num_rows for each in pairs] == sorted(matrix[~np.eye(3, dtype=bool)])[::-1]
    for pair in pairs:
        row = matrix[NAMES.index(pair.truth)]
        assert pair.num_rows == row[NAMES.index(pair.said)]
        assert pair.share.value == pytest.approx(pair.num_rows / row.sum())


def test_a_class_s_interval_holds_for_all_classes_together() -> None:
    misses, chance = 0, np.array([0.9, 0.7, 0.5])
    for seed in range(200):
        random = np.random.default_rng(seed)
        codes = np.where(random.random(300) < chance[CODES], CODES, (CODES + 1) % 3)
        found = worst_classes(judged(TRUTH, says(codes)), 10)
        truths = [chance[NAMES.index(each.name)] for each in found]
        inside = [e.recall.low <= t <= e.recall.high for e, t in zip(found, truths, strict=True)]
        misses += not all(inside)
    assert misses <= 2 * 200 * LEVEL


def test_a_class_without_rows_and_a_model_without_errors_do_no_harm() -> None:
    truth = Truth(np.zeros(300, dtype=np.int64), NAMES)
    found = find_weakness("f1", judged(truth, says(np.zeros(300, dtype=int))), adults(300))
    assert [each.name for each in found.classes] == ["cat"]
    assert (found.confusions, found.slices, found.mislabels) == ((), (), ())


# ---------------------------------------------------------------------- rows


def test_the_sheet_shows_the_rows_with_the_highest_loss() -> None:
    outputs = np.random.default_rng(1).normal(0, 3, (300, 3)).astype(np.float32)
    table = adults(300)
    found = find_weakness("f1", judged(TRUTH, (ROWS, outputs)), table)
    chances = softmax(outputs.astype(np.float64))
    losses = [log_loss([c], [o], labels=[0, 1, 2]) for c, o in zip(CODES, chances, strict=True)]
    assert [each.row for each in found.samples] == list(np.argsort(losses)[::-1][:24])
    first = found.samples[0]
    assert (first.truth, first.said) == (
        NAMES[CODES[first.row]],
        NAMES[outputs[first.row].argmax()],
    )
    assert first.probability == pytest.approx(np.exp(-first.loss))
    assert first.values["age"] == table.numeric["age"][first.row]


def softmax(outputs: np.ndarray) -> np.ndarray:
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_a_label_is_suspect_where_all_models_agree_against_it() -> None:
    flipped = np.array([5, 50, 150])
    labels = CODES.copy()
    labels[flipped] = (labels[flipped] + 1) % 3
    truth = Truth(labels, NAMES)
    one = judged(truth, says(np.where(ROWS == 9, (CODES + 1) % 3, CODES), 0.95))
    other = judged(truth, says(CODES, 0.99))
    table = adults(300)
    panel = Panel.of({"f1": one, "baseline": other})
    assert sorted(each.row for each in suspected_mislabels(panel, table, 24)) == [5, 50, 150]
    alone = suspected_mislabels(Panel.of({"f1": one}), table, 24)
    assert sorted(each.row for each in alone) == [5, 9, 50, 150]


def test_a_number_is_suspect_where_all_models_are_far_off_to_one_side() -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=300).astype(np.float32)
    target[[3, 30]] += 8.0
    truth = Truth(target, scale=(50.0, 10.0))
    clean = np.where(np.isin(ROWS, [3, 30]), target - 8.0, target)
    models = {
        name: judged(truth, (ROWS, (clean + random.normal(0, 0.1, 300))[:, None]))
        for name in ("f1", "baseline")
    }
    found = suspected_mislabels(Panel.of(models), adults(300), 24)
    assert sorted(each.row for each in found) == [3, 30]
    assert found[0].truth == pytest.approx(50 + 10 * float(target[found[0].row]))
    assert found[0].probability is None


# ---------------------------------------------------------------------- tuning can't fix


def test_what_every_run_of_every_model_gets_wrong_can_t_be_tuned_away() -> None:
    table = adults(300)
    hard = table.categorical["work"].codes == table.categorical["work"].values.index("own")
    models = {}
    for number, name in enumerate(("f1", "f2", "baseline")):
        codes = np.where(hard, (CODES + 1) % 3, said(10 + number, 0.15))
        models[name] = judged(TRUTH, says(codes), says(codes))
    found = find_unfixable(Panel.of(models), table)
    assert found is not None
    assert found.models == ("f1", "f2", "baseline")
    assert hard.sum() <= found.num_rows <= hard.sum() + 10
    assert found.share == pytest.approx(found.num_rows / models["f1"].error.sum())
    assert found.in_common[0].words == "work = own"
    assert set(ROWS[hard]) <= set(found.rows)


def test_a_class_is_something_that_errors_may_have_in_common() -> None:
    codes = np.where(CODES == 2, 0, CODES)
    models = {name: judged(TRUTH, says(codes)) for name in ("f1", "baseline")}
    found = find_unfixable(Panel.of(models), adults(300))
    assert found is not None
    assert [each.words for each in found.in_common] == ["animal = fox"]
    assert found.share == 1.0


def test_models_are_compared_on_the_rows_that_all_were_judged_by() -> None:
    wrong = (CODES + 1) % 3
    half = ROWS[::2]
    models = {
        "f1": judged(TRUTH, says(wrong)),
        "baseline": judged(TRUTH, (half, certain(wrong[half], 3))),
    }
    found = find_unfixable(Panel.of(models), adults(300))
    assert found is not None
    assert sorted(found.rows) == half.tolist()


def test_one_model_alone_says_nothing_of_what_tuning_can_do() -> None:
    assert find_weakness("c1", judged(TRUTH, says(said(0))), adults(300)).unfixable is None


def test_without_errors_nothing_is_beyond_tuning() -> None:
    models = {name: judged(TRUTH, says(CODES)) for name in ("f1", "baseline")}
    found = find_unfixable(Panel.of(models), adults(300))
    assert found is not None
    assert (found.num_rows, found.share, found.in_common) == (0, 0.0, ())


# ---------------------------------------------------------------------- the whole


def test_a_number_s_errors_are_in_its_own_unit() -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=300).astype(np.float32)
    predicted = (target + random.normal(0, 0.3, 300)).astype(np.float32)
    truth = Truth(target, scale=(50.0, 10.0))
    found = find_weakness("f1", judged(truth, (ROWS, predicted[:, None])), adults(300))
    mae = mean_absolute_error(50 + 10 * target, 50 + 10 * predicted)
    assert found.error.value == pytest.approx(mae, rel=1e-5)
    assert found.error.low < mae < found.error.high
    assert (found.classes, found.confusions) == ((), ())
    assert "off by" in found.describe()


def test_all_of_it_can_be_written_as_json() -> None:
    models = {name: judged(TRUTH, says(said(n))) for n, name in enumerate(("f1", "f2"))}
    found = find_weakness("f1", models["f1"], adults(300), {"f2": models["f2"]})
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert values["name"] == "f1"
    assert values["tuning_cant_fix"]["models"] == ["f1", "f2"]
    assert values["confusions"][0]["share"].keys() == {"value", "low", "high"}
    assert "most confused: " in found.describe()
    assert "tuning can't fix" in found.describe()


def test_slices_are_measured_again_for_other_models() -> None:
    table = features({}, {"work": ["own"] * 60 + ["state"] * 240})
    weak = np.where(ROWS < 60, (CODES + 1) % 3, said(1, 0.1))
    models = {"winner": judged(TRUTH, says(CODES)), "baseline": judged(TRUTH, says(weak))}
    then = find_weakness("c1", models["baseline"], table).slices
    (again, *_) = measure_again(then, table, models)
    assert again == {
        "words": "work = own",
        "winner": {"num_rows": 60, "error": 0.0},
        "baseline": {"num_rows": 60, "error": 1.0},
    }
