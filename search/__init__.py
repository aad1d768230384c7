"""sieve: hyperparameter search that people trust.

Coarse, narrow, fine, confirm and explain, on Ray Tune. What a model module imports is in
:mod:`search.space`; a run is started by :class:`search.pipeline.Run` or the command ``sieve``.
"""

__version__ = "0.1.0"
