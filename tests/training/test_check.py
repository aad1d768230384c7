from dataclasses import dataclass
from pathlib import Path

import pytest
from trainings import CNN, MLP, Small, images, regression, table, two_classes

from search.errors import ModelError, SieveError
from search.task import ModelModule, load_model
from search.training import check as conformance
from search.training.check import Check, check_model, check_model_on, look_at_network
from search.training.scoring import resolve_metric

BOOSTING = load_model(str(Path(__file__).with_name("own_boosting.py")))
XGB = load_model("models.xgb")
PARTS = ["space", "defaults", "shapes", "determinism", "resume", "predictions"]

SPACE = """
import numpy as np
import torch
from torch import nn
from search.space import Float, Space

def space(spec):
    return Space([Float(name="learning_rate", low=0.001, high=0.1, log=True)])

def defaults(spec):
    return [{"learning_rate": 0.01, "source": "a paper"}]
"""
LINEAR = """
class Linear(nn.Linear):
    def forward(self, numeric, categorical):
        return super().forward(numeric)

def build(config, spec):
    return Linear(spec.num_numeric, spec.num_outputs)
"""
OWN = """
def train(config, data, budget, *, seed, state=None):
    guess = np.random.default_rng(seed).normal(size=data.spec.num_outputs)
    done = 0 if state is None else state["done"]
    {resume}
    for point in budget.points[done:]:
        guess = 0.9 * guess
        predict = lambda inputs: np.tile(guess, (len(inputs["numeric"]), 1))
        done += 1
        yield data.evaluate(predict, samples_seen=point), {{"done": done, "guess": guess}}
"""
GOES_ON = OWN.format(resume="guess = guess if state is None else state['guess']")
PAIR = """
def save_predictor(state):
    return state["guess"].tobytes()

def load_predictor(saved, config, spec):
    guess = np.frombuffer(saved)
    return lambda inputs: np.tile(guess, (len(inputs["numeric"]), 1))
"""


@dataclass
class Writer:
    folder: Path

    def __call__(self, text: str) -> ModelModule:
        path = self.folder / "mymodel.py"
        path.write_text(text)
        return load_model(str(path))


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


@pytest.fixture
def write_other(tmp_path: Path) -> Writer:
    (tmp_path / "other").mkdir()
    return Writer(tmp_path / "other")


def check(model: ModelModule, small: Small) -> dict[str, Check]:
    metric = resolve_metric(None, small.spec.task)
    found = check_model(model, small.spec, small.data, small.rows, metric=metric)
    assert [each.check for each in found] == PARTS
    assert all("\n" not in each.message for each in found)
    return {each.check: each for each in found}


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name, each in checks.items() if each.status == "FAIL"}


@pytest.mark.parametrize(
    ("model", "make_small"),
    [
        *((MLP, each) for each in (table, regression, images)),
        (CNN, images),
        *((XGB, each) for each in (table, two_classes, regression)),
        (BOOSTING, table),
    ],
    ids=[
        *(f"mlp-{name}" for name in ("table", "regression", "images")),
        "cnn-images",
        *(f"xgb-{name}" for name in ("table", "two", "regression")),
        "own-table",
    ],
)
def test_the_bundled_models_keep_their_contract(
    model: ModelModule, make_small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformance, "_POINTS", (64, 128, 192, 256))
    monkeypatch.setattr(conformance, "_CONFIGS", 3)
    checks = check(model, make_small())
    assert not failed(checks), checks


def test_a_whole_data_set_is_checked_on_a_few_hundred_rows(write: Writer) -> None:
    found = check_model_on(write(SPACE + GOES_ON + PAIR), regression().dataset)
    assert [(each.check, each.status) for each in found] == [(part, "PASS") for part in PARTS]


def test_a_model_of_ones_own_passes(write: Writer) -> None:
    assert not failed(check(write(SPACE + LINEAR), table()))


