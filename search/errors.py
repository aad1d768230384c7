"""The exception tree and the exit codes of the commands.

Every error that a user can cause is a :class:`SieveError` with a one-line message: what was
given, the rule that it breaks, what to do. Everything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_MOST_NAMES = 20
"""Of so many known names a message tells; more would bury what it says."""


class SieveError(ValueError):
    """Base of all errors that the user can mend; ``exit_code`` is what a command returns."""

    exit_code = EXIT_USAGE


class StudyError(SieveError):
    """The study file, an option or a ``--set`` path is wrong."""


class DataError(SieveError):
    """The data can't be read, or can't be used as declared."""


class ModelError(SieveError):
    """The model module breaks its contract."""


class SpaceError(SieveError):
    """A search space, a dimension or a configuration is wrong."""


class RunDirError(SieveError):
    """A run directory is missing, foreign, unwritable or damaged."""


class RunFailed(SieveError):  # noqa: N818 - named as the status is
    """The run itself failed: nothing that was tried worked."""

    exit_code = EXIT_FAILED


class Unwritable(RunFailed):
    """What a run has to write finds no place now; when it does the run can be resumed."""


class Interrupted(Exception):  # noqa: N818 - it is a state, not a mistake
    """The run was asked to stop; its state is saved and ``sieve resume`` goes on."""

    exit_code = EXIT_INTERRUPTED


def one_line(error: BaseException) -> str:
    """Return an exception's class and the first line of what it says."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or the known names.

    Args:
        given: What the user wrote.
        known: The names that exist.
    """
    names = list(known)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"; known: {', '.join(names[:_MOST_NAMES])}{more}" if names else ""
