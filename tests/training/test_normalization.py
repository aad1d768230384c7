"""Batch normalisation's statistics at an evaluation."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from trainings import CNN, images, make_job, small_config

from search.training.normalization import BatchStatistics
from search.training.precision import Precision
from search.training.session import NetworkSession

CPU = torch.device("cpu")


def refreshed(module: nn.Module) -> nn.Module:
    """Return a network of images whose statistics were taken anew from the training rows."""
    small = images()
    statistics = BatchStatistics(module, small.rows.train, seed=0)
    statistics.refresh(Precision(module, CPU), small.data)
    return module


class Images(nn.Module):
    """Normalises pixels, after dropping half of them."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.dropout, self.layer = nn.Dropout(0.5), layer

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer(self.dropout(image))


class Frozen(nn.BatchNorm2d):
    """Is never trained."""

    def train(self, mode: bool = True) -> nn.Module:
        return super().train(False)


def buffers(module: nn.Module) -> list[torch.Tensor]:
    return [each.clone() for each in module.buffers()]


def test_they_are_those_of_training_rows_without_dropout() -> None:
    small = images()
    module = refreshed(Images(nn.BatchNorm2d(1, momentum=0.2)))
    (pixels,) = small.data.inputs(small.rows.train)
    assert module.layer.running_mean.item() == pytest.approx(pixels.mean().item(), rel=1e-4)
    assert module.layer.running_var.item() == pytest.approx(pixels.var().item(), rel=1e-4)
    assert module.layer.momentum == 0.2
    assert not any(each.training for each in module.modules())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Frozen(1),
        lambda: nn.BatchNorm2d(1, momentum=0.0),
        lambda: nn.BatchNorm2d(1, track_running_stats=False),
        lambda: nn.GroupNorm(1, 1),
    ],
)
def test_what_was_not_to_move_stays(make: Callable[[], nn.Module]) -> None:
    module = Images(make())
    before = buffers(module)
    after = buffers(refreshed(module))
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_fast_learner_is_not_judged_by_averages_of_what_it_was() -> None:
    """Ten steps at a high rate: running averages are a third those of the initial network."""
    small = images()
    config = small_config(
        CNN, small, optimizer="sgd", learning_rate_sgd=0.3, momentum=0.9, normalization="batch"
    )
    session = NetworkSession(make_job(small, config, points=(320,)), CNN, small.data, small.rows)
    (anew,) = session.run()

    class Lagging(NetworkSession):
        def _evaluate(self, point: int):
            self._statistics._layers.clear()
            return super()._evaluate(point)

    (lagging,) = Lagging(session.job, CNN, small.data, small.rows).run()
    assert anew.validation_loss < 0.8 * lagging.validation_loss


def test_evaluations_on_the_way_change_neither_weights_nor_outcome() -> None:
    small = images()
    config = small_config(CNN, small, normalization="batch", dropout=0.5)
    losses, weights = [], []
    for points in ((96, 192, 288, 480), (480,)):
        session = NetworkSession(
            make_job(small, config, points=points), CNN, small.data, small.rows
        )
        losses.append(list(session.run())[-1].validation_loss)
        weights.append([each.detach().clone() for each in session.module.parameters()])
    assert losses[0] == losses[1]
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))
