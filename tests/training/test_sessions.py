import os
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trainings import CNN, MLP, images, make_job, opened, regression, small_config, table

from search.task import ModelModule
from search.training.job import Rows, device_for
from search.training.sessions import DamagedState, load_state, save_state
from search.training.speed import measure_speed
from search.training.threads import use_threads


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small, path = table(), tmp_path_factory.mktemp("saved") / "state.pt"
    session = opened(make_job(small, small_config(MLP, small)), MLP, small)
    next(session.run())
    save_state(path, session.state())
    return path


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"weights": torch.arange(5.0), "own": {"trees": [1, 2]}, "ended": None}
    path = tmp_path / "new" / "folder" / "state.pt"
    save_state(path, state)
    loaded = load_state(path)
    assert loaded is not None
    assert torch.equal(loaded.pop("weights"), state.pop("weights"))
    assert loaded == state


def test_saving_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    for number in range(3):
        save_state(path, {"number": number})
        assert load_state(path) == {"number": number}
    assert os.listdir(tmp_path) == ["state.pt"]


def test_a_state_that_can_not_be_pickled_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, {"number": 1})
    with pytest.raises(Exception, match="pickle"):
        save_state(path, {"own": lambda: None})
    assert load_state(path) == {"number": 1}


def test_where_no_file_is_there_is_no_state(tmp_path: Path) -> None:
    assert load_state(tmp_path / "state.pt") is None
    assert load_state(tmp_path) is None


def assert_damaged(saved: Path, content: bytes) -> None:
    damaged = saved.with_name("damaged.pt")
    damaged.write_bytes(content)
    with pytest.raises(DamagedState, match="is damaged"):
        load_state(damaged)


@given(st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_off_is_damaged(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    assert_damaged(saved, content[: int(share * len(content))])


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_a_file_of_something_else_is_damaged(saved: Path, content: bytes) -> None:
    assert_damaged(saved, content)


@given(st.data())
def test_a_single_wrong_bit_of_a_weight_is_noticed(saved: Path, data: st.DataObject) -> None:
    content = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as archive:
        tensors = [each for each in archive.infolist() if "/data/" in each.filename]
    member = data.draw(st.sampled_from([each for each in tensors if each.file_size]))
    header = member.header_offset
    name_and_extra = struct.unpack_from("<HH", content, header + 26)
    at = header + 30 + sum(name_and_extra) + data.draw(st.integers(0, member.file_size - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    assert_damaged(saved, bytes(content))


@pytest.mark.parametrize(("model", "make_small"), [(MLP, table), (MLP, regression), (CNN, images)])
def test_the_speed_of_any_model_is_measured(model: ModelModule, make_small) -> None:
    small = make_small()
    job = make_job(small, small_config(model, small))
    speed = measure_speed(
        model,
        job.config,
        small.spec,
        small.data,
        small.rows,
        metric=job.metric,
        seconds=0.01,
    )
    assert speed.samples_per_second > 0
    assert speed.eval_seconds > 0


def test_a_configuration_that_diverges_at_once_still_has_a_speed() -> None:
    small = table()
    config = small_config(MLP, small) | {"learning_rate_sgd": 1e30}
    speed = measure_speed(
        MLP, config, small.spec, small.data, small.rows, metric="accuracy", seconds=0.01
    )
    assert speed.samples_per_second > 0
    assert speed.eval_seconds > 0


@pytest.mark.parametrize(("num_cpus", "threads"), [(1, 1), (2.0, 2), (0.5, 1), (2.9, 2), (0, 1)])
def test_torch_gets_as_many_threads_as_whole_cpus(num_cpus: float, threads: int) -> None:
    try:
        use_threads(num_cpus)
        assert torch.get_num_threads() == threads
    finally:
        use_threads(1)


def test_a_trial_without_a_gpu_trains_on_the_cpu() -> None:
    assert device_for(0) == torch.device("cpu")


def test_rows_are_copied_from_arrays_and_moved_together() -> None:
    rows = table().rows
    arrays = {name: getattr(rows, name).numpy() for name in ("train", "validation", "probe")}
    copied = Rows.of(arrays).to(torch.device("cpu"))
    assert copied.test is None
    assert torch.equal(copied.train, rows.train)
    arrays["train"][0] = -1
    assert copied.train[0] != -1
    rows.train[0] = copied.train[0]
