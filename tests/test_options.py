"""How a command's options and a study file add up."""

import json
from pathlib import Path

import pytest

from search.cli.options import given, show, study_of


def test_what_an_option_accepts_is_added_to_what_the_file_accepts(tmp_path: Path) -> None:
    (study := tmp_path / "study.yaml").write_text(
        "data: sklearn:wine\nchecks: {accept: [split_copies]}\n"
    )
    resolved = study_of(study, given(None, None, accept=["leaking_column"]), [])
    assert resolved.checks.accept == ("split_copies", "leaking_column")
    assert study_of(study, given(None, None), []).checks.accept == ("split_copies",)
    only = study_of(study, given(None, None), ["checks.accept=[images]"])
    assert only.checks.accept == ("images",)


def test_only_without_any_data_it_is_the_quick_start() -> None:
    quick = study_of(None, given(None, None), ["seed=3"])
    assert (quick.data.uri, quick.time_budget, quick.seed) == ("sklearn:digits", 120.0, 3)
    for own in (
        study_of(None, given("sklearn:wine", None), []),
        study_of(None, given(None, None), ["data.uri=sklearn:wine"]),
    ):
        assert (own.data.uri, own.time_budget) == ("sklearn:wine", None)


def test_an_answer_for_programs_is_strict_json(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"value": float("-inf"), "more": [float("nan"), 1.0]}], True, lambda: None)
    read = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert read == [{"value": None, "more": [None, 1.0]}]
