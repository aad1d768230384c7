"""Checks that look at a network as it is built, or after a few steps."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from search.findings import Finding, warn
from search.training.preflight.bench import NUM_SEEDS, WARM_STEPS, Bench, names_of
from search.training.preflight.gradients import check_gradients
from search.training.preflight.repeats import check_determinism, check_eval_mode, check_rows_apart

HIGH_LOSS, HUGE_LOSS = 1.5, 4.0
"""Times the loss of one who knows nothing."""
WIDE_INPUT, HUGE_INPUT = 20.0, 100.0
"""Standard deviation of what the first layer gets."""
PROBE_ROWS = 256
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def check_output_width(bench: Bench) -> list[Finding]:
    """One output for each class, one for regression."""
    inputs, _ = bench.look()
    with torch.no_grad():
        outputs = bench.network().eval()(*inputs)
    wanted = (len(inputs[0]), bench.spec.num_outputs)
    if isinstance(outputs, Tensor) and tuple(outputs.shape) == wanted:
        return []
    given = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    return [
        warn(
            "output_width",
            f"the network returns {given} for {wanted[0]} rows; it must return {wanted}",
            "give the last layer spec.num_outputs outputs",
            fails=True,
        )
    ]


def check_output_activation(bench: Bench) -> list[Finding]:
    """No activation on the output: the loss has its own, and a bounded output can't say all."""
    seen: list[Tensor] = []
    for seed in range(NUM_SEEDS):
        bench.go_on(seed * WARM_STEPS)
        seen.append(_outputs(bench, seed))
        if float(seen[-1].min()) < 0.0:
            return []
    what = _activation(torch.cat(seen))
    if what is None:
        return []
    return [
        warn(
            "output_activation",
            f"the outputs {what}",
            "return the last linear layer's outputs as they are",
            fails=True,
        )
    ]


def _activation(outputs: Tensor) -> str | None:
    """Return what outputs of which none is negative look like."""
    sums = outputs.sum(1)
    if outputs.shape[1] > 1 and bool(((sums - 1.0).abs() < 1e-2).all()):
        return "sum to 1 in each row, as after a softmax"
    if bool((outputs == 0.0).float().mean() > 0.01):
        return "are never below 0, as after a ReLU"
    if float(outputs.max()) <= 1.0 and 0.2 <= float(outputs.mean()) <= 0.8:
        return "lie between 0 and 1, as after a sigmoid"
    return None


def _outputs(bench: Bench, seed: int) -> Tensor:
    inputs, _ = bench.look()
    module = bench.warmed(seed).eval()
    with torch.no_grad():
        found: Tensor = module(*inputs)
    return found.float()


def check_initial_loss(bench: Bench) -> list[Finding]:
    """At the start a network knows nothing: ln K, or the target's variance."""
    is_class = bench.spec.task == "classification"
    expected = math.log(bench.spec.num_outputs) if is_class else _variance(bench)
    losses: list[float] = []
    while len(losses) < NUM_SEEDS and (not losses or bench.seconds_left > 0):
        losses.append(bench.loss_of(bench.network(len(losses)), bench.rows.probe[:PROBE_ROWS]))
    loss = max(losses, key=lambda each: each if math.isfinite(each) else math.inf)
    ratio = loss / max(expected, 1e-6)
    if math.isfinite(loss) and ratio <= HIGH_LOSS:
        return []
    return [
        warn(
            "initial_loss",
            f"before the first step the loss is {loss:.4g}; one who knows nothing has "
            f"{expected:.4g}",
            "initialise the last layer smaller, and look for sums that grow with the width",
            value=loss,
            fails=not (math.isfinite(loss) and ratio <= HUGE_LOSS),
        )
    ]


def _variance(bench: Bench) -> float:
    target = bench.data.target(bench.rows.probe[:PROBE_ROWS])
    return float(target.var()) if len(target) > 1 else 1.0


def check_units_differ(bench: Bench) -> list[Finding]:
    """The units of a layer don't begin alike: such units stay alike."""
    module = bench.warmed()
    layers = [each for each in module.named_modules() if isinstance(each[1], _LAYERS)]
    alike = [
        name
        for name, layer in layers
        if len(layer.weight) > 1 and bool((layer.weight == layer.weight[:1]).all())
    ]
    if not alike:
        return []
    return [
        warn(
            "units_differ",
            f"all units of {names_of(alike)} have the same weights, also after a few steps",
            "initialise them at random",
            fails=True,
        )
    ]


def check_inputs_used(bench: Bench) -> list[Finding]:
    """The outputs depend on the inputs, on every kind of them."""
    inputs, _ = bench.look()
    module = bench.warmed().eval()
    with torch.no_grad():
        before = module(*inputs).float()
        spread = float(before.std()) or 1.0
        ignored = []
        for place, kind in enumerate(bench.spec.inputs):
            bench.go_on(WARM_STEPS)
            others = tuple(each.roll(1, 0) if n == place else each for n, each in enumerate(inputs))
            if float((module(*others).float() - before).abs().max()) <= 1e-6 * spread:
                ignored.append(kind)
    if not ignored:
        return []
    return [
        warn(
            "inputs_used",
            f"the outputs don't depend on the {' and '.join(ignored)} input",
            "use every input that forward() gets",
            fails=True,
        )
    ]


def check_input_scale(bench: Bench) -> list[Finding]:
    """What the first layer gets is of the order of 1."""
    seen: list[Tensor] = []

    def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        if not seen and given and given[0].is_floating_point():
            seen.append(given[0].detach().float())

    module = bench.network().eval()
    layers = [
        m
        for m in module.modules()
        if not list(m.children()) and any(p.dim() > 1 for p in m.parameters(recurse=False))
    ]
    hooks = [layer.register_forward_pre_hook(hook) for layer in layers]
    inputs, _ = bench.look()
    with torch.no_grad():
        module(*inputs)
    for each in hooks:
        each.remove()
    if not seen:
        return []
    size = float(seen[0].square().mean().sqrt())
    if size <= WIDE_INPUT:
        return []
    return [
        warn(
            "input_scale",
            f"the first layer gets numbers of the size {size:.3g}",
            "scale them to about 1: sieve's inputs are, so look at what forward() does first",
            value=size,
            fails=size > HUGE_INPUT,
        )
    ]


LOOKS: dict[str, tuple[Callable[[Bench], list[Finding]], str]] = {
    "output_width": (check_output_width, "one output for each class or target"),
    "output_activation": (check_output_activation, "no activation on the output"),
    "initial_loss": (check_initial_loss, "the first loss is that of one who knows nothing"),
    "gradients": (check_gradients, "finite gradients reach every parameter"),
    "units_differ": (check_units_differ, "the units of each layer differ"),
    "inputs_used": (check_inputs_used, "the outputs depend on every input"),
    "rows_apart": (check_rows_apart, "a row's output depends on this row alone"),
    "eval_mode": (check_eval_mode, "evaluation mode is deterministic"),
    "input_scale": (check_input_scale, "the first layer's inputs are of the order of 1"),
    "determinism": (check_determinism, "the same seed builds the same network, trained alike"),
}
