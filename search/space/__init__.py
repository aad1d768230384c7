"""Search spaces: dimensions, conditions, groups; sampling, narrowing, JSON.

>>> from search.space import Choice, Float, Integer, Space, training_dimensions
"""

from search.space.dimensions import Choice, Dimension, Fixed, Float, Integer
from search.space.overrides import apply_overrides
from search.space.space import Config, Space
from search.space.training import training_dimensions
from search.space.values import Value

__all__ = [
    "Choice",
    "Config",
    "Dimension",
    "Fixed",
    "Float",
    "Integer",
    "Space",
    "Value",
    "apply_overrides",
    "training_dimensions",
]
