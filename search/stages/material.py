"""What a run searches with: the data, how their rows are shared out, the model and its space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from search.artifacts import space_file, write_provenance, write_space
from search.data import DataOptions, Dataset, prepare_dataset
from search.data.batches import Resident
from search.data.features import Features, num_rows_to_keep
from search.data.phase_rows import RowPlan, check_classes
from search.rundir import PROVENANCE
from search.space import Dimension, Space, apply_overrides
from search.stages.run_context import RunContext
from search.strategy.grid import check_grids
from search.task import Default, ModelModule, load_model
from search.training.check import look_at_network
from search.training.job import Rows
from search.training.scoring import METRICS, resolve_metric


@dataclass(frozen=True, eq=False)
class Material:
    """The data and the model.

    Attributes:
        data: Prepared.
        rows: Which of them each phase takes.
        features: Of the rows by which trials are judged: all that is kept of the table itself.
        metric: Its name.
        model: The module.
        space: The whole one, as the study has changed it.
        defaults: Published configurations.
        num_parameters: Of the first default's network.
        first: A dimension as coarse is to look at it first; None: none.
    """

    data: Dataset
    rows: RowPlan
    features: Features
    metric: str
    model: ModelModule
    space: Space
    defaults: list[Default]
    num_parameters: int
    first: Dimension | None = None

    @property
    def mode(self) -> Literal["max", "min"]:
        """``max`` where more of the metric is better."""
        return METRICS[self.metric].mode


def load_material(run: RunContext, table: pa.Table, options: DataOptions) -> Material:
    """Read, split and prepare the data, and look whether the model fits them.

    Args:
        run: Where the whole space and the provenance are written.
        table: The data.
        options: How to read them.

    Raises:
        SieveError: The data or the model can't be used, or the data are other than those of an
            earlier session of the run.
    """
    data = prepare_dataset(table, options)
    rows, features = _share_out(run, data, table)
    metric = resolve_metric(run.study.metric, data.spec.task)
    run.display.metric, run.display.mode = metric, METRICS[metric].mode
    _write_provenance(run, data)
    model = load_model(run.study.model)
    space = apply_overrides(model.space(data.spec), run.study.space)
    check_grids(run.study, space)
    defaults = model.defaults(data.spec)
    look = Rows.of(rows.search(64))
    num_parameters = look_at_network(
        model, defaults[0].config, data.spec, Resident(data, "cpu"), look
    )
    if not run.dir.exists(space_file(0)):
        write_space(run.dir, 0, space, defaults=defaults)
    return Material(data, rows, features, metric, model, space, defaults, num_parameters)


def _share_out(run: RunContext, data: Dataset, table: pa.Table) -> tuple[RowPlan, Features]:
    study, schema = run.study, data.schema
    check_classes(study.coarse.classes, data.spec)
    rows = RowPlan.of(data, seed=study.seed, num_fresh=study.confirm.num_seeds)
    judged = rows.judged(num_rows_to_keep(len(schema.kinds), data.spec.num_outputs))
    return rows, Features.of(table, schema, judged)


def _write_provenance(run: RunContext, data: Dataset) -> None:
    if not run.dir.exists(PROVENANCE):
        for warning in data.warnings:
            run.say("data", "warning", warning)
    write_provenance(run.dir, run.study.data, data)
