"""What a model module provides, what it is told, and how it is loaded.

A model module is a plain Python module, found by import path (``models.mlp``) or by file
(``./mymodel.py``). It offers

* ``space(spec) -> Space``: the dimensions of its search,
* ``defaults(spec) -> list[dict]``: published configurations, each with a ``source`` key
  beside the configuration's own,
* ``build(config, spec) -> torch.nn.Module`` for the bundled training loop, **or**
  ``train(config, data, budget, *, seed, state=None)``, a generator of ``(metrics, state)``,

and may offer

* ``FULL_EPOCHS``, a number: how many passes over the training rows a full training has where time
  allows; 50 without,
* ``USES_GPU = False``: its trials get none, unless the study gives them some,
* beside ``train``, to predict new rows, ``save_predictor(state) -> bytes`` and
  ``load_predictor(saved, config, spec) -> predict``. ``state`` is one that ``train`` has yielded;
  ``predict`` then says of :data:`Inputs` what the ``predict`` that ``train`` gave to
  ``data.evaluate`` before that yield did, also in another process. Without them a run keeps nothing
  but the best configuration: it can't predict and has no ensemble.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from search.errors import ModelError
from search.space import Config, Space
from search.space.values import is_number

if TYPE_CHECKING:
    from torch import nn

TaskType = Literal["classification", "regression"]
Inputs = dict[str, NDArray[Any]]
"""Kind (``image``, ``numeric``, ``categorical``) to an array (rows, …)."""
Predict = Callable[[Inputs], NDArray[Any]]
"""Inputs to (rows, outputs): logits or log-probabilities, or the standardised prediction."""
_BUNDLED = Path(__file__).parents[1] / "models"
_PAIR = ("save_predictor", "load_predictor")


@dataclass(frozen=True)
class Spec:
    """What a model may know of the data: shapes, kinds and the task.

    A network's ``forward`` gets one positional tensor for each kind that is present, in this
    order: ``image`` (batch, channels, height, width) float32; ``numeric`` (batch,
    ``num_numeric``) float32; ``categorical`` (batch, columns) int64. It returns
    (batch, ``num_outputs``) float32: logits, or the standardised target.

    Attributes:
        task: ``classification`` or ``regression``.
        num_outputs: Number of classes; 1 for regression.
        num_rows: Number of training rows.
        num_numeric: Width of the numeric input, 0 where there is none.
        categories: Cardinality of each categorical column, its unknown code 0 included.
        image: (channels, height, width), or None.
        classes: The classes' names in the order of the outputs; empty for regression.
    """

    task: TaskType
    num_outputs: int
    num_rows: int
    num_numeric: int = 0
    categories: tuple[int, ...] = ()
    image: tuple[int, int, int] | None = None
    classes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The kinds of input that ``forward`` gets, in order."""
        present = {
            "image": self.image is not None,
            "numeric": self.num_numeric > 0,
            "categorical": bool(self.categories),
        }
        return tuple(kind for kind, there in present.items() if there)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; :meth:`from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Spec:
        """Read what :meth:`to_json` wrote."""
        image = values["image"]
        return cls(
            **{
                **values,
                "categories": tuple(values["categories"]),
                "classes": tuple(values["classes"]),
                "image": tuple(image) if image is not None else None,
            }
        )


@dataclass(frozen=True)
class ModelModule:
    """A loaded and checked model module.

    Attributes:
        path: What the user gave: an import path or an absolute file path.
        module: The module itself.
    """

    path: str
    module: ModuleType

    def space(self, spec: Spec) -> Space:
        """Return the module's search space for this data."""
        try:
            space = self.module.space(spec)
        except ValueError as error:
            raise ModelError(f"model {self.path}: {error}") from error
        if not isinstance(space, Space):
            raise ModelError(
                f"model {self.path}: space() returned {type(space).__name__}, no Space"
            )
        return space

    def defaults(self, spec: Spec) -> list[Default]:
        """Return the published configurations, validated against the space.

        Raises:
            ModelError: There is none, or one has no source.
            SpaceError: One lies outside of the space.
        """
        space = self.space(spec)
        found = [Default.read(values, self.path) for values in self.module.defaults(spec)]
        if not found:
            raise ModelError(f"model {self.path}: defaults() returned nothing; give at least one")
        for default in found:
            space.validate(default.config, f"model {self.path}: default '{default.source}'")
        return found

    @property
    def build(self) -> Callable[[Config, Spec], nn.Module] | None:
        """The function that builds a network, if the bundled loop shall train it."""
        return getattr(self.module, "build", None)

    @property
    def full_epochs(self) -> float | None:
        """Passes of a full training where time allows; None where the module doesn't say."""
        return getattr(self.module, "FULL_EPOCHS", None)

    @property
    def uses_gpu(self) -> bool:
        """Whether its trials get a GPU where there are some and the study leaves it open."""
        return bool(getattr(self.module, "USES_GPU", True))

    @property
    def train(self) -> Callable[..., Iterator[tuple[dict[str, float], Any]]] | None:
        """The module's own training generator, if it has one."""
        return getattr(self.module, "train", None)

    @property
    def save_predictor(self) -> Callable[[Any], bytes] | None:
        """Makes of a state of :attr:`train` what :attr:`load_predictor` reads."""
        return getattr(self.module, "save_predictor", None)

    @property
    def load_predictor(self) -> Callable[[bytes, Config, Spec], Predict] | None:
        """Makes a function that predicts; there is either none of the two or both."""
        return getattr(self.module, "load_predictor", None)

    @property
    def can_predict(self) -> bool:
        """Whether its trainings leave something to predict with."""
        return self.train is None or self.save_predictor is not None


@dataclass(frozen=True)
class Default:
    """A published configuration and where it was published."""

    config: Config
    source: str

    @classmethod
    def read(cls, values: dict[str, Any], path: str) -> Default:
        """Split a module's dictionary into configuration and ``source``.

        Raises:
            ModelError: It is no dictionary, or has no ``source``.
        """
        given: Any = values
        if not isinstance(given, dict):
            raise ModelError(f"model {path}: a default is {given!r}; it must be a dictionary")
        if "source" not in values:
            raise ModelError(f"model {path}: a default has no 'source'; say where it was published")
        config = {name: value for name, value in values.items() if name != "source"}
        return cls(config, str(values["source"]))


def load_model(path: str) -> ModelModule:
    """Load a model module by import path or by file, and check what it offers.

    Args:
        path: ``package.module`` or a path that ends in ``.py``.

    Raises:
        ModelError: It can't be imported, or lacks ``space``, ``defaults``, or both of
            ``build`` and ``train``, or has one of ``save_predictor`` and ``load_predictor``
            alone, or its ``FULL_EPOCHS`` is no number above 0.
    """
    is_file = path.endswith(".py")
    module = _load_file(Path(path)) if is_file else _load_import(path)
    for name in ("space", "defaults"):
        if not callable(getattr(module, name, None)):
            raise ModelError(f"model {path} has no function '{name}'; see README, 'Your own model'")
    if not any(callable(getattr(module, name, None)) for name in ("build", "train")):
        raise ModelError(f"model {path} has neither 'build' nor 'train'; it must have one of them")
    pair = [name for name in _PAIR if callable(getattr(module, name, None))]
    if len(pair) == 1:
        (other,) = set(_PAIR) - set(pair)
        raise ModelError(f"model {path} has '{pair[0]}' without '{other}'; give both, or neither")
    epochs = getattr(module, "FULL_EPOCHS", 1)
    if not (is_number(epochs) and epochs > 0):
        raise ModelError(f"model {path}: FULL_EPOCHS = {epochs!r}; it must be a number above 0")
    return ModelModule(str(Path(path).resolve()) if is_file else path, module)


def _load_import(path: str) -> ModuleType:
    package, _, name = path.partition(".")
    bundled = _BUNDLED / f"{name}.py"
    if package == _BUNDLED.name and bundled.is_file() and _is_hidden(package):
        return _load_file(bundled)
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is not None and (path == error.name or path.startswith(error.name + ".")):
            raise ModelError(
                f"no model module '{path}'; give an import path (models.mlp) or a .py file"
            ) from error
        raise ModelError(f"model {path} can't be imported: {error}") from error
    except Exception as error:
        raise ModelError(
            f"model {path} can't be imported: {type(error).__name__}: {error}"
        ) from error


def _is_hidden(package: str) -> bool:
    """Say whether another package of this name, of the user's folder say, is found first."""
    found = importlib.util.find_spec(package)
    places = (found.submodule_search_locations or ()) if found is not None else ()
    return _BUNDLED not in [Path(place) for place in places]


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ModelError(f"no model file '{path}'; give an existing .py file or an import path")
    digest = hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
    name = f"sieve_model_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    module_spec = importlib.util.spec_from_file_location(name, path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ModelError(
            f"model {path} can't be imported: {type(error).__name__}: {error}"
        ) from error
    return module
