"""The weakness report's two parts, from what a run has kept: before tuning and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors import SafetensorError

from search.data import Dataset
from search.data.columns import image_pixels
from search.data.features import Features
from search.insight.judgement import Judgement, Truth
from search.insight.pictures import data_uris
from search.insight.result import BASELINE, Confirmed, Proof
from search.insight.slices import Slice
from search.insight.weakness import Weakness, find_weakness, measure_again
from search.rundir import RunDir
from search.training.predictions import Predictions, read_predictions
from search.trials import Record

WINNER = "winner"


@dataclass(frozen=True)
class Account:
    """A part of the weakness report.

    Attributes:
        values: As JSON; with ``missing`` alone, which says why, where there is nothing to go by.
        line: The same in a line.
    """

    values: dict[str, Any]
    line: str

    @classmethod
    def missing(cls, why: str) -> Account:
        """Say why there is none."""
        return cls({"missing": why}, f"weaknesses: {why}")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a run knows of the rows by which its trials are judged; never of the test rows.

    Attributes:
        run: Where the trials have kept their predictions.
        data: For labels and images.
        features: Of the rows that are looked at.
    """

    run: RunDir
    data: Dataset
    features: Features

    @cached_property
    def truth(self) -> Truth:
        """The labels."""
        return Truth(
            target=self.data.inputs["target"].to_numpy(),
            classes=self.data.spec.classes,
            scale=self.data.preparation.target_scale,
            name=self.data.schema.label,
        )

    def before(self, default: Record | None) -> Account:
        """Say where the best published default errs, as coarse has trained it.

        Args:
            default: Its trial; None where there is none.
        """
        if default is None:
            return Account.missing("no published default reached a rung in coarse")
        return self._of_default(default.trial.trial_id, [default])

    def before_by(self, proof: Proof) -> Account:
        """Say where the best published default errs, as the proof has trained it.

        For runs in which coarse had none, because they lie outside of the study's space.
        """
        if not proof.baseline.records:
            return Account.missing("no run of the published default was completed")
        return self._of_default(BASELINE, proof.baseline.records)

    def _of_default(self, name: str, records: Sequence[Record]) -> Account:
        judged = self._judge(records)
        if judged is None:
            return Account.missing(_not_kept(name))
        found = self._pictured(find_weakness(name, judged, self.features))
        source = records[0].trial.source.partition(":")[2]
        more = {"source": source, "samples_seen": records[0].samples_seen}
        line = f"before tuning, the published default {name}: {found.describe()}"
        return Account({**found.to_json(), **more}, line)

    def after(self, proof: Proof, before: Mapping[str, Any] | None = None) -> Account:
        """Say where the winner errs, and what finalists and baseline get wrong alike.

        Args:
            proof: The runs of the confirm phase.
            before: What :meth:`before` has said: its slices are measured again.
        """
        then = [Slice.from_json(each) for each in (before or {}).get("slices", ())]
        name = proof.winner.name
        models = {each.name: self._confirmed(each) for each in (*proof.finalists, proof.baseline)}
        known = {each: judged for each, judged in models.items() if judged is not None}
        judged = known.pop(name, None)
        if judged is None:
            return Account.missing(_not_kept(name))
        found = self._pictured(find_weakness(name, judged, self.features, known))
        sides = {WINNER: judged} | {each: known[each] for each in (BASELINE,) if each in known}
        again = {
            "compared": measure_again(found.slices, self.features, sides),
            "compared_before": measure_again(then, self.features, sides),
        }
        line = f"after tuning, the winner {name}: {found.describe()}"
        return Account({**found.to_json(), **again}, line)

    def _confirmed(self, confirmed: Confirmed) -> Judgement | None:
        return self._judge(confirmed.records)

    def _judge(self, records: Iterable[Record]) -> Judgement | None:
        runs = [self._said(record) for record in records]
        return Judgement.of([run for run in runs if run is not None], self.truth)

    def _said(self, record: Record) -> Predictions | None:
        folder = self.run.path / record.trial.phase / "trials" / record.trial.trial_id
        try:
            said = read_predictions(folder).get("validation")
        except (SafetensorError, OSError):
            return None
        if said is None:
            return None
        _, known = self.features.places(said.rows)
        return Predictions(said.rows[known], said.outputs[known])

    def _pictured(self, found: Weakness) -> Weakness:
        if self.data.spec.image is None:
            return found
        rows = found.sample_rows
        images = image_pixels(self.data.inputs["image"].take(pa.array(rows, pa.int64())))
        uris = data_uris(images.reshape(-1, *self.data.spec.image).astype(np.uint8))
        return found.with_pictures(dict(zip(rows, uris, strict=True)))


def _not_kept(name: str) -> str:
    return f"the predictions of {name} weren't kept, or are damaged: they may have been too large"
