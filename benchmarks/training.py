"""The training loop beside a bare PyTorch loop, and how many trainings one device carries.

``python -m benchmarks.training --out FILE --rows FOLDER`` measures on the GPU where there is one,
else on a core, and writes the figures; ``--page`` writes ``benchmarks/TRAINING.md`` of what was
measured, on whichever machines.
The bare loop does what a tutorial's does: rows by a random order, loss, backward, step; on a GPU in
bfloat16, as the product does. Both train the same network on the same resident rows, by turns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.table import markdown_table
from search.data import DataOptions, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.space import Config
from search.task import ModelModule, load_model
from search.training.job import Job, Rows
from search.training.network import build_network
from search.training.optimizers import make_optimizer
from search.training.precision import Precision
from search.training.scoring import loss_function
from search.training.session import NetworkSession
from search.training.threads import use_threads

PAGE = Path(__file__).with_name("TRAINING.md")
ROUNDS, SECONDS = 5, 1.0
SIDE_BY_SIDE = (1, 2, 4, 8)
CASES: tuple[tuple[str, Config], ...] = (
    ("models.mlp", {"batch_size": 64}),
    ("models.mlp", {"batch_size": 1024}),
    ("models.cnn", {"batch_size": 64}),
    ("models.cnn", {"batch_size": 256, "num_channels": 64, "convs_per_block": 2}),
)
SHARING = (CASES[0], *CASES[2:])


@dataclass
class Case:
    """What is trained: a model's first published default, changed, on random rows."""

    model: ModelModule
    config: Config
    data: Resident
    rows: Rows
    spec: Any

    @classmethod
    def make(cls, model: str, changes: Config, folder: Path, device: str) -> Case:
        """Make the rows, or find them in the folder, and put them on the device."""
        path = folder / f"{model}.parquet"
        if not path.exists():
            pq.write_table(_images() if model == "models.cnn" else _table(), path)
        dataset = load_dataset(DataOptions(str(path)))
        module = load_model(model)
        config = {**module.defaults(dataset.spec)[0].config, **changes}
        plan = RowPlan.of(dataset, seed=0)
        rows = Rows.of(plan.search(len(plan.train))).to(torch.device(device))
        return cls(module, config, Resident(dataset, device), rows, dataset.spec)

    def session_speed(self, num_steps: int) -> float:
        """Return steps a second of the product's loop."""
        size = int(self.config["batch_size"])
        points = (size * 8, size * (8 + num_steps))
        job = Job("t", self.config, self.spec, 0, points[-1], points, "accuracy")
        session = NetworkSession(job, self.model, self.data, self.rows)
        stream = session.run()
        next(stream)
        _wait(self.data.device)
        warm = session.vitals().train_seconds
        next(stream)
        return num_steps / (session.vitals().train_seconds - warm)

    def look(self, num_steps: int) -> float:
        """Return what the look before an evaluation costs (probes), in steps."""
        points = (1 << 40,)
        job = Job("t", self.config, self.spec, 0, points[0], points, "accuracy")
        session = NetworkSession(job, self.model, self.data, self.rows)
        rows = self.rows.train[: int(self.config["batch_size"])]
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(num_steps + 10):
            for with_look in (False, True):
                began = time.perf_counter()
                session._step(rows, is_last=with_look)
                _wait(self.data.device)
                seconds[with_look].append(time.perf_counter() - began)
        plain, looked = (statistics.median(seconds[each][10:]) for each in (False, True))
        return looked / plain - 1.0

    def bare_speed(self, num_steps: int) -> float:
        """Return steps a second of a bare loop."""
        device, size = self.data.device, int(self.config["batch_size"])
        module = build_network(self.model, self.config, self.spec).to(device).train()
        optimizer = make_optimizer(module, self.config)
        precision, loss_of = Precision(module, device), loss_function(self.spec.task)
        began = 0.0
        for step in range(8 + num_steps):
            if step == 8:
                _wait(device)
                began = time.perf_counter()
            if step * size % len(self.rows.train) < size:
                order = torch.randperm(len(self.rows.train), device=device)
            start = step * size % (len(order) - size)
            inputs, target = self.data.batch(self.rows.train[order[start : start + size]])
            optimizer.zero_grad(set_to_none=True)
            with precision.region():
                loss = loss_of(module(*inputs), target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        _wait(device)
        return num_steps / (time.perf_counter() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _table() -> pa.Table:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(60_000, 20)).astype(np.float32)
    columns = {f"x{number}": values[:, number] for number in range(20)}
    return pa.table({**columns, "label": np.digitize(values[:, 0] + values[:, 1], [-1, 0, 1])})


def _images() -> pa.Table:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, size=(20_000, 3 * 32 * 32), dtype=np.uint8)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), 3 * 32 * 32)
    return pa.table({"image": flat, "label": generator.integers(0, 10, size=20_000)})


