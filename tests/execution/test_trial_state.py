"""Whose state a file is."""

from dataclasses import asdict, replace
from pathlib import Path

from search.events import Trial
from search.execution.trial_process import TRIAL, read_state
from search.training.sessions import save_state

MINE = Trial("f0009", "fine", "gp", {"rate": 0.1, "sizes": "small"}, 7, 30, (10, 30))


def test_a_trial_finds_its_own_state(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    assert read_state(path, MINE) == (None, "")
    save_state(path, {"weights": [1.0], TRIAL: asdict(MINE)})
    state, note = read_state(path, MINE)
    assert state is not None
    assert (state["weights"], note) == ([1.0], "")


def test_the_state_of_another_trial_of_its_name_is_left_alone(tmp_path: Path) -> None:
    """After a repair the model is asked anew: the same number may get another configuration."""
    path = tmp_path / "state.pt"
    for changes in ({"config": {"rate": 0.2, "sizes": "small"}}, {"seed": 8}):
        save_state(path, {"weights": [1.0], TRIAL: asdict(replace(MINE, **changes))})
        state, note = read_state(path, MINE)
        assert state is None
        assert note == "state.pt is of another trial of this name: this one begins anew"


def test_a_damaged_state_says_so(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(b"no archive")
    state, note = read_state(path, MINE)
    assert state is None
    assert note.endswith("is damaged: what the trial had trained is lost, it begins again")
