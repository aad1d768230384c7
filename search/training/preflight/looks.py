"""Checks that look at a network without training it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from search.findings import Finding, warn
from search.training.preflight.bench import Bench

HIGH_LOSS, HUGE_LOSS = 1.5, 4.0
"""Times the loss of one who knows nothing."""
EXPLODING = 1e4
"""Median of the absolute gradients."""
WIDE_INPUT, HUGE_INPUT = 20.0, 100.0
"""Standard deviation of what the first layer gets."""
SAME = 1e-3
"""Relative to the spread of the outputs: less is rounding."""
NUM_SEEDS = 3
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
    outputs = torch.cat([_outputs(bench, seed) for seed in range(NUM_SEEDS)])
    low, high = float(outputs.min()), float(outputs.max())
    sums = outputs.sum(1)
    what = None
    if bench.spec.num_outputs > 1 and low >= 0 and bool(((sums - 1.0).abs() < 1e-2).all()):
        what = "sum to 1 in each row, as after a softmax"
    elif low >= 0.0 and bool((outputs == 0.0).float().mean() > 0.01):
        what = "are never below 0, as after a ReLU"
    elif low >= 0.0 and high <= 1.0 and 0.2 <= float(outputs.mean()) <= 0.8:
        what = "lie between 0 and 1, as after a sigmoid"
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
    losses = [
        bench.loss_of(bench.network(seed), bench.rows.probe[:256]) for seed in range(NUM_SEEDS)
    ]
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
    _, target = bench.data.batch(bench.rows.probe[:256])
    return float(target.var()) if len(target) > 1 else 1.0


def check_gradients(bench: Bench) -> list[Finding]:
    """The gradient reaches every parameter, and is finite."""
    module = bench.warmed().train()
    largest = {name: 0.0 for name, each in module.named_parameters() if each.requires_grad}
    if not largest:
        return [_gradient("no parameter can be trained", "don't freeze all of them")]
    sizes: list[float] = []
    for number in range(NUM_SEEDS):
        start = number * bench.batch_size
        rows = bench.rows.train[start : start + bench.batch_size]
        rows = rows if len(rows) > 1 else bench.rows.train[: bench.batch_size]
        inputs, target = bench.data.batch(rows)
        module.zero_grad()
        loss = bench.loss(module(*inputs), target)
        if not loss.requires_grad:
            return [_gradient("the loss doesn't depend on any parameter", "look for a detach()")]
        loss.backward()  # type: ignore[no-untyped-call]
        for name, parameter in module.named_parameters():
            if parameter.requires_grad and parameter.grad is not None:
                size = float(parameter.grad.abs().max())
                largest[name] = math.nan if math.isnan(size) else max(largest[name], size)
                sizes.append(float(parameter.grad.abs().median()))
    broken = [name for name, size in largest.items() if not math.isfinite(size)]
    if broken:
        return [_gradient(f"the gradient of {_names(broken)} isn't finite", "look for log(0), 1/0")]
    unreached = [name for name, size in largest.items() if size == 0.0]
    if unreached:
        return [
            _gradient(
                f"no gradient reaches {_names(unreached)}",
                "look for a detach(), a layer that isn't used, or units that are all off",
            )
        ]
    if max(sizes) > EXPLODING:
        return [_gradient(f"a median gradient is {max(sizes):.3g}", "initialise smaller")]
    return []


def _gradient(message: str, remedy: str) -> Finding:
    return warn("gradients", message, remedy, fails=True)


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + more


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
            f"all units of {_names(alike)} have the same weights, also after a few steps",
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


def check_rows_apart(bench: Bench) -> list[Finding]:
    """In evaluation mode an output depends on its own row alone."""
    inputs, _ = bench.look()
    module = bench.network().eval()
    with torch.no_grad():
        together = module(*inputs).float()
        half = len(together) // 2
        alone = module(*(each[:half] for each in inputs)).float()
    if half == 0 or _differs(alone, together[:half]) <= SAME:
        return []
    return [
        warn(
            "rows_apart",
            "in evaluation mode a row's output changes with the other rows of its batch",
            "look for a view() over the batch, or batch statistics in evaluation",
            fails=True,
        )
    ]


def check_eval_mode(bench: Bench) -> list[Finding]:
    """In evaluation mode the same rows give the same outputs."""
    inputs, _ = bench.look()
    module = bench.network().eval()
    with torch.no_grad():
        first, second = (module(*inputs).float() for _ in range(2))
    if _differs(first, second) <= 1e-6:
        return []
    return [
        warn(
            "eval_mode",
            "in evaluation mode the same rows give other outputs the second time",
            "switch dropout and noise off by self.training",
            fails=True,
        )
    ]


def check_determinism(bench: Bench) -> list[Finding]:
    """The same seed builds the same network."""
    inputs, _ = bench.look()
    with torch.no_grad():
        first, second = (bench.network(1).eval()(*inputs).float() for _ in range(2))
    if _differs(first, second) <= 1e-6:
        return []
    return [
        warn(
            "determinism",
            "the same seed builds another network the second time",
            "draw all randomness from torch's generator",
            fails=True,
        )
    ]


def _differs(first: Tensor, second: Tensor) -> float:
    spread = float(second.std()) if second.numel() > 1 else 1.0
    return float((first - second).abs().max()) / (spread or 1.0)


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
    "determinism": (check_determinism, "the same seed builds the same network"),
    "input_scale": (check_input_scale, "the first layer's inputs are of the order of 1"),
}