def measure(case: Case) -> dict[str, float]:
    """Measure both loops by turns; return the medians and the median of the turns' ratios."""
    num_steps = max(20, int(SECONDS * case.bare_speed(50)))
    turns = [(case.bare_speed(num_steps), case.session_speed(num_steps)) for _ in range(ROUNDS)]
    return {
        "bare_steps_per_second": statistics.median(bare for bare, _ in turns),
        "steps_per_second": statistics.median(own for _, own in turns),
        "ratio": statistics.median(own / bare for bare, own in turns),
        "look_steps": case.look(50),
    }


def side_by_side(model: str, changes: Config, folder: Path, number: int) -> float:
    """Return the steps a second of so many processes together on one GPU."""
    context = multiprocessing.get_context("spawn")
    together, speeds = context.Barrier(number), context.Queue()
    arguments = (model, changes, folder, together, speeds)
    processes = [context.Process(target=_one, args=arguments) for _ in range(number)]
    for process in processes:
        process.start()
    found = [speeds.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return float(sum(found))


def _one(model: str, changes: Config, folder: Path, together: Any, speeds: Any) -> None:
    use_threads(1)
    case = Case.make(model, changes, folder, "cuda")
    num_steps = max(20, int(SECONDS * case.session_speed(50)))
    together.wait()
    speeds.put(case.session_speed(2 * num_steps))


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", action="store_true", help="write the page, and measure nothing")
    parser.add_argument("--model", help="models.mlp or models.cnn alone")
    parser.add_argument("--alone", action="store_true", help="no processes side by side")
    parser.add_argument("--rows", type=Path, help="folder for the rows")
    arguments = parser.parse_args()
    if arguments.page:
        kept = sorted(PAGE.parent.glob("measured/training-*.json"))
        PAGE.write_text(page([json.loads(path.read_text()) for path in kept]))
        return
    if arguments.out is None or arguments.rows is None:
        parser.error("give --out and --rows, or --page")
    arguments.rows.mkdir(parents=True, exist_ok=True)
    use_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found: dict[str, Any] = {"cpus": os.cpu_count(), "device": device, "cases": []}
    if device == "cuda":
        found["device"] = torch.cuda.get_device_name()
    for model, changes in CASES:
        if arguments.model not in (None, model):
            continue
        figures = measure(Case.make(model, changes, arguments.rows, device))
        row = {"model": model, "changes": changes, **figures}
        if device == "cuda" and (model, changes) in SHARING and not arguments.alone:
            row["side_by_side"] = {
                number: side_by_side(model, changes, arguments.rows, number)
                for number in SIDE_BY_SIDE
            }
        print(json.dumps(row), flush=True)
        found["cases"].append(row)
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def page(measured: list[dict[str, Any]]) -> str:
    """Return the figures as a page in Markdown."""
    return "\n".join([_PAGE, *map(_section, measured)])


def _section(found: dict[str, Any]) -> str:
    header = ["model", "batch", "a bare loop, steps/s", "this loop, steps/s", "ratio", "a look"]
    header += [f"{number} at a time" for number in SIDE_BY_SIDE[1:]]
    table = markdown_table(header, [_row(case) for case in found["cases"]])
    device = "a core" if found["device"] == "cpu" else found["device"]
    return f"## On {device}, of a machine with {found['cpus']} CPU cores\n\n{table}"


def _row(case: dict[str, Any]) -> list[str]:
    changes = dict(case["changes"])
    size = changes.pop("batch_size")
    name = ", ".join([case["model"], *(f"{key} {value}" for key, value in changes.items())])
    speeds = [f"{case[key]:.0f}" for key in ("bare_steps_per_second", "steps_per_second")]
    beside = {int(number): speed for number, speed in case.get("side_by_side", {}).items()}
    gains = [f"x {beside[n] / beside[1]:.1f}" if beside else "" for n in SIDE_BY_SIDE[1:]]
    look = f"{case['look_steps']:.2f} steps" if "look_steps" in case else ""
    return [name, str(size), *speeds, f"{case['ratio']:.2f}", look, *gains]


_PAGE = """# The training loop

Written by `python -m benchmarks.training --page`; nothing here is typed in by hand. Each training
has one CPU thread.

Each model's first published default on random rows (60,000 of 20 numbers, 20,000 images of
3 x 32 x 32), in steps a second, by a bare PyTorch loop and by this product's loop, which checks,
probes, schedules and can be interrupted; the ratio is the median over five turns. *A look* is what
the probes cost (gradients, updates, dead units), once before each evaluation. The last columns are
the steps of so many trainings together, each in a process of its own, over one alone: small
networks leave most of a GPU idle, which is why up to eight trials share one.
"""


if __name__ == "__main__":
    main()
