"""A realistic run directory, written as a run writes it, from a seeded generator."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search.data.features import Features
from search.findings import Finding, warn
from search.insight.compare import compare
from search.insight.judgement import Judgement, Truth
from search.insight.pictures import data_uris
from search.insight.slices import Slice
from search.insight.weakness import find_weakness, measure_again
from search.training.predictions import Predictions

BEGUN = 1_750_000_000.0
FULL = 60_000
RUNGS = [468, 1875, 7500, 60_000]
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
NULLABLE = ("test_loss", "test_metric", "start_seconds")


def _dimension(name, kind, group, when=None, **own):
    values = {"name": name, "type": kind, "group": group, "when": when, "reopen": False}
    return values | own


def _rates(low, high, optimizers):
    return [
        _dimension(
            f"learning_rate_{each}", "float", 1, {"optimizer": [each]}, low=low, high=high, log=True
        )
        for each in optimizers
    ]


ROWS = np.arange(400)
PIXELS = np.random.default_rng(5).integers(0, 17, (400, 1, 8, 8)).astype(np.uint8)
BRIGHTNESS = Features(ROWS, {"brightness of image": PIXELS.mean((1, 2, 3))}, {})
DIGITS = Truth(ROWS % 10, tuple("0123456789"))


def judged(wrong, seed):
    """A model that errs on a share of the digits, on more of the dark ones; 7s it takes for 1s."""
    random = np.random.default_rng(seed)
    dark = BRIGHTNESS.numeric["brightness of image"] < 7.6
    errs = random.random(400) < np.where(dark, 0.5, wrong)
    said = np.where(errs, np.where(ROWS % 10 == 7, 1, (ROWS + 1) % 10), ROWS % 10)
    said = np.where(ROWS < 12, (ROWS + 2) % 10, said)  # what every model gets wrong
    chances = np.full((400, 10), 0.01)
    chances[ROWS, said] = 0.91
    return Judgement.of([Predictions(ROWS, np.log(chances).astype(np.float32))], DIGITS)


def pictured(found):
    rows = found.sample_rows
    return found.with_pictures(dict(zip(rows, data_uris(PIXELS[rows]), strict=True)))


def coarse_space():
    return {
        "version": 0,
        "phase": "coarse",
        "dimensions": [
            _dimension("optimizer", "choice", 1, values=list(OPTIMIZERS), ordered=False),
            *_rates(1e-5, 1e-1, OPTIMIZERS),
            _dimension(
                "momentum", "float", 1, {"optimizer": ["sgd"]}, low=0.0, high=0.99, log=False
            ),
            _dimension("batch_size", "choice", 2, values=[32, 64, 128, 256, 512], ordered=True),
            _dimension("width", "integer", 2, low=16, high=512, log=True),
            _dimension("num_layers", "integer", 2, low=1, high=5, log=False),
            _dimension("dropout", "choice", 3, values=[0.0, 0.3, 0.5, 0.7], ordered=True),
            _dimension("weight_decay", "float", 3, low=1e-6, high=1e-1, log=True),
            _dimension(
                "normalisation", "choice", 2, values=["none", "batch", "layer"], ordered=False
            ),
        ],
        "fixed": {},
        "evidence": [],
    }


def fine_space():
    found = {each["name"]: each for each in coarse_space()["dimensions"]}
    del found["learning_rate_sgd"], found["learning_rate_rmsprop"], found["momentum"]
    found["optimizer"]["values"] = ["adam", "adamw"]
    for name in ("learning_rate_adam", "learning_rate_adamw"):
        found[name] |= {"low": 4e-4, "high": 9e-3}
    found["batch_size"]["values"] = [32, 64, 128]
    found["width"]["high"] = 1024
    del found["normalisation"]
    before = {"values": ["none", "batch", "layer"]}
    return {
        "version": 1,
        "phase": "fine",
        "dimensions": list(found.values()),
        "fixed": {"normalisation": "batch"},
        "evidence": [
            _evidence("optimizer", "narrowed", "None of the 9 survivors used sgd or rmsprop."),
            _evidence(
                "learning_rate_adam",
                "narrowed",
                "Survivors lie in 0.0013 to 0.0052; above 0.031 every trial failed.",
            ),
            _evidence("width", "widened", "3 of the 5 best lie in the upper 10 % of the range."),
            _evidence("weight_decay", "reopened", "Regularisation doesn't transfer from 1/16."),
            _evidence("normalisation", "fixed", "Importance 0.01 [0.00, 0.03].", before),
        ],
    }


def _evidence(dimension, change, why, before=None):
    return {
        "dimension": dimension,
        "change": change,
        "before": before or {},
        "after": {},
        "why": why,
        "numbers": {"survivors": 9},
    }


def draw_config(generator, fine):
    optimizer = str(generator.choice(["adam", "adamw"] if fine else OPTIMIZERS))
    low, high = (4e-4, 9e-3) if fine else (1e-5, 1e-1)
    rate = float(np.exp(generator.uniform(math.log(low), math.log(high))))
    config = {"optimizer": optimizer, f"learning_rate_{optimizer}": rate}
    if optimizer == "sgd":
        config["momentum"] = float(generator.uniform(0, 0.99))
    return config | {
        "batch_size": int(generator.choice([32, 64, 128] if fine else [32, 64, 128, 256, 512])),
        "width": int(np.exp(generator.uniform(math.log(16), math.log(1024 if fine else 512)))),
        "num_layers": int(generator.integers(1, 6)),
        "dropout": float(generator.choice([0.0, 0.3, 0.5, 0.7])),
        "weight_decay": float(np.exp(generator.uniform(math.log(1e-6), math.log(1e-1)))),
        "normalisation": "batch" if fine else str(generator.choice(["none", "batch", "layer"])),
    }


def draw_curve(generator, config, budget, steps, diverges):
    """Losses that fall to a floor set by the learning rate's distance from a good one."""
    rate = next(value for name, value in config.items() if name.startswith("learning_rate"))
    off = abs(math.log10(rate / 2.5e-3))
    floor = 0.27 + 0.3 * off**1.6 + 0.12 * config["dropout"] + 0.05 * generator.random()
    rows = []
    for step in range(1, steps + 1):
        seen = budget * step // steps
        left = math.exp(-seen / FULL * 40 / (1 + off))
        train = floor * 0.85 + (2.3 - floor) * left + 0.01 * generator.standard_normal()
        gap = 0.02 + 0.25 * max(seen / FULL - 0.35, 0) ** 2
        valid = train + gap + 0.05 * floor + 0.012 * generator.standard_normal()
        if diverges and step == 3:
            train = valid = math.nan
        elif diverges:
            train, valid = train * 2.5**step, valid * 2.5**step
        accuracies = [0.1 + 0.88 * math.exp(-0.75 * loss + 0.16) for loss in (train, valid)]
        shown = [min(a, 0.999) if math.isfinite(a) else a for a in accuracies]
        rows.append((seen, train, valid, *shown))
        if diverges and step == 3:
            break
    return rows


