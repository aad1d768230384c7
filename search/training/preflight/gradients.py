"""Whether the gradient reaches what is trained."""

from __future__ import annotations

import math

from torch import Tensor, nn

from search.findings import Finding, warn
from search.training.preflight.bench import WARM_STEPS, Bench, names_of, too_few

EXPLODING = 1e4
"""Median of the absolute gradients."""
NUM_BATCHES = 3


def check_gradients(bench: Bench) -> list[Finding]:
    """The gradient reaches every parameter, and is finite."""
    module = bench.warmed().train()
    trained = {name: each for name, each in module.named_parameters() if each.requires_grad}
    if not trained:
        return [_gradient("no parameter can be trained", "don't freeze all of them")]
    unreached, batches = set(trained), 0
    while batches < NUM_BATCHES and (not batches or bench.seconds_left > 0):
        if not _backward(bench, module, batches):
            return [_gradient("the loss doesn't depend on any parameter", "look for a detach()")]
        given = {name: each.grad.abs() for name, each in trained.items() if each.grad is not None}
        poor = _broken(given)
        if poor is not None:
            return [poor]
        unreached -= {name for name, sizes in given.items() if bool((sizes > 0.0).any())}
        batches += 1
    if unreached and batches < NUM_BATCHES:
        raise too_few(WARM_STEPS + batches)
    return [_unreached([name for name in trained if name in unreached])] if unreached else []


def _backward(bench: Bench, module: nn.Module, number: int) -> bool:
    """Leave the gradients of one of the first batches; return whether there are any."""
    start = number * bench.batch_size
    rows = bench.rows.train[start : start + bench.batch_size]
    rows = rows if len(rows) > 1 else bench.rows.train[: bench.batch_size]
    inputs, target = bench.data.batch(rows)
    module.zero_grad()
    loss = bench.loss(module(*inputs), target)
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    return loss.requires_grad


def _broken(given: dict[str, Tensor]) -> Finding | None:
    """Return what is wrong with the absolute gradients by parameter."""
    broken = [name for name, sizes in given.items() if not math.isfinite(float(sizes.max()))]
    if broken:
        return _gradient(f"the gradient of {names_of(broken)} isn't finite", "look for log(0), 1/0")
    median = max((float(sizes.median()) for sizes in given.values()), default=0.0)
    if median > EXPLODING:
        return _gradient(f"a median gradient is {median:.3g}", "initialise smaller")
    return None


def _unreached(names: list[str]) -> Finding:
    return _gradient(
        f"no gradient reaches {names_of(names)}",
        "look for a detach(), a layer that isn't used, or units that are all off",
    )


def _gradient(message: str, remedy: str) -> Finding:
    return warn("gradients", message, remedy, fails=True)
