"""A trial explained in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.events import Evaluation
from search.insight.contest import Contestant
from search.insight.explanation import Answer, Curve, Explanation
from search.insight.trail import Step
from search.report import text

_INDENT = 15
_STATES = {"completed": "green", "stopped": "yellow", "failed": "red", "waiting": "blue"}
_ROLES = {
    "winner": "the winner",
    "finalist": "a finalist",
    "baseline": "the baseline",
    "proof": "a run of the proof",
}
_KINDS = {
    "kept": "went on at once",
    "paused": "waits",
    "passed": "not judged here",
    "called": "called",
    "looked at": "second look",
}
_STYLES = {"kept": "green", "called": "green", "looked at": "cyan", "paused": "yellow", **_STATES}


def print_why(answer: Answer, console: Console) -> None:
    """Print why a trial went as it did.

    Args:
        answer: What the run's files say.
        console: Where to print.
    """
    told = answer.explanation
    if answer.note:
        _say(console, answer.note[0].upper() + answer.note[1:] + ".", "yellow")
    head = [told.trial.trial_id, told.trial.phase, _ROLES.get(told.role, ""), told.state]
    _say(console, "  ".join(part for part in head if part), f"bold {_STATES.get(told.state, '')}")
    _rows(console, "came of it", [told.outcome, *_followed(told)])
    _rows(console, "proposed by", [told.proposed_by])
    _rows(console, "configuration", _configuration(answer))
    _rows(console, "decisions", _decisions(told.steps))
    _rows(console, "raised", [told.error] if told.error else [])
    _rows(console, "curve", [] if told.curve is None else _curve(told.curve, answer.metric))
    _rows(console, "test", _tested(told, answer.metric))
    _rows(console, "place", [_place(told)])
    _rows(console, "cost", [_cost(told)])
    _rows(console, "journal", list(told.notes))
    _rows(console, "the proof", _contest(answer))


def _say(console: Console, line: str | Text, style: str = "") -> None:
    shown = line if isinstance(line, Text) else Text(line, style=style)
    console.print(shown, soft_wrap=True, highlight=False)


def _rows(console: Console, title: str, rows: Sequence[str | Text]) -> None:
    """Print rows beside their title; nothing without any. Only a terminal breaks long ones."""
    for number, row in enumerate(rows):
        head = Text("" if number else title, style="dim")
        body = row if isinstance(row, Text) else Text(row)
        if console.is_terminal:
            grid = Table.grid()
            grid.add_column(width=_INDENT)
            grid.add_row(head, body)
            console.print(grid, highlight=False)
        else:
            head.pad_right(_INDENT - len(head))
            _say(console, head.append_text(body))


def _followed(told: Explanation) -> list[str]:
    return [f"trained again as {', '.join(told.followed_by)}"] if told.followed_by else []


def _configuration(answer: Answer) -> list[str | Text]:
    told = answer.explanation
    config, differs = told.trial.config, told.differs
    width = max((len(name) for name in differs), default=0)
    rows: list[str | Text] = []
    if answer.baseline_source:
        beside = "beside the published default" if differs else "the published default's"
        rows.append(Text(f"{beside}, {answer.baseline_source}", style="dim"))
    for name, (own, other) in differs.items():
        row = Text(f"{name:<{width}}  {text.number(own):<10}", style="bold")
        rows.append(row.append(f"  {text.number(other)}", style="dim"))
    same = {name: value for name, value in config.items() if name not in differs}
    if same:
        rows.append(f"the same: {text.short_config(same)}" if differs else text.short_config(same))
    return rows


def _decisions(steps: Sequence[Step]) -> list[Text]:
    lines = []
    for before, step in zip((None, *steps), steps, strict=False):
        # A trial that still waits when its phase ends has the pause's reason, and a word more.
        known = f"{before.reason}; " if before is not None and before.kind == "paused" else ""
        lines.append(_step(replace(step, reason=step.reason.removeprefix(known))))
    return lines


def _step(step: Step) -> Text:
    kind = _KINDS.get(step.kind, step.kind)
    line = Text(f"{step.samples:>11,}  ")
    line.append(kind, style=_STYLES.get(step.kind, "dim"))
    limit = "" if step.limit is None else f" (limit {text.number(step.limit)})"
    onward = "" if step.goes_to is None else f", to {step.goes_to:,}"
    return line.append(f": {step.reason}{limit}{onward}" if step.reason else onward)


def _curve(curve: Curve, metric: str) -> list[str | Text]:
    rows: list[str | Text] = [Text(text.sparkline(curve.validation_losses, 40), style="cyan")]
    best = curve.best or curve.last
    for name, each in (("start", curve.start), ("best", best), ("last", curve.last)):
        rows.append(f"{name:<6}{_evaluation(each, metric)}")
    return rows


def _evaluation(each: Evaluation, metric: str) -> str:
    losses = f"{text.number(each.train_loss)} / {text.number(each.validation_loss)}"
    metrics = f"{text.number(each.train_metric)} / {text.number(each.validation_metric)}"
    return f"{each.point:>9,}  loss {losses}, {metric} {metrics} (train / validation)"


def _tested(told: Explanation, metric: str) -> list[str]:
    known = told.test_metric is not None
    return [f"{metric} {text.number(told.test_metric)} at the best checkpoint"] if known else []


def _place(told: Explanation) -> str:
    place = told.place
    if place.rank is None:
        return f"none: {place.of} trials of {told.trial.phase} have a finite validation loss"
    first = "" if place.rank == 1 else f"; {place.best_id} is first: {place.best_standing}"
    own = f"{place.rank} of {place.of} in {told.trial.phase}"
    return f"{own}, best {place.standing}{first}"


def _cost(told: Explanation) -> str:
    return ", ".join(_costs(told))


def _costs(told: Explanation) -> Iterator[str]:
    cost = told.cost
    runs = "" if cost.full_runs is None else f" ({text.number(cost.full_runs, 2)} full runs)"
    yield f"{cost.samples_seen:,} samples{runs}"
    training, evaluating = text.seconds(cost.train_seconds), text.seconds(cost.eval_seconds)
    yield f"{training} of training and {evaluating} of evaluation"
    yield f"{100 * cost.phase_share:.2g} % of {told.trial.phase}"
    if cost.num_parameters:
        yield f"{cost.num_parameters:,} parameters"


def _contest(answer: Answer) -> list[Text]:
    rows = []
    for each in answer.contest:
        rows.append(_contestant(each, answer.metric))
        if each.why_not:
            rows.append(Text(f"not taken: {each.why_not}", style="dim"))
    return rows


def _contestant(each: Contestant, metric: str) -> Text:
    parts = [f"validation {metric} {text.mean_sd(each.validation.mean, each.validation.sd)}"]
    parts += [f"test {text.mean_sd(each.test.mean, each.test.sd)}"] if each.test.n else []
    against = each.against_baseline
    if against is not None and against.ci95 is not None:
        difference = text.difference(against.difference, *against.ci95)
        parts.append(f"{difference} {text.interval(*against.ci95, True)} against the baseline")
    line = Text(f"{each.name:<10}", style="bold green" if each.wins else "")
    return line.append(", ".join(parts))
