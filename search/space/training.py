"""The dimensions that every network shares: how it is trained, not what it is.

The bundled training loop reads these names; a model adds its architecture's own.
"""

from __future__ import annotations

from search.space.dimensions import Choice, Dimension, Float

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle", "plateau")


def learning_rate_name(optimizer: str) -> str:
    """Return the name of an optimizer's own learning rate."""
    return f"learning_rate_{optimizer}"


def training_dimensions(
    *, batch_sizes: tuple[int, ...] = (32, 64, 128, 256, 512), dropout: bool = True
) -> tuple[Dimension, ...]:
    """Return optimizer, learning rates, schedule, batch size and regularisation.

    A learning rate is a dimension of its own for each optimizer, since their good ranges
    lie decades apart. Ranges: SGD 1e-5 to 1, the adaptive ones 1e-5 to 1e-1.

    Args:
        batch_sizes: Powers of two, rising.
        dropout: Whether the network takes a ``dropout`` rate.
    """
    return (
        *_optimizer_dimensions(),
        *_schedule_dimensions(),
        Choice(name="batch_size", values=batch_sizes, ordered=True, group=2),
        *_regularisation_dimensions(dropout),
    )


def _optimizer_dimensions() -> tuple[Dimension, ...]:
    rates = tuple(
        Float(
            name=learning_rate_name(optimizer),
            low=1e-5,
            high=1.0 if optimizer == "sgd" else 1e-1,
            log=True,
            limits=(1e-7, 10.0),
            group=1,
            when={"optimizer": (optimizer,)},
        )
        for optimizer in OPTIMIZERS
    )
    momentum = Float(
        name="momentum",
        low=0.0,
        high=0.99,
        limits=(0.0, 0.999),
        group=1,
        when={"optimizer": ("sgd", "rmsprop")},
    )
    return (Choice(name="optimizer", values=OPTIMIZERS, group=1), *rates, momentum)


def _schedule_dimensions() -> tuple[Dimension, ...]:
    return (
        Choice(name="schedule", values=SCHEDULES, group=1),
        Float(
            name="schedule_decay",
            low=1e-3,
            high=0.5,
            log=True,
            limits=(1e-5, 0.9),
            group=1,
            when={"schedule": ("step", "exponential")},
        ),
        Choice(
            name="plateau_factor",
            values=(2, 5),
            ordered=True,
            group=1,
            when={"schedule": ("plateau",)},
        ),
    )


def _regularisation_dimensions(dropout: bool) -> tuple[Dimension, ...]:
    rates = Choice(name="dropout", values=(0.0, 0.3, 0.5, 0.7), ordered=True, group=3, reopen=True)
    return (
        *((rates,) if dropout else ()),
        Float(
            name="weight_decay",
            low=1e-6,
            high=1e-1,
            log=True,
            limits=(1e-8, 10.0),
            group=3,
            reopen=True,
        ),
        Choice(name="l1", values=(0.0, 1e-6, 1e-5, 1e-4), ordered=True, group=3, reopen=True),
        Choice(name="gradient_clip", values=(0.0, 0.5, 1.0, 5.0), ordered=True, group=3),
        Choice(name="pruning_rate", values=(0.0, 0.3, 0.5, 0.8), ordered=True, group=3),
    )