def test_a_loop_of_ones_own_passes(write: Writer, write_other: Writer) -> None:
    checks = check(write(SPACE + GOES_ON), table())
    assert not failed(checks)
    assert checks["predictions"].status == "WARN"
    assert "neither predictions nor an ensemble" in checks["predictions"].message
    assert "save_predictor and load_predictor" in checks["predictions"].message
    kept = check(write_other(SPACE + GOES_ON + PAIR), table())
    assert {each.status for each in kept.values()} == {"PASS"}


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("tobytes()", "tolist()", "save_predictor() returned list; it must return bytes"),
        ("return state", "return state[0] or state", "save_predictor raised KeyError: 0"),
        ("frombuffer(saved)", "load(saved)", "load_predictor doesn't read "),
        (
            "return lambda",
            "return guess; lambda",
            "load_predictor() returned ndarray; it must return",
        ),
        ("frombuffer(saved)", "zeros(2)", "predict returns (80, 2) for 80 rows; it must return"),
        ("frombuffer(saved)", "zeros(3)", "what was kept predicts otherwise than the best "),
    ],
)
def test_what_is_wrong_with_what_is_kept_is_said_in_a_line(
    write: Writer, before: str, after: str, says: str
) -> None:
    pair = PAIR.replace(before, after)
    checks = check(write(SPACE + GOES_ON + pair), table())
    assert failed(checks) == {"predictions"}
    assert says in checks["predictions"].message


def test_what_only_this_process_knows_is_not_kept(write: Writer) -> None:
    pair = """
KEPT = {}

def save_predictor(state):
    KEPT["guess"] = state["guess"]
    return b"guess"

def load_predictor(saved, config, spec):
    guess = KEPT[saved.decode()]
    return lambda inputs: np.tile(guess, (len(inputs["numeric"]), 1))
"""
    model = write(SPACE + GOES_ON + pair)
    assert not failed(check(model, table()))
    checks = {each.check: each for each in check_model_on(model, table().dataset)}
    assert failed(checks) == {"predictions"}
    message = checks["predictions"].message
    assert message.startswith("in another process: model ")
    assert "KeyError: 'guess'" in message
    assert "\n" not in message


def test_a_network_whose_weights_are_not_all_of_it_is_told_so(write: Writer) -> None:
    text = LINEAR.replace("return super", "self.seen = self.seen + 1\n        return super")
    text = text.replace("forward(numeric)", "forward(numeric) * self.seen")
    text = text.replace("class Linear(nn.Linear):", "class Linear(nn.Linear):\n    seen = 0\n")
    checks = check(write(SPACE + text), table())
    assert "predictions" in failed(checks)
    assert "what was kept predicts otherwise" in checks["predictions"].message


@pytest.mark.parametrize("name", ["save_predictor", "load_predictor"])
def test_half_of_the_pair_is_refused(write: Writer, name: str) -> None:
    half = PAIR.replace(f"def {name}", "def other")
    with pytest.raises(ModelError, match=rf"without '{name}'; give both, or neither"):
        write(SPACE + GOES_ON + half)


def test_a_loop_that_forgets_its_weights_does_not_resume(write: Writer) -> None:
    checks = check(write(SPACE + OWN.format(resume="")), table())
    assert failed(checks) == {"resume"}
    says = "a run interrupted after evaluation 1 differs at evaluation 2: validation loss "
    assert checks["resume"].message.startswith(says)


def test_a_loop_that_begins_again_does_not_resume(write: Writer) -> None:
    text = OWN.format(resume="guess, done = guess if state is None else state['guess'], 0")
    checks = check(write(SPACE + text.replace("budget.points[done:]", "budget.points")), table())
    assert failed(checks) == {"resume"}


def test_a_loop_that_skips_points_after_a_resume_is_told_so(write: Writer) -> None:
    resume = "guess, done = (guess, 0) if state is None else (state['guess'], done + 1)"
    checks = check(write(SPACE + OWN.format(resume=resume)), table())
    assert failed(checks) == {"resume"}


def test_a_model_that_draws_from_elsewhere_is_not_deterministic(write: Writer) -> None:
    text = LINEAR.replace("    return Linear", "    torch.seed()\n    return Linear")
    checks = check(write(SPACE + text), table())
    assert failed(checks) == {"determinism", "resume"}
    message = checks["determinism"].message
    assert message.startswith(
        "a second run with the same seed differs at evaluation 1: validation loss "
    )


def test_a_loop_that_ignores_its_seed_is_not_deterministic(write: Writer) -> None:
    text = OWN.format(resume="").replace("default_rng(seed)", "default_rng()")
    assert "determinism" in failed(check(write(SPACE + text), table()))


