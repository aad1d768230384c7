"""The commands, thin: read the arguments, call the pipeline, say how it went.

Heavy modules are imported inside of the commands, so that wrong use is answered at once.
"""

from __future__ import annotations

import sys

import typer

from search.cli import answers, checks, runs
from search.errors import EXIT_DONE, EXIT_INTERRUPTED, Interrupted, SieveError

app = typer.Typer(
    name="sieve",
    help="Finds good hyperparameters and proves that they are good.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in (
    runs.run,
    runs.resume,
    runs.plan,
    checks.audit,
    checks.preflight,
    runs.simulate,
    answers.report,
    answers.why,
    answers.predict,
):
    app.command()(_command)
app.command("check-model")(checks.check_model)
app.command("check-cluster")(checks.check_cluster)


def main() -> None:
    """Run a command; errors that the user can mend are one line and an exit code."""
    try:
        sys.exit(app(standalone_mode=False) or EXIT_DONE)
    except SieveError as error:
        _fail(str(error), error.exit_code)
    except (Interrupted, KeyboardInterrupt):
        _fail("interrupted; 'sieve resume' on the run directory goes on", EXIT_INTERRUPTED)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        _usage_or_raise(error)


def _usage_or_raise(error: Exception) -> None:
    """Show click's own usage errors in a line; everything else is a bug with its traceback."""
    message, code = getattr(error, "format_message", None), getattr(error, "exit_code", 1)
    if message is None:
        raise error
    if type(error).__name__ == "NoArgsIsHelpError":  # which has shown the help already
        sys.exit(code)
    _fail(message(), code)


def _fail(message: str, code: int) -> None:
    line = " ".join(message.split())
    print(f"sieve: {line}", file=sys.stderr)
    sys.exit(code)
