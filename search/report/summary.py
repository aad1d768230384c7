"""The closing lines of a run in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from search.insight.result import BASELINE
from search.report import text

_VERDICT_STYLE = {"better": "bold green", "tie": "bold yellow", "worse": "bold red"}


def print_summary(result: Mapping[str, Any], report: str | None, console: Console) -> None:
    """Print the closing lines of a run: the verdict, winner against baseline, the report.

    Args:
        result: What ``result.json`` holds.
        report: Where the report is; None: there is none.
        console: Where to print.
    """
    comparison = result.get("comparison") or {}
    if comparison.get("statement"):
        style = _VERDICT_STYLE.get(comparison.get("verdict", ""), "bold")
        stays = (result.get("winner") or {}).get("trial_id") == BASELINE
        _say(console, comparison["statement"], "bold yellow" if stays else style)
        if stays and comparison.get("verdict") == "better":
            _say(
                console,
                "That is the best finalist; on validation, by which the winner is "
                "chosen, the published default did best: it stays.",
            )
    if result.get("status") != "complete":
        _say(console, f"The run {_state(result)} before its end.", "yellow")
        if result.get("reason"):
            _say(console, str(result["reason"]))
    for line in _scores(result):
        _say(console, line)
    if comparison.get("ci95"):
        low, high = comparison["ci95"]
        said = text.difference(comparison["difference"], low, high)
        _say(console, f"difference {said}, 95 % interval {text.interval(low, high, True)}")
    for line in _ensemble(result):
        _say(console, line)
    if report is not None:
        _say(console, f"report     {report}")


def _state(result: Mapping[str, Any]) -> str:
    return "was interrupted" if result.get("status") == "interrupted" else "failed"


def _scores(result: Mapping[str, Any]) -> list[str]:
    lines = []
    for name in ("winner", "baseline"):
        test = (result.get(name) or {}).get("test") or {}
        if test.get("mean") is not None:
            spread = test.get("sd") if (test.get("n") or 0) > 1 else None
            origin = result[name].get("source" if name == "baseline" else "trial_id")
            origin = "the published default" if origin == BASELINE else origin
            score = f"test {result.get('metric')} {text.mean_sd(test['mean'], spread)}"
            seeds = f"{test.get('n')} seed{'' if test.get('n') == 1 else 's'}"
            lines.append(f"{name:<10} {score} over {seeds}" + (f" ({origin})" if origin else ""))
    return lines


def _ensemble(result: Mapping[str, Any]) -> list[str]:
    """Say what the offered ensemble is worth; nothing where there is none."""
    found = result.get("ensemble") or {}
    if not found.get("members"):
        return []
    against, metric = found["comparison"], result.get("metric")
    low, high = against["ci95"]
    said = f"{text.difference(against['difference'], low, high)} {text.interval(low, high, True)}"
    return [
        f"ensemble   test {metric} {text.number(found['test']['metric'])} with "
        f"{len(found['members'])} models: {said} against the single winner ({against['verdict']})"
    ]


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style=style), soft_wrap=True, highlight=False)
