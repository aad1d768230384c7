"""Data of every kind that a model may meet, and tensors of their shapes."""

from typing import Any

import torch
from hypothesis import strategies as st

from search.space import Config, Integer, Space
from search.task import ModelModule, Spec, load_model

torch.set_num_threads(1)
MLP, CNN = load_model("models.mlp"), load_model("models.cnn")

TABLES = {
    "numeric": {"num_numeric": 3},
    "categorical": {"categories": (2, 1, 40)},
    "mixed": {"num_numeric": 2, "categories": (3, 1001)},
}
IMAGES = {
    "grey": {"image": (1, 8, 8)},
    "colour": {"image": (3, 10, 7)},
    "tiny": {"image": (3, 1, 2)},
}
TASKS: dict[str, dict[str, Any]] = {
    "two": {"task": "classification", "num_outputs": 2, "classes": ("a", "b")},
    "five": {"task": "classification", "num_outputs": 5, "classes": tuple("abcde")},
    "regression": {"task": "regression", "num_outputs": 1},
}


def specs(inputs: dict[str, dict[str, Any]]) -> dict[str, Spec]:
    return {
        f"{kind}-{task}": Spec(num_rows=100, **given, **of_task)
        for kind, given in inputs.items()
        for task, of_task in TASKS.items()
    }


OF_MODELS: dict[str, tuple[ModelModule, Spec]] = {
    **{f"mlp-{name}": (MLP, spec) for name, spec in specs(TABLES | IMAGES).items()},
    **{f"cnn-{name}": (CNN, spec) for name, spec in specs(IMAGES).items()},
}


def batch(spec: Spec, rows: int) -> tuple[torch.Tensor, ...]:
    """Return random inputs as :class:`search.task.Spec` describes them."""
    inputs: list[torch.Tensor] = []
    if spec.image is not None:
        inputs.append(torch.randn(rows, *spec.image))
    if spec.num_numeric:
        inputs.append(torch.randn(rows, spec.num_numeric))
    if spec.categories:
        columns = [torch.randint(cardinality, (rows,)) for cardinality in spec.categories]
        inputs.append(torch.stack(columns, dim=1))
    return tuple(inputs)


def points(space: Space) -> st.SearchStrategy[Config]:
    """Draw points of a space whose widths are kept small, for speed."""
    for name in ("num_units", "num_channels"):
        if name in space:
            space = space.replace(Integer(name=name, low=space[name].low, high=48, log=True))
    axes = len(space.searched)
    return st.lists(st.floats(0, 1), min_size=axes, max_size=axes).map(space.from_unit)
