"""``report.html``: one file that explains a run and opens without a network.

Reads the run directory alone, needs no Ray, and leaves out what hasn't been reached yet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.offline
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from search.files import write_at_once
from search.insight.isolation import Isolation
from search.report import data, figures, importance_figures, search_figures, text, trial_figures
from search.report.checks import checks
from search.report.cost import cost_table
from search.report.files import Run, read_run
from search.report.importance import PhaseImportance, what_mattered
from search.report.spaces import space_rows
from search.report.strips import strips
from search.report.trust import trust_figure, trust_rows
from search.report.weakness import weakness_parts
from search.strategy.trust import GOOD, LOW

_VERDICTS = {
    "better": "Better than the baseline",
    "tie": "A tie with the baseline",
    "worse": "Worse than the baseline",
}


@dataclass(frozen=True)
class Plot:
    """A figure on the page.

    Attributes:
        spec: The figure as JSON that is safe within a script element.
        height: In CSS pixels.
        label: What it shows, for those who can't see it.
    """

    spec: Markup
    height: int
    label: str


@dataclass(frozen=True)
class JournalLine:
    """A decision in the journal: when, where, what, why, on which numbers."""

    time: str
    elapsed: str
    phase: str
    event: str
    message: str
    numbers: str


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` into a run directory and return its path.

    A run that was interrupted or failed gets a report of what there is; each missing section
    says why it is missing.

    Args:
        run_dir: A run directory, complete or not.

    Raises:
        RunDirError: It is no run directory, or a file in it is damaged.
    """
    page = render(read_run(run_dir))
    target = run_dir / "report.html"
    write_at_once(target, lambda draft: draft.write_text(page, encoding="utf-8"))
    return target


def render(run: Run) -> str:
    """Return the page of a run."""
    loader = PackageLoader("search.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(
        number=text.number,
        seconds=text.seconds,
        count=text.count,
        config=text.short_config,
        breakable=breakable,
    )
    environment.globals.update(
        mean_sd=text.mean_sd,
        interval=text.interval,
        difference=text.difference,
        aligned=text.aligned,
    )
    page = environment.get_template("report.html.j2")
    return page.render(
        run=run,
        style=Markup(_asset(environment, "report.css")),
        script=Markup(_asset(environment, "report.js")),
        plotly=Markup(plotly.offline.get_plotlyjs()),
        **_headline(run),
        **_confirmation(run),
        checks=checks(run),
        parts=weakness_parts(run),
        **_search(run),
        **_importance(run),
        **_appendix(run),
    )


