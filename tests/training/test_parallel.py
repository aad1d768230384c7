"""A training that two processes share: the same as alone, up to the order of sums."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch import multiprocessing as processes
from trainings import CNN, MLP, Small, images, make_job, small_config, table, trained

from search.training.parallel import Parallel, is_first, num_processes
from search.training.session import NetworkSession

CASES = {
    "mlp": (MLP, table, {"optimizer": "adam", "learning_rate_adam": 0.01}),
    "cnn": (CNN, images, {"optimizer": "sgd", "learning_rate_sgd": 0.05, "normalization": "batch"}),
}


def train(case: str) -> dict[str, Any]:
    """Train here, and return what came of it."""
    model, make_small, given = CASES[case]
    small: Small = make_small()
    session = trained(make_job(small, small_config(model, small, **given)), model, small)
    assert isinstance(session, NetworkSession)
    return {
        "losses": [each.validation_loss for each in session.evaluations],
        "test": session.outcome().test,
        "weights": {name: tensor.clone() for name, tensor in session.weights().items()},
    }


def _work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    assert num_processes() == 2
    assert is_first() == (rank == 0)
    found = {case: train(case) for case in CASES}
    Path(folder, str(rank)).write_bytes(pickle.dumps(found))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Train all cases in two processes; their start takes most of the time."""
    folder = tmp_path_factory.mktemp("together")
    processes.spawn(_work, args=(str(folder),), nprocs=2)
    return [pickle.loads((folder / rank).read_bytes()) for rank in "01"]


@pytest.mark.parametrize("case", list(CASES))
def test_two_processes_come_to_what_one_comes_to_and_agree(
    together: list[dict[str, Any]], case: str
) -> None:
    first, second = (found[case] for found in together)
    alone = train(case)
    assert first["losses"] == second["losses"], "they would decide differently"
    for name, weights in first["weights"].items():
        assert torch.equal(weights, second["weights"][name]), name
    # Batch normalisation sees half of a batch in each process.
    tolerance = 0.15 if case == "cnn" else 1e-4
    assert first["losses"] == pytest.approx(alone["losses"], rel=tolerance)
    assert first["test"] == pytest.approx(alone["test"], rel=tolerance, abs=0.05)


def test_alone_nothing_is_shared() -> None:
    network = torch.nn.Linear(2, 1)
    parallel = Parallel(network, torch.device("cpu"))
    assert parallel.module is network
    rows = torch.arange(5)
    own, weight = parallel.share(rows)
    assert (own is rows, weight) == (True, 1.0)
    assert parallel.total(torch.tensor(2.0)) == 2.0
