import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search.errors import EXIT_USAGE, StudyError
from search.study import (
    QUICK_START,
    load_study_file,
    overlay,
    parse_duration,
    parse_setting,
    resolve_study,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 90.0),
        (0.5, 0.5),
        ("90", 90.0),
        ("90s", 90.0),
        (" 20 m ", 1200.0),
        ("20M", 1200.0),
        ("1h30m", 5400.0),
        ("1h 30m 5s", 5405.0),
        ("1.5h", 5400.0),
        (".5m", 30.0),
        ("2d", 172800.0),
    ],
)
def test_a_duration_is_read_as_seconds(text: Any, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "0s", "-5m", "1h30", "90 90", "1.5.5", "5 minutes", "1e3", "1" * 60 + "x"),
        *(0, -5, True, None, math.nan, math.inf, [90], "9" * 400),
    ],
)
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(StudyError, match="is no duration; write seconds, or 90s, 20m, 1h30m"):
        parse_duration(text)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    total = 3600.0 * hours + 60 * minutes + seconds
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == total
    assert parse_duration(total) == total


def test_no_values_give_the_defaults() -> None:
    study = resolve_study({})
    assert study.data.uri == "sklearn:digits"
    assert study.time_budget is None
    assert study.confirm.num_finalists >= 3
    assert study.confirm.num_seeds >= 3
    assert resolve_study(QUICK_START).time_budget == 120.0


def test_a_study_survives_its_own_json() -> None:
    study = resolve_study(
        {
            "data": {"uri": "x.parquet", "label": "y", "image_shape": [1, 8, 8], "ignore": ["id"]},
            "time_budget": "20m",
            "space": {"rate": {"low": 1e-3}},
            "narrow": {"enabled": False},
        }
    )
    again = resolve_study(json.loads(json.dumps(study.to_json())))
    assert again == study
    assert again.digest == study.digest


def test_data_may_be_a_string() -> None:
    assert resolve_study({"data": "x.csv"}).data.uri == "x.csv"
    assert (
        resolve_study({"data": "x.csv"}).digest == resolve_study({"data": {"uri": "x.csv"}}).digest
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tme_budget": "2m"}, "no study key 'tme_budget'; did you mean 'time_budget'?"),
        ({"zzz": 1}, "no study key 'zzz'; known: data, model, metric"),
        ({"data": {"lable": "y"}}, "no study key 'data.lable'; did you mean 'label'?"),
        ({"confirm": {"seeds": 5}}, "no study key 'confirm.seeds'; did you mean 'num_seeds'?"),
        ({"time_budget": "soon"}, "study key 'time_budget' = 'soon': 'soon' is no duration"),
        ({"time_budget": math.inf}, "is no duration"),
        ({"seed": -1}, "study key 'seed' = -1: "),
        ({"seed": "x"}, "study key 'seed' = 'x': "),
        ({"data": 5}, "study key 'data' = 5: "),
        ({"data": None}, "study key 'data' = None: "),
        ({"data": {"task": "ranking"}}, "study key 'data.task' = 'ranking': "),
        ({"data": {"kinds": {"a": "nominal"}}}, "study key 'data.kinds.a' = 'nominal': "),
        ({"data": {"image_shape": [1, 8]}}, "study key 'data.image_shape"),
        ({"budget": {"full_epochs": math.inf}}, "study key 'budget.full_epochs' = inf: "),
        ({"budget": {"reduction_factor": 1}}, "study key 'budget.reduction_factor' = 1: "),
        ({"coarse": {"share": 1.0}}, "study key 'coarse.share' = 1.0: "),
        ({"confirm": {"num_seeds": 1}}, "study key 'confirm.num_seeds' = 1: "),
        ({"space": {"rate": 3}}, "study key 'space.rate' = 3: "),
        ({"space": []}, "study key 'space' = \\[\\]: "),
        ({1: 2}, "study key '1'"),
    ],
)
def test_a_wrong_value_is_named_with_its_path_in_one_line(values: Any, words: str) -> None:
    with pytest.raises(StudyError, match=words) as error:
        resolve_study(values)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == EXIT_USAGE


def test_an_address_of_data_with_a_secret_is_refused_without_repeating_it() -> None:
    with pytest.raises(StudyError, match="the address of s3://bucket/x holds a secret") as error:
        resolve_study({"data": "s3://key:hush@bucket/x"})
    assert "hush" not in str(error.value)


def test_a_resolved_study_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        resolve_study({}).seed = 3  # type: ignore[misc]