def _trust(between, rung, value, low, high):
    found = {"value": value, "low": low, "high": high, "plain": value / 2}
    return {
        "between": between,
        "rows": 3_750,
        "rung": rung,
        "later": rung * (4 if between == "rungs" else 1),
        "correlation": found | {"num_pairs": 10, "num_compared": 34},
        "word": "good" if value >= 0.7 else "low",
        "sure": low >= 0.5,
    }


class Builder:
    """Writes the files of a run directory."""

    def __init__(self, path):
        self.path = path
        self.generator = np.random.default_rng(7)
        self.clock = BEGUN
        self.trials = {"coarse": [], "fine": [], "confirm": []}
        self.curves = {"coarse": [], "fine": [], "confirm": []}

    def add(self, phase, source, config, seed, budget, *, steps, status="completed", reason=""):
        number = len(self.trials[phase])
        trial_id = f"{ {'coarse': 'c', 'fine': 'f', 'confirm': 'r'}[phase] }{number:04d}"
        diverges = status == "failed"
        rows = draw_curve(self.generator, config, budget, 16, diverges)[:steps]
        if reason == "the process died":
            rows = []
        for index, row in enumerate(rows, start=1):
            self.curves[phase].append((trial_id, index, *row, 1e-3, 0.4 * index))
        finite = [row for row in rows if math.isfinite(row[2])]
        best = min(finite, key=lambda row: row[2], default=(0, 0, math.nan, 0, math.nan))
        test = best[4] - 0.004 + 0.003 * self.generator.standard_normal()
        self.clock += 2.0
        self.trials[phase].append(
            {
                "trial_id": trial_id,
                "phase": phase,
                "source": source,
                "config": json.dumps(config),
                "status": status,
                "reason": reason,
                "seed": seed,
                "budget_samples": budget,
                "samples_seen": rows[-1][0] if rows else 0,
                "rung": -1,
                "best_validation_loss": best[2],
                "best_validation_metric": best[4],
                "best_samples": best[0],
                "test_loss": best[2] if phase == "confirm" else None,
                "test_metric": test if phase == "confirm" else None,
                "train_seconds": 0.35 * len(rows),
                "eval_seconds": 0.05 * len(rows),
                "start_seconds": 0.05 if number else None,
                "started_at": self.clock,
                "ended_at": self.clock + 3.0,
                "num_parameters": 50_000,
                "sparsity": 0.0,
                "verdict": "exploding" if status == "failed" else "healthy",
                "evidence": "the loss isn't finite" if status == "failed" else "held it",
                "proposal": "lower the learning rate" if status == "failed" else "",
            }
        )
        return self.trials[phase][-1]

    def coarse(self):
        for index in range(40):
            config = draw_config(self.generator, fine=False)
            rate = next(v for k, v in config.items() if k.startswith("learning_rate"))
            status, reason, steps = "completed", "its budget is used", 16
            if rate > 0.03:
                status, reason, steps = "failed", "the loss is NaN", 16
            elif index % 3:
                status, reason, steps = "stopped", "rung 1: not in the best third", 2 + index % 5
            source = "default:Gorishniy et al. 2021, table 2" if index == 0 else "sobol"
            options = {"steps": steps, "status": status, "reason": reason}
            self.add("coarse", source, config, index, FULL // 16, **options)
        self.trials["coarse"][5] |= {"status": "failed", "reason": "the process died"}
        self._drop_curve("c0005")
        self._write("coarse")
        self._json("space/0.json", coarse_space())
        self._json("trust.json", [_trust("rungs", FULL // 64, 0.84, 0.55, 0.95)])
        source = {"source": "Gorishniy et al. 2021, table 2", "samples_seen": 3_750}
        found = find_weakness("c0000", judged(0.2, seed=1), BRIGHTNESS)
        self._json("weakness/before.json", pictured(found).to_json() | source)

    def _drop_curve(self, trial_id):
        self.curves["coarse"] = [row for row in self.curves["coarse"] if row[0] != trial_id]
        nothing = {"best_validation_loss": math.nan, "best_validation_metric": math.nan}
        next(t for t in self.trials["coarse"] if t["trial_id"] == trial_id).update(nothing)

    def fine(self):
        for index in range(15):
            config = draw_config(self.generator, fine=True)
            stops = index % 4 == 3
            options = {"status": "stopped", "reason": "rung 2: behind"} if stops else {}
            source = "tpe" if index > 4 else "survivor:c0003"
            self.add("fine", source, config, index, FULL // 4, steps=7 if stops else 16, **options)
        ended = ("status", "reason", "train_seconds", "eval_seconds", "ended_at")
        self.trials["fine"][1].update(dict.fromkeys(ended))  # the phase's time was up
        self._write("fine")
        self._json("space/1.json", fine_space())
        rungs = _trust("rungs", FULL // 64, 0.84, 0.55, 0.95)
        self._json("trust.json", [rungs, _trust("rows", FULL // 64, -0.2, -0.9, 0.75)])

    def confirm(self):
        order = sorted(self.trials["fine"], key=lambda trial: trial["best_validation_loss"])[:3]
        tried = [(f"finalist:{each['trial_id']}", json.loads(each["config"])) for each in order]
        tried.append(("baseline", json.loads(self.trials["coarse"][0]["config"])))
        for source, config in tried:
            for seed in (11, 12, 13):
                self.add("confirm", source, config, seed, FULL, steps=16)
        self._write("confirm")
        self._weakness_after(order[0]["trial_id"])
        self._result([source for source, _ in tried])

    def _weakness_after(self, winner):
        sides = {"winner": judged(0.1, seed=2), "baseline": judged(0.2, seed=3)}
        others = {"baseline": sides["baseline"]}
        found = find_weakness(winner, sides["winner"], BRIGHTNESS, others)
        before = json.loads((self.path / "weakness" / "before.json").read_text())
        then = [Slice.from_json(each) for each in before["slices"]]
        again = {
            "compared": measure_again(found.slices, BRIGHTNESS, sides),
            "compared_before": measure_again(then, BRIGHTNESS, sides),
        }
        self._json("weakness/after.json", pictured(found).to_json() | again)

    def _scores(self, source):
        mine = [trial for trial in self.trials["confirm"] if trial["source"] == source]
        scores = {}
        for kind, key in (("validation", "best_validation_metric"), ("test", "test_metric")):
            values = [trial[key] for trial in mine]
            mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
            scores[kind] = {"mean": mean, "sd": sd, "n": len(values)}
        scores["test"]["per_seed"] = [trial["test_metric"] for trial in mine]
        origin = source.removeprefix("finalist:")
        return {"config": json.loads(mine[0]["config"]), "trial_id": origin} | scores

    def _result(self, sources):
        *finalists, baseline = [self._scores(source) for source in sources]
        winner = max(finalists, key=lambda each: each["validation"]["mean"])
        seeds = (11, 12, 13)
        ours, theirs = (
            dict(zip(seeds, each["test"]["per_seed"], strict=True)) for each in (winner, baseline)
        )
        cost = {"samples_seen": 900_000, "trial_seconds": 320.0, "wall_seconds": 171.0}
        cost["full_run_equivalents"] = 15.0
        phase = cost | {"slots": 2, "training_share": 0.87, "trial_start_seconds": 0.046}
        self._json(
            "result.json",
            {
                "status": "complete",
                "metric": "accuracy",
                "mode": "max",
                "winner": winner,
                "baseline": baseline | {"source": "baseline"},
                "comparison": asdict(compare(ours, theirs, metric="accuracy", mode="max")),
                "finalists": finalists,
                "ensemble": self._ensemble(winner),
                "cost": {
                    "total": {key: 2.4 * value for key, value in cost.items()},
                    "coarse": phase,
                    "fine": phase | {"samples_seen": 520_000, "wall_seconds": 98.0},
                    "confirm": phase | {"samples_seen": 720_000, "training_share": None},
                },
                "trials": {"coarse": 40, "fine": 15, "confirm": 12, "stopped": 20, "failed": 8},
                "versions": {"sieve": "0.1.0", "torch": "2.13.0", "ray": "2.60.0"},
            },
        )

    def _ensemble(self, winner):
        against = {"difference": 0.004, "ci95": [0.001, 0.007], "verdict": "better"}
        members = [
            {"trial_id": f"r{seed:04d}", "configuration": winner["trial_id"], "weight": 1 / 3}
            for seed in range(3)
        ]
        return {
            "members": [each | {"num_parameters": 50_000} for each in members],
            "validation": {"loss": 0.21, "metric": 0.93},
            "winner_validation": {"loss": 0.22, "metric": 0.92},
            "test": {"loss": 0.2, "metric": 0.934},
            "comparison": against,
            "runs_comparison": against | {"ci95": [-0.001, 0.009], "verdict": "tie"},
            "num_parameters": 150_000,
            "cost_factor": 3.0,
            "weights_bytes": 600_000,
            "statement": "An ensemble of 3 models is better than the single winner.",
        }

    def surroundings(self):
        lines = [
            ("coarse", "started", "40 trials of 3,750 samples on 1/16 of the rows", {"slots": 2}),
            ("coarse", "stopped", "c0007 at rung 1: loss 1.21, cut-off 0.84", {"rung": 1}),
            ("coarse", "guard", "c0011 kept: among the best 10 % of its peers", {}),
            ("narrow", "narrowed", "learning_rate_adam to [0.0004, 0.009]", {"survivors": 9}),
            ("fine", "started", "15 trials of 15,000 samples on 1/4 of the rows", {}),
            ("confirm", "started", "3 finalists and the baseline, 3 seeds each", {"seeds": 3}),
            ("confirm", "verdict", "The winner's interval excludes 0 <b>&amp;</b>", {"p": 0.0031}),
        ]
        text = "".join(
            json.dumps(
                {
                    "time": BEGUN + 23.5 * index,
                    "phase": phase,
                    "event": event,
                    "message": message,
                    "numbers": numbers,
                }
            )
            + "\n"
            for index, (phase, event, message, numbers) in enumerate(lines)
        )
        (self.path / "journal.jsonl").write_text(text)
        self._json("plan.json", {"rungs": RUNGS})
        study = {"data": {"uri": "sklearn:digits"}, "seed": 1, "metric": "accuracy", "mode": "max"}
        study["checks"] = {"accept": ["leaking_column"]}
        self._json("study.json", study)
        rows = np.arange(7)
        remedy = "look at these rows"
        found = [
            Finding("schema", "PASS", "10 classes"),
            warn("duplicates", "7 rows twice", remedy, rows=rows),
            warn("leaking_column", "'id' alone predicts the label", "leave it out", fails=True),
        ]
        self._json("audit.json", [each.to_json() for each in found])
        sound = Finding("overfit_batch", "PASS", "learnt by heart")
        self._json("preflight.json", {"speed": None, "findings": [sound.to_json()]})
        command = "sieve run --data sklearn:digits --out runs/digits --time-budget 3m"
        provenance = {"command": command, "python": "3.11.7", "packages": {"torch": "2.13.0"}}
        self._json("provenance.json", provenance)

    def _json(self, name, values):
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(values, indent=1))

    def _write(self, phase):
        folder = self.path / phase
        folder.mkdir(parents=True)
        trials = pa.Table.from_pylist(self.trials[phase])
        for name in NULLABLE:
            place = trials.schema.get_field_index(name)
            column = trials.column(name).cast(pa.float64())
            trials = trials.set_column(place, pa.field(name, pa.float64()), column)
        pq.write_table(trials, folder / "trials.parquet")
        names = [
            "trial_id",
            "evaluation",
            "samples_seen",
            "train_loss",
            "validation_loss",
            "train_metric",
            "validation_metric",
            "learning_rate",
            "seconds",
        ]
        columns = [list(column) for column in zip(*self.curves[phase], strict=True)]
        pq.write_table(pa.table(columns, names=names), folder / "curves.parquet")


def build(path: Path, phases=("coarse", "fine", "confirm")) -> Path:
    path.mkdir(parents=True)
    builder = Builder(path)
    builder.surroundings()
    for phase in phases:
        getattr(builder, phase)()
        (path / phase / "done.json").write_text("{}")
    return path


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """A complete run; tests must not change it."""
    return build(tmp_path_factory.mktemp("complete") / "digits-20250615")


@pytest.fixture(scope="session")
def coarse_dir(tmp_path_factory):
    """A run that was interrupted after coarse; tests must not change it."""
    return build(tmp_path_factory.mktemp("interrupted") / "half", phases=("coarse",))


@pytest.fixture
def build_run():
    """Build a run directory of one's own: ``build_run(path, phases)``."""
    return build
