import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from example_tables import images, mixed_table, parquet
from hypothesis import given
from hypothesis import strategies as st

from search.data import DataOptions, Dataset, load_dataset
from search.data.batches import EpochOrder, Position, Resident, batches

ROWS, BATCH, SEEDS = st.integers(1, 120), st.integers(1, 50), st.integers(0, 2**63 - 1)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DataOptions("sklearn:digits"))


def load(folder: Path, table: pa.Table) -> Dataset:
    return load_dataset(DataOptions(parquet(folder, table)))


@given(ROWS, BATCH, SEEDS)
def test_an_epoch_has_each_row_at_most_once_and_most_rows(rows: int, size: int, seed: int) -> None:
    walk = batches(EpochOrder(rows, seed), Position(), size)
    per_epoch = rows // min(size, rows)
    for epoch in range(3):
        taken = []
        for indices, position in itertools.islice(walk, per_epoch):
            assert position.epoch == epoch
            taken += indices.tolist()
            assert position.offset == len(taken)
            assert len(indices) == min(size, rows)
        assert set(taken) <= set(range(rows))
        assert max(Counter(taken).values()) == 1
        assert rows - len(taken) < size


@given(ROWS, BATCH, SEEDS, st.integers(0, 30))
def test_a_walk_goes_on_from_any_position_as_if_it_had_never_stopped(
    rows: int, size: int, seed: int, stop: int
) -> None:
    walk = list(itertools.islice(batches(EpochOrder(rows, seed), Position(), size), 40))
    saved = walk[stop][1].to_json()
    resumed = batches(EpochOrder(rows, seed), Position.from_json(saved), size)
    for (indices, position), (others, other) in zip(walk[stop + 1 :], resumed, strict=False):
        assert torch.equal(indices, others)
        assert position == other


@given(ROWS, SEEDS, st.integers(0, 100))
def test_an_order_follows_from_seed_and_epoch_alone(rows: int, seed: int, epoch: int) -> None:
    order = EpochOrder(rows, seed).permutation(epoch).clone()
    EpochOrder(rows + 1, seed).permutation(epoch)
    EpochOrder(rows, seed).permutation(epoch + 1)
    assert torch.equal(order, EpochOrder(rows, seed).permutation(epoch))
    assert sorted(order.tolist()) == list(range(rows))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [EpochOrder(50, seed).permutation(epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order.tolist()) for order in orders}) == 4


def test_a_batch_is_the_prepared_rows(tmp_path: Path) -> None:
    dataset = load(tmp_path, mixed_table())
    (numeric, categorical), target = Resident(dataset, "cpu").batch(torch.tensor([7, 0, 7]))
    rows = dataset.inputs.take([7, 0, 7])
    assert numeric.tolist() == rows["numeric"].to_pylist()
    assert categorical.tolist() == rows["categorical"].to_pylist()
    assert target.tolist() == rows["target"].to_pylist()
    assert (numeric.dtype, categorical.dtype) == (torch.float32, torch.int64)
    assert target.dtype == torch.int64


def test_a_regression_target_is_float32(tmp_path: Path) -> None:
    table = mixed_table().drop(["label"]).append_column("y", pa.array(np.linspace(0.1, 2, 120)))
    _, target = Resident(load(tmp_path, table), "cpu").batch(torch.arange(5))
    assert target.dtype == torch.float32


def test_images_are_standardised_by_channel_on_the_training_rows(tmp_path: Path) -> None:
    pixels = (
        np.random.default_rng(0).integers(0, 200, (400, 3, 4, 4))
        // np.array([1, 2, 4])[:, None, None]
    )
    flat = pa.array(pixels.astype(np.uint8).ravel())
    table = pa.table(
        {"image": pa.FixedSizeListArray.from_arrays(flat, 48), "label": ["a", "b"] * 200}
    )
    dataset = load(tmp_path, table)
    train = dataset.splits.train
    (image,), _ = Resident(dataset, "cpu").batch(torch.from_numpy(train))
    assert image.shape == (len(train), 3, 4, 4)
    assert image.dtype == torch.float32
    assert image.is_contiguous(memory_format=torch.channels_last)
    mean, sd = image.mean(dim=(0, 2, 3)), image.std(dim=(0, 2, 3), correction=0)
    assert torch.allclose(mean, torch.zeros(3), atol=1e-5)
    assert torch.allclose(sd, torch.ones(3), atol=1e-5)
    raw = torch.from_numpy(pixels[train]).float()
    scale = raw.std(dim=(0, 2, 3), correction=0, keepdim=True)
    expected = (raw - raw.mean(dim=(0, 2, 3), keepdim=True)) / scale
    assert torch.allclose(image, expected, atol=1e-4)


def test_an_image_of_one_grey_is_zero_not_nan(tmp_path: Path) -> None:
    column = pa.array([[9] * 4] * 40, pa.list_(pa.uint8(), 4))
    table = pa.table({"image": column, "x": np.arange(40) / 3, "label": ["a", "b"] * 20})
    (image, _), _ = Resident(load(tmp_path, table), "cpu").batch(torch.arange(40))
    assert not image.any()


def test_images_stay_bytes_until_a_batch_is_made(digits: Dataset) -> None:
    data = Resident(digits, "cpu")
    assert data._inputs["image"].dtype == torch.uint8
    assert data.bytes_per_row == 4 * 64, "as they come into a network"


def test_tensors_share_the_memory_of_the_table(digits: Dataset, tmp_path: Path) -> None:
    for dataset in (digits, load(tmp_path, mixed_table())):
        resident = Resident(dataset, "cpu")
        tensors = {**resident._inputs, "target": resident._target}
        assert set(tensors) == set(dataset.inputs.column_names)
        for name, tensor in tensors.items():
            *_, buffer = dataset.inputs[name].chunk(0).buffers()
            assert tensor.data_ptr() == buffer.address


def test_slices_of_a_table_are_read_from_their_own_start(tmp_path: Path) -> None:
    table = pa.table({"image": images(60, 4), "label": ["a", "b"] * 30})
    whole, part = load(tmp_path, table), load(tmp_path, table[10:])
    (one,), label = Resident(whole, "cpu").batch(torch.tensor([10, 59]))
    (two,), other = Resident(part, "cpu").batch(torch.tensor([0, 49]))
    mean, sd = (torch.tensor(part.preparation.pixel_mean), torch.tensor(part.preparation.pixel_sd))
    was, sd_was = whole.preparation.pixel_mean[0], whole.preparation.pixel_sd[0]
    assert torch.allclose(one * sd_was + was, two * sd + mean, atol=1e-3)
    assert torch.equal(label, other)