def test_noise_that_torch_does_not_seed_is_not_deterministic(write: Writer) -> None:
    text = LINEAR.replace("forward(numeric)", "forward(numeric * np.random.normal())")
    assert {"determinism", "resume"} <= failed(check(write(SPACE + text), table()))


def test_a_wrong_width_is_told_with_the_right_one(write: Writer) -> None:
    checks = check(write(SPACE + LINEAR.replace("spec.num_outputs", "5")), table())
    assert checks["shapes"].status == "FAIL"
    assert "returns (8, 5) for 8 rows; it must return (8, 3)" in checks["shapes"].message
    assert checks["space"].status == checks["defaults"].status == "PASS"


def test_a_wrong_predict_is_told_with_the_right_shape(write: Writer) -> None:
    text = OWN.format(resume="").replace("size=data.spec.num_outputs", "size=7")
    checks = check(write(SPACE + text), table())
    assert failed(checks) == {"determinism", "resume"}
    assert "it must return (60, 3)" in checks["resume"].message


def test_defaults_outside_of_the_space_fail(write: Writer) -> None:
    text = (SPACE + LINEAR).replace('"learning_rate": 0.01', '"learning_rate": 7.0')
    checks = check(write(text), table())
    assert failed(checks) == {"defaults", "determinism", "resume", "predictions"}
    assert "learning_rate = 7.0; it must be a number in [0.001, 0.1]" in checks["defaults"].message


def test_a_space_that_is_none_fails_everything(write: Writer) -> None:
    text = SPACE.replace("return Space(", "return list(") + LINEAR
    checks = check(write(text), table())
    assert failed(checks) == set(PARTS)
    assert "space() returned list, no Space" in checks["space"].message


def test_an_error_of_several_lines_is_told_in_one(write: Writer) -> None:
    text = LINEAR.replace("return Linear", "raise RuntimeError('first\\nsecond')\n    Linear")
    checks = check(write(SPACE + text), table())
    assert failed(checks) == {"shapes", "determinism", "resume", "predictions"}
    assert checks["shapes"].message.endswith("build or forward raised RuntimeError: first")
    assert checks["resume"].message == "RuntimeError: first"


def test_a_model_with_neither_build_nor_train_is_not_loaded(write: Writer) -> None:
    with pytest.raises(ModelError, match="has neither 'build' nor 'train'"):
        write(SPACE)


def look(model: ModelModule, small: Small) -> None:
    config = model.defaults(small.spec)[0].config
    look_at_network(model, config, small.spec, small.data, small.rows)


@pytest.mark.parametrize(
    ("model", "make_small"), [(MLP, table), (MLP, regression), (CNN, images), (BOOSTING, table)]
)
def test_a_look_at_a_good_model_raises_nothing(model: ModelModule, make_small) -> None:
    look(model, make_small())


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("return Linear", "return 3 or Linear", "build() returned int, not a torch.nn.Module"),
        ("return Linear", "return Lin", "raised NameError: name 'Lin' is not defined"),
        ("spec.num_outputs", "1", "returns (8, 1) for 8 rows; it must return (8, 3)"),
        ("forward(numeric)", "forward(numeric).sum(1)", "the network returns (8,) for 8 rows"),
        ("forward(numeric)", "forward(numeric), 0", "the network returns tuple for 8 rows"),
        ("numeric, categorical", "numeric", "raised TypeError: "),
        ("spec.num_numeric", "1", "raised RuntimeError: mat1 and mat2"),
        ("return super", "raise Exception\n        return super", "raised Exception"),
    ],
)
def test_a_look_at_a_bad_model_says_in_one_line_what_is_wrong(
    write: Writer, before: str, after: str, says: str
) -> None:
    model = write(SPACE + LINEAR.replace(before, after))
    with pytest.raises(ModelError) as caught:
        look(model, table())
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"model {model.path}: ")
    assert "\n" not in str(caught.value)


def test_an_image_model_on_a_table_says_which_to_take() -> None:
    with pytest.raises(SieveError, match=r"needs an image column; for tables take models\.mlp"):
        CNN.space(table().spec)
