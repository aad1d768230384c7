"""What a node says of itself, without a cluster."""

import sys
from pathlib import Path

import pytest

from search.execution.node_look import look_at_this_node
from search.insight.nodes import Node, Question


def look(**asked: object) -> Node:
    return look_at_this_node(Question(**{"about_gpus": False, **asked}), "marker")


def test_the_study_s_model_file_is_part_of_what_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    gone = look(model=str(path))
    assert gone.model == ""
    assert (
        gone.model_problem == f"the model file '{path}' can't be read (No such file or directory)"
    )
    path.write_text("FULL_EPOCHS = 3\n")
    there = look(model=str(path))
    assert there.model
    assert there.model_problem is None
    path.write_text("FULL_EPOCHS = 4\n")
    assert look(model=str(path)).model not in ("", there.model)


def test_a_model_that_is_imported_is_found_where_trials_find_it_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    gone = look(model="looked_at_models.own", search_path=(str(tmp_path),))
    assert gone.model_problem == "no model module 'looked_at_models.own' can be imported"
    (tmp_path / "looked_at_models").mkdir()
    (tmp_path / "looked_at_models" / "own.py").write_text("raise RuntimeError('I was run')\n")
    found = look(model="looked_at_models.own", search_path=(str(tmp_path),))
    assert found.model
    assert found.model_problem is None


def test_sieve_s_own_models_are_compared_with_its_code() -> None:
    found = look(model="models.mlp")
    assert (found.model, found.model_problem) == ("", None)
    assert found.code


@pytest.mark.parametrize(("torch", "sees"), [("exit 0", True), ("exit 1", False)])
def test_pytorch_is_asked_for_gpus_that_ray_hides_from_a_task(
    torch: str, sees: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ -z "${{CUDA_VISIBLE_DEVICES+hidden}}" ] || exit 2\n{torch}\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert look(about_gpus=True).sees_gpus is sees
    assert look(about_gpus=False).sees_gpus