def _asset(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def breakable(name: str) -> Markup:
    """Let a long name break after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def plot(figure: go.Figure, label: str, frames: Sequence[dict[str, Any]] = ()) -> Plot:
    """Wrap a figure for the page, with what it may show instead where that is chosen."""
    values = json.loads(figure.to_json())
    values |= {"frames": list(frames)} if frames else {}
    spec = json.dumps(values, separators=(",", ":")).replace("<", "\\u003c")
    return Plot(Markup(spec), int(figure.layout.height), label)


def _headline(run: Run) -> dict[str, Any]:
    unknown = dict.fromkeys(("statement", "verdict", "difference", "ci95", "p_value"))
    comparison = unknown | (run.result.get("comparison") or {})
    status = run.result.get("status") or "unfinished"
    return {
        "status": status,
        "reached": data.reached(run),
        "complete": run.complete,
        "comparison": comparison,
        "verdict": _VERDICTS.get(str(comparison["verdict"])),
        "winner": _side(run.result.get("winner")),
        "baseline": _side(run.result.get("baseline")),
        "published": data.published_source(run),
        "default_wins": (run.result.get("winner") or {}).get("trial_id") == "baseline",
        "reason": run.result.get("reason"),
        "total": (run.result.get("cost") or {}).get("total") or {},
    }


def _side(values: dict[str, Any] | None) -> dict[str, Any] | None:
    """Fill in what the winner or the baseline lacks, so that the template need not ask."""
    if not values:
        return None
    test = dict.fromkeys(("mean", "sd", "n")) | (values.get("test") or {})
    test["sd"] = test["sd"] if (test["n"] or 0) > 1 else None
    return {"trial_id": None} | values | {"test": test}


def _confirmation(run: Run) -> dict[str, Any]:
    found = data.contenders(run)
    winner, baseline = run.result.get("winner") or {}, run.result.get("baseline") or {}
    curved = [each for each in found if any(trial.points for trial in each.trials)]
    return {
        "contenders": found,
        "confirm_plot": plot(
            figures.confirmation_figure(found, run.metric),
            f"Test {run.metric} of each finalist and the baseline over the seeds",
        )
        if found
        else None,
        "training_plots": [
            (each, plot(figures.training_figure(each, run.metric), f"Training of {each.name}"))
            for each in curved
        ],
        "ensemble": run.result.get("ensemble") or {},
        "config_rows": data.config_rows(winner.get("config") or {}, baseline.get("config") or {}),
    }


def _search(run: Run) -> dict[str, Any]:
    curves = {p: data.phase_curves(run, p) for p in ("coarse", "fine") if run.of_phase(p)}
    before, after = run.space_before, run.space_after
    trust = trust_rows(run)
    shown = trial_figures.trials_to_show(run)
    return {
        "phase_plots": [
            (phase, each, plot(search_figures.phase_figure(each), f"Validation loss in {phase}"))
            for phase, each in curves.items()
        ],
        "space_rows": space_rows(before, after) if before else [],
        "strip_plots": [
            (s.name, plot(search_figures.strip_figure(s), f"Validation loss against {s.name}"))
            for s in strips(run)
        ],
        "trial_choices": trial_figures.choices(shown),
        "trial_plot": plot(
            trial_figures.trial_figure(run.metric),
            "Loss and metric of the chosen trial on training and on validation rows",
            [trial_figures.frame(each) for each in shown],
        ),
        "failures": data.failures(run),
        "verdict_rows": data.verdict_rows(run),
        "trust_rows": trust,
        "trust_zones": (GOOD, LOW),
        "trust_plot": plot(trust_figure(trust), "Rank correlations between fidelities"),
    }


def _importance(run: Run) -> dict[str, Any]:
    return {"mattered": [(told, *_mattered(told)) for told in what_mattered(run)]}


def _mattered(told: PhaseImportance) -> tuple[Plot | None, list[tuple[Isolation, Plot]]]:
    """Return the picture of a phase's importances, None without any, and each dimension's."""
    bars = importance_figures.importance_figure(told.importances) if told.importances else None
    alone = importance_figures.isolation_figures(told.isolations)
    return (
        plot(bars, f"Importance of the dimensions in {told.phase}") if bars is not None else None,
        [
            (each, plot(figure, f"Best loss by {each.dimension.name} in {told.phase}"))
            for each, figure in alone
        ],
    )


def _appendix(run: Run) -> dict[str, Any]:
    journal = journal_lines(run.journal)
    return {
        "costs": cost_table(run),
        "journal": journal,
        "journal_phases": list(dict.fromkeys(line.phase for line in journal)),
        "provenance": flat(run.provenance),
        "versions": flat(run.result.get("versions") or {}),
        "study": json.dumps(run.study, indent=2, ensure_ascii=False) if run.study else "",
    }


def journal_lines(journal: Sequence[dict[str, Any]]) -> list[JournalLine]:
    """Return the journal's lines as text; times are UTC and relative to the first line."""
    begun = min((float(entry["time"]) for entry in journal), default=0.0)
    return [
        JournalLine(
            time=datetime.fromtimestamp(float(entry["time"]), UTC).strftime("%Y-%m-%d %H:%M:%S"),
            elapsed=text.seconds(float(entry["time"]) - begun),
            phase=str(entry.get("phase") or "run"),
            event=str(entry.get("event") or ""),
            message=str(entry.get("message") or ""),
            numbers=", ".join(f"{k} = {v}" for k, v in flat(entry.get("numbers") or {})),
        )
        for entry in journal
    ]


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested values as (dotted key, text) pairs.

    >>> flat({"a": {"b": 1}, "c": [1, 2]})
    [('a.b', '1'), ('c', '1 2')]
    """
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            pairs += flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            pairs.append((f"{prefix}{key}", " ".join(map(_plain, value))))
        else:
            pairs.append((f"{prefix}{key}", _plain(value)))
    return pairs


def _plain(value: Any) -> str:
    """Whole numbers as they are: they may be versions, seeds or times."""
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return text.number(value) if isinstance(value, float | None) else str(value)
