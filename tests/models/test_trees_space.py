"""The space and the published defaults of the boosted trees."""

import json
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_specs import IMAGES, TABLES, specs

from search.errors import ModelError
from search.space import Float, Space
from search.task import Spec, load_model

XGB = load_model("models.xgb")
EVERY = pytest.mark.parametrize("spec", specs(TABLES).values(), ids=specs(TABLES))


@EVERY
def test_what_matters_most_comes_first(spec: Spec) -> None:
    groups = {dimension.name: dimension.group for dimension in XGB.space(spec)}
    assert [name for name, group in groups.items() if group == 1] == ["learning_rate"]
    assert {n for n, g in groups.items() if g == 2} == {"max_depth", "min_child_weight", "max_bin"}
    third = {"subsample", "colsample_bytree", "colsample_bylevel"}
    assert {n for n, g in groups.items() if g == 3} == {*third, "reg_lambda", "reg_alpha", "gamma"}


@EVERY
def test_the_learning_rate_is_logarithmic_and_may_widen(spec: Spec) -> None:
    rate = XGB.space(spec)["learning_rate"]
    assert isinstance(rate, Float)
    assert rate.log
    assert rate.limits is not None
    assert rate.limits[0] < rate.low < 0.05 < 0.3 < rate.high < rate.limits[1]


@EVERY
def test_what_is_a_sum_over_rows_is_searched_in_full_again(spec: Spec) -> None:
    space = XGB.space(spec)
    names = ("min_child_weight", "gamma", "reg_lambda", "reg_alpha", "max_depth")
    assert all(space[name].reopen for name in names)


@EVERY
def test_rounds_are_the_budget_and_never_a_dimension(spec: Spec) -> None:
    assert not [n for n in XGB.space(spec).names if "estimators" in n or "round" in n]
    assert XGB.full_epochs == 1000


@EVERY
def test_the_space_comes_back_from_json(spec: Spec) -> None:
    space = XGB.space(spec)
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


@EVERY
def test_the_defaults_lie_in_the_space_and_say_where_they_are_from(spec: Spec) -> None:
    first, second = XGB.defaults(spec)
    assert first.config != second.config
    assert "documentation" in first.source
    assert spec.task in second.source
    assert (first.config["learning_rate"], first.config["max_depth"]) == (0.3, 6)


@given(st.lists(st.floats(0, 1), min_size=10, max_size=10))
def test_any_point_of_the_cube_is_a_configuration(unit: list[float]) -> None:
    space = XGB.space(specs(TABLES)["mixed-five"])
    space.validate(space.from_unit(unit))


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_refused_in_one_line(name: str) -> None:
    spec = specs(IMAGES)[f"{name}-two"]
    for given_spec in (spec, replace(spec, num_numeric=3)):
        with pytest.raises(ModelError, match=r"for images take models\.cnn") as caught:
            XGB.space(given_spec)
        assert "\n" not in str(caught.value)


def test_without_xgboost_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ModelError) as caught:
        XGB.space(specs(TABLES)["mixed-two"])
    assert str(caught.value) == (
        "model models.xgb: models.xgb needs xgboost, which isn't installed; "
        "scripts/install .venv trees"
    )
