import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.errors import ModelError, SpaceError
from search.task import Spec, load_model

ROOT = Path(__file__).parents[1]

SPEC = Spec("classification", num_outputs=3, num_rows=100, num_numeric=4, classes=("a", "b", "c"))

GOOD = """
from search.space import Float, Space

def space(spec):
    return Space([Float(name="rate", low=0.1, high=1.0)])

def defaults(spec):
    return [{"rate": 0.5, "source": "a paper"}]

def build(config, spec):
    return config
"""


@pytest.fixture
def write(tmp_path: Path):
    def make(text: str, name: str = "mymodel.py") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return make


def test_a_model_is_loaded_by_file(write) -> None:
    path = write(GOOD)
    model = load_model(path)
    assert model.path == str(Path(path).resolve())
    assert model.space(SPEC).names == ("rate",)
    (default,) = model.defaults(SPEC)
    assert (default.config, default.source) == ({"rate": 0.5}, "a paper")
    assert model.build is not None
    assert model.train is None


def test_a_model_with_a_loop_of_its_own_needs_no_build(write) -> None:
    model = load_model(write(GOOD.replace("def build(config, spec)", "def train(config, data)")))
    assert model.build is None
    assert model.train is not None


def test_two_files_of_one_name_are_two_models(write, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = load_model(write(GOOD))
    second = load_model(write(GOOD.replace("0.5", "0.7"), "other/mymodel.py"))
    assert first.defaults(SPEC)[0].config == {"rate": 0.5}
    assert second.defaults(SPEC)[0].config == {"rate": 0.7}


def test_a_file_is_found_relative_to_the_current_folder(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_model("mymodel.py").path == str(Path(path).resolve())
    assert load_model("./mymodel.py").module is load_model(path).module


def test_a_model_is_loaded_by_import_path(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(GOOD, "importable_model.py")
    monkeypatch.syspath_prepend(tmp_path)
    model = load_model("importable_model")
    assert model.path == "importable_model"
    assert model.space(SPEC).names == ("rate",)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("models.nothing", "no model module 'models.nothing'; give an import path"),
        ("nopackage.model", "no model module 'nopackage.model'"),
        ("nopackage", "no model module 'nopackage'"),
        ("json", "model json has no function 'space'"),
        ("", "model  can't be imported: ValueError"),
        (".relative", "can't be imported: TypeError"),
        ("/nowhere/model.py", "no model file '/nowhere/model.py'"),
    ],
)
def test_a_model_that_is_not_there_is_refused_in_one_line(path: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as error:
        load_model(path)
    assert "\n" not in str(error.value)


def test_a_module_that_a_model_needs_is_named_not_the_model(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("import not_installed_here", "needy_model.py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="model needy_model can't be imported: No module named"):
        load_model("needy_model")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def space(:", "can't be imported: SyntaxError"),
        ("import not_installed_here", "can't be imported: ModuleNotFoundError"),
        ("1 / 0", "can't be imported: ZeroDivisionError: division by zero"),
        (GOOD.replace("def space", "def spaces"), "has no function 'space'"),
        (GOOD.replace("def defaults", "def default"), "has no function 'defaults'"),
        (GOOD.replace("def build", "def make"), "neither 'build' nor 'train'"),
        (GOOD + "\nspace = 5", "has no function 'space'"),
        (GOOD + "\nFULL_EPOCHS = 0", "FULL_EPOCHS = 0; it must be a number above 0"),
        (GOOD + "\nFULL_EPOCHS = 'many'", "FULL_EPOCHS = 'many'; it must be a number above 0"),
    ],
)
def test_a_module_that_breaks_its_contract_is_refused_in_one_line(
    write, text: str, words: str
) -> None:
    path = write(text)
    for _ in range(2):  # a failed import leaves nothing behind
        with pytest.raises(ModelError, match=words) as error:
            load_model(path)
        assert "\n" not in str(error.value)


def test_a_model_may_say_how_long_a_full_training_is(write) -> None:
    assert load_model(write(GOOD + "\nFULL_EPOCHS = 2.5", "long_model.py")).full_epochs == 2.5
    assert load_model(write(GOOD, "plain_model.py")).full_epochs is None


def test_a_model_that_was_mended_is_loaded_anew(write) -> None:
    path = write("1 / 0")
    with pytest.raises(ModelError):
        load_model(path)
    write(GOOD)
    assert load_model(path).space(SPEC).names == ("rate",)
    assert not [name for name in sys.modules if name.startswith("sieve_model_") and "/" in name]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('[{"rate": 0.5, "source": "a paper"}]', "[]", "returned nothing"),
        ('"source"', '"origin"', "a default has no 'source'"),
        ('[{"rate": 0.5, "source": "a paper"}]', "[0.5]", "a default is 0.5"),
        ("low=0.1", "low=3.0", "low must be below high"),
        ('Space([Float(name="rate", low=0.1, high=1.0)])', "{}", "returned dict, no Space"),
    ],
)
def test_wrong_defaults_or_a_wrong_space_are_refused_in_one_line(
    write, old: str, new: str, words: str
) -> None:
    assert old in GOOD
    model = load_model(write(GOOD.replace(old, new)))
    with pytest.raises(ModelError, match=words) as error:
        model.defaults(SPEC)
    assert str(error.value).startswith(f"model {model.path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('"rate": 7.0', r"default 'a paper': rate = 7.0; it must be a number in \[0.1, 1\]"),
        ('"rte": 0.5', "default 'a paper': no dimension 'rte'; did you mean 'rate'"),
    ],
)
def test_a_default_outside_of_the_model_s_own_space_is_refused(
    write, config: str, words: str
) -> None:
    model = load_model(write(GOOD.replace('"rate": 0.5', config)))
    with pytest.raises(SpaceError, match=words):
        model.defaults(SPEC)


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        Spec("regression", num_outputs=1, num_rows=5, categories=(3, 4), image=(3, 8, 8)),
    ],
)
def test_a_spec_survives_json(spec: Spec) -> None:
    assert Spec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_spec_names_its_inputs_in_order() -> None:
    spec = Spec("regression", 1, 5, num_numeric=2, categories=(3,), image=(1, 4, 4))
    assert spec.inputs == ("image", "numeric", "categorical")
    assert SPEC.inputs == ("numeric",)


def test_a_folder_of_one_s_own_called_models_doesn_t_hide_the_bundled_ones(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    (tmp_path / "models" / "mine.py").write_text(GOOD)
    said = (
        "from search.task import load_model\n"
        "print(load_model('models.mlp').full_epochs, load_model('models.mine').path)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", said], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "models.mine"