def test_the_digest_is_stable_and_tells_studies_apart() -> None:
    studies: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"data": "x.csv"},
        {"time_budget": "2m"},
        {"space": {"rate": {"low": 1e-3}}},
        {"space": {"rate": {"low": 1e-4}}},
    ]
    digests = [resolve_study(values).digest for values in studies]
    assert digests == [resolve_study(dict(values)).digest for values in studies]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)
    one = {"coarse": {"share": 0.1, "num_trials": 5}, "space": {"a": {"low": 1}, "b": {"high": 2}}}
    other = {
        "space": {"b": {"high": 2}, "a": {"low": 1}},
        "coarse": {"num_trials": 5, "share": 0.1},
    }
    assert resolve_study(one).digest == resolve_study(other).digest
    spelled = [resolve_study({"time_budget": text}).digest for text in ("2m", "120s", 120)]
    assert len(set(spelled)) == 1


def test_settings_are_laid_over_the_file() -> None:
    values = {"data": "x.csv", "seed": 1, "coarse": {"share": 0.1}}
    for setting in ("data.label=y", "coarse.num_trials=5", "seed=2", "space.rate.low=1e-4"):
        values = overlay(values, *parse_setting(setting))
    study = resolve_study(values)
    assert (study.data.uri, study.data.label) == ("x.csv", "y")
    assert (study.coarse.share, study.coarse.num_trials, study.seed) == (0.1, 5, 2)
    assert study.space == {"rate": {"low": "1e-4"}}


def test_an_overlay_leaves_the_original_as_it_is() -> None:
    values = {"data": "x.csv", "coarse": {"share": 0.1}}
    changed = overlay(values, "coarse.share", 0.3)
    assert overlay(changed, "data.label", "y")["data"] == {"uri": "x.csv", "label": "y"}
    assert overlay({}, "data", "y.csv") == {"data": "y.csv"}
    assert overlay({"data": None}, "data.label", "y") == {"data": {"label": "y"}}
    assert values == {"data": "x.csv", "coarse": {"share": 0.1}}


def test_an_overlay_on_a_number_is_refused_when_resolved() -> None:
    with pytest.raises(StudyError, match="study key 'seed'"):
        resolve_study(overlay({"seed": 1}, "seed.x", 2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed=3", ("seed", 3)),
        (" a.b =0.5", ("a.b", 0.5)),
        ("data.uri=s3://bucket/x=y", ("data.uri", "s3://bucket/x=y")),
        ("space.dropout.values=[0, 0.3]", ("space.dropout.values", [0, 0.3])),
        ("narrow.enabled=false", ("narrow.enabled", False)),
        ("metric=", ("metric", None)),
        ("time_budget=1h30m", ("time_budget", "1h30m")),
    ],
)
def test_a_setting_is_a_path_and_a_yaml_value(text: str, expected: tuple[str, Any]) -> None:
    assert parse_setting(text) == expected


@pytest.mark.parametrize("text", ["seed", "=3", " =3", "a=[1", "a={"])
def test_a_wrong_setting_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(StudyError, match="--set") as error:
        parse_setting(text)
    assert "\n" not in str(error.value)


def test_a_study_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"data": "größe.csv", "seed": 4}, allow_unicode=True), "utf-8")
    assert resolve_study(load_study_file(path)).data.uri == "größe.csv"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"seed: [1", "isn't valid YAML"),
        (b"a: b: c", "isn't valid YAML"),
        (b"\xff\xfe\x00", "isn't valid YAML"),
        (b"", "is empty or no mapping"),
        (b"- seed", "is empty or no mapping"),
        (b"seed", "is empty or no mapping"),
    ],
)
def test_a_damaged_study_file_is_refused_in_one_line(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=words) as error:
        load_study_file(path)
    assert "\n" not in str(error.value)


def test_a_missing_study_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "no.yaml", tmp_path):
        with pytest.raises(StudyError, match="no study file"):
            load_study_file(path)


def test_processes_that_train_together_need_whole_gpus() -> None:
    section = {"workers_per_run": 2}
    assert resolve_study({"confirm": section, "resources": {"gpus_per_trial": 1}})
    assert resolve_study({"confirm": section, "resources": {"gpus_per_trial": 0}})
    with pytest.raises(StudyError, match=r"train together need a GPU each; give 1 or more GPUs"):
        resolve_study({"confirm": section, "resources": {"gpus_per_trial": 0.5}})


def test_only_one_gpu_is_shared() -> None:
    assert resolve_study({"resources": {"gpus_per_trial": 2}})
    with pytest.raises(StudyError, match=r"gpus_per_trial' = 1.5: only one GPU is shared; give 1"):
        resolve_study({"resources": {"gpus_per_trial": 1.5}})
