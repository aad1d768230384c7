#!/usr/bin/env python
"""Break a cluster in every way that clusters break, and write down what it cost: docs/faults.md.

    python scripts/faults.py [--only NAME,…] [--out docs/faults.md]

Each fault strikes a search on a cluster of its own, of hosts that are namespaces of this machine
(tests/cluster/drill.py), started by ``ray up`` and ``ray submit``. It takes root, openssh-server,
rsync and iproute2.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "cluster")]

from drill import RUN_S, VENV, Drill, drill, wait_until  # noqa: E402
from hosts import LAPTOP, why_not  # noqa: E402

EPOCH_S = 1.0
INTERVAL_S = 3.0
MODELS = ROOT / "tests" / "run"
NUM_KILLS = 20
NUM_TRIALS = {"coarse": 12, "fine": 4, "confirm": 4}
NOTHING = "nothing"


@dataclass(frozen=True)
class Fault:
    """A way in which clusters break.

    Attributes:
        name: Short.
        what: In words.
        strike: Does it, while the search is on.
        kind: Of the trials whose own fault it is; None: it is none of theirs.
    """

    name: str
    what: str
    strike: Callable[[Strike], None]
    kind: str | None = None


class Strike:
    """A search that a fault strikes.

    Attributes:
        cluster: The machines.
        submitted: How often the search was started.
        killed: How many processes were ended.
    """

    def __init__(self, cluster: Drill) -> None:
        self.cluster = cluster
        self.submitted = self.killed = 0
        self.process = self.submit()

    def submit(self) -> subprocess.Popen[bytes]:
        """Start the search, or go on with it."""
        self.submitted += 1
        self.process = self.cluster.submit()
        return self.process

    def wait(self, number: int) -> None:
        """Wait until coarse's trials have come to a rung or to their end so often, and a while.

        States are saved at rungs: what strikes at once has little to lose.
        """
        self.cluster.wait_for_coarse(self.process, number)
        time.sleep(random.uniform(0.0, INTERVAL_S))

    def pids(self, host: str, pattern: str) -> list[int]:
        """Return a host's processes whose command holds a pattern, as the host numbers them."""
        found = self.cluster.hosts.run(host, f"pgrep -f '{pattern}' || true").stdout.split()
        return [int(each) for each in found]

    def kill(self, host: str, pattern: str) -> bool:
        """End the first of a host's processes with a pattern; say whether there was one."""
        pids = self.pids(host, pattern)
        if pids:
            self.cluster.hosts.run(host, f"kill -9 {pids[0]}")
            self.killed += 1
        return bool(pids)

    def restart(self, host: str) -> None:
        """Switch a host on again, and Ray on it."""
        self.cluster.hosts.start(host)
        self.cluster.ray_up()


RAYLET, DRIVER, TRIAL = "[r]aylet/raylet", "[s]earch.py study.yaml", "[r]ay::.*Trainable"


def power(strike: Strike) -> None:
    """A machine is gone at once."""
    strike.cluster.hosts.power_off("h2")


def raylet(strike: Strike) -> None:
    """Ray's own process on a worker ends."""
    strike.kill("h1", RAYLET)


def trial(strike: Strike) -> None:
    """The process of a trial ends."""
    wait_until(lambda: strike.kill("h1", TRIAL), "a trial has a process")


def driver(strike: Strike) -> None:
    """The search's own process ends; its user starts it again."""
    strike.kill("h0", DRIVER)
    strike.process.wait(RUN_S)
    strike.submit()


def head(strike: Strike) -> None:
    """The head is gone, and with it the search; its user brings both up again."""
    strike.cluster.hosts.power_off("h0")
    strike.process.wait(RUN_S)
    strike.restart("h0")
    strike.cluster.wait_for_nodes(3)
    strike.submit()


def partition(strike: Strike) -> None:
    """Nobody reaches a worker, then everybody does again."""
    strike.cluster.hosts.cut("h1")
    time.sleep(30)
    strike.cluster.hosts.heal("h1")


def notice(strike: Strike) -> None:
    """A machine is drained, as a spot notice asks for, and then gone."""
    ask = (
        'import ray; ray.init(address="auto", log_to_driver=False, logging_level="ERROR"); '
        'print([n["NodeID"] for n in ray.nodes() if n["NodeManagerAddress"] == "10.77.0.12"][0])'
    )
    environment = f"export PATH={VENV}/bin:$PATH RAY_AUTH_MODE=token;"
    node = strike.cluster.hosts.run("h0", f"{environment} python -c '{ask}'").stdout.split()[-1]
    drain = f"ray drain-node --node-id {node} --reason DRAIN_NODE_REASON_PREEMPTION"
    drain += " --reason-message spot --deadline-remaining-seconds 20 --address 10.77.0.10:6379"
    strike.cluster.hosts.run("h0", f"{environment} {drain}")
    time.sleep(20)
    strike.cluster.hosts.power_off("h2")


def nothing(strike: Strike) -> None:
    """The fault is in the model."""


def kills(strike: Strike) -> None:
    """End processes at random: drivers, raylets, trials."""
    generator = random.Random(0)
    while strike.killed < NUM_KILLS:
        time.sleep(generator.uniform(1.0, 4.0))
        host, pattern = generator.choice(
            [("h0", DRIVER), ("h1", RAYLET), ("h2", RAYLET), ("h1", TRIAL), ("h2", TRIAL)]
        )
        strike.kill(host, pattern)
        if pattern == RAYLET:
            strike.cluster.hosts.run(host, _RAY_START)
        if strike.process.poll() is not None:
            if (strike.cluster.run / "result.json").exists() and (
                strike.cluster.result()["status"] == "complete"
            ):
                return
            strike.submit()


_RAY_START = (
    f"export PATH={VENV}/bin:$PATH RAY_AUTH_MODE=token; ray stop; "
    "ray start --address=10.77.0.10:6379 --num-cpus=1 --object-store-memory=100000000"
)
FAULTS = [
    Fault("none", NOTHING, nothing),
    Fault("power", "a worker loses its power", power),
    Fault("raylet", "a worker's raylet is killed", raylet),
    Fault("trial", "a trial's process is killed", trial),
    Fault("driver", "the driver is killed, the search submitted again", driver),
    Fault("head", "the head loses its power, is brought up again, the search submitted", head),
    Fault("partition", "a worker is cut off for 30 s", partition),
    Fault("notice", "a spot notice: a worker is drained, then gone", notice),
    Fault("hang", "some trials hang", nothing, kind="hangs"),
    Fault("raise", "some trials always raise", nothing, kind="raises"),
    Fault("memory", "some trials ask for more memory than there is", nothing, kind="greedy"),
    Fault("kills", f"{NUM_KILLS} kills of drivers, raylets and trials at random", kills),
]


def study(fault: Fault) -> dict[str, Any]:
    """Return what is searched: a model that leaves a line for each epoch, or one with faults."""
    values: dict[str, Any] = {
        "data": "sklearn:wine",
        "model": str(MODELS / "logged_model.py"),
        "budget": {"full_epochs": 27},
        "coarse": {"num_trials": NUM_TRIALS["coarse"]},
        "fine": {"num_trials": NUM_TRIALS["fine"]},
        "confirm": {"num_finalists": 1, "num_seeds": 2},
        "training": {"checkpoint_interval_s": INTERVAL_S, "early_stopping": False},
    }
    if fault.kind is not None:
        values["model"] = str(MODELS / "faulty_model.py")
        values["space"] = {"kind": {"values": ["sound", fault.kind]}}
        values["training"]["max_silence_s"] = 5
    return values


def suffer(fault: Fault, folder: Path) -> dict[str, Any]:
    """Let a fault strike a search, and return what it cost."""
    log = folder / "epochs.log"
    with drill(folder, environment={"EPOCH_SECONDS": EPOCH_S, "EPOCH_LOG": log}) as cluster:
        _prepare(cluster, study(fault))
        began = time.monotonic()
        strike = Strike(cluster)
        if fault.kind is None:
            strike.wait(4)
        before = _endings(cluster)
        struck = time.monotonic()
        fault.strike(strike)
        code = strike.process.wait(2 * RUN_S)
        after, result = _endings(cluster), cluster.result()
        again = _trained_again(log) if fault.kind is None else Counter()
        return {
            "fault": fault.what,
            "of_the_model": fault.kind is not None,
            "exit": code,
            "status": result["status"],
            "submitted": strike.submitted,
            "trials": sum(result["trials"][p] for p in ("coarse", "fine", "confirm")),
            "failed": result["trials"]["failed"],
            "killed": strike.killed,
            "before": len(before),
            "lost": sum(after.get(t) != ending for t, ending in before.items()),
            "again_s": max(again.values(), default=0) * EPOCH_S,
            "losses": _losses(cluster),
            "struck_s": struck - began,
            "wall_s": time.monotonic() - began,
        }


def _prepare(cluster: Drill, values: dict[str, Any]) -> None:
    import yaml

    home = cluster.hosts.folder / LAPTOP / "home"
    (home / "study.yaml").write_text(yaml.safe_dump(values))


def _endings(cluster: Drill) -> dict[str, str]:
    """Return the trials that have ended to how."""
    found = {}
    for phase in ("coarse", "fine", "confirm"):
        for event in cluster.events(phase):
            if event["event"] == "ending":
                found[event["trial_id"]] = json.dumps(event, sort_keys=True)
    return found


def _losses(cluster: Drill) -> dict[str, float]:
    """Return coarse's evaluations, by trial and number, to their losses."""
    return {
        f"{event['trial_id']} {event['evaluation']}": event["validation_loss"]
        for event in cluster.events("coarse")
        if event["event"] == "evaluation"
    }


def _trained_again(log: Path) -> Counter[str]:
    """Return trainings to how many of their epochs were trained more than once."""
    epochs = Counter(log.read_text().splitlines())
    found: Counter[str] = Counter()
    for line, count in epochs.items():
        found[line.rpartition(" ")[0]] += count - 1
    return found


HEADER = """# What faults cost

Written by `python scripts/faults.py`; nothing here is typed in by hand. Each fault strikes a search
of {trials} trials on three hosts (a head without trials, two workers with a CPU each: namespaces of
one machine with a network, processes and SSH of their own), started by `ray up` and `ray submit`.
An epoch takes {epoch:g} s, a state is saved every {interval:g} s and at rungs.

*Lost* are trials that had ended before, of how many, and were gone, or different, after it; *again*
is the longest time that any one training was trained more than once; *other losses* are coarse's
evaluations that came out otherwise than in the search that nothing struck, of those that both have.

| fault | search | started | killed | trials | failed | lost | again | other losses | run took |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def page(rows: list[dict[str, Any]]) -> str:
    """Return the table."""
    lines = [HEADER.format(trials=sum(NUM_TRIALS.values()), epoch=EPOCH_S, interval=INTERVAL_S)]
    quiet = next((row["losses"] for row in rows if row["fault"] == NOTHING), {})
    for row in rows:
        lost, again, others = "", "", ""
        if not row["of_the_model"]:
            both = [row["losses"][each] == quiet[each] for each in row["losses"] if each in quiet]
            lost, again = f"{row['lost']} of {row['before']}", f"{row['again_s']:.1f} s"
            others = f"{both.count(False)} of {len(both)}"
        ended = f"{row['status']}, exit {row['exit']}"
        times = f"{row['submitted']} times" if row["submitted"] > 1 else "once"
        lines.append(
            f"| {row['fault']} | {ended} | {times} | {row['killed']} | {row['trials']} | "
            f"{row['failed']} | {lost} | {again} | {others} | {row['wall_s']:.0f} s |\n"
        )
    return "".join(lines)


def main() -> int:
    """Let every fault strike; the exit code is 1 where a search didn't end complete."""
    parser = argparse.ArgumentParser(description="Break a cluster, and write down what it cost.")
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "faults.md")
    arguments = parser.parse_args()
    if (reason := why_not()) is not None:
        print(reason, file=sys.stderr)
        return 2
    chosen = arguments.only.split(",") if arguments.only else [each.name for each in FAULTS]
    kept = arguments.out.with_suffix(".json")
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for fault in FAULTS:
        if fault.name in chosen:
            with tempfile.TemporaryDirectory(prefix="sieve-faults-") as folder:
                known[fault.name] = suffer(fault, Path(folder))
            print(json.dumps(known[fault.name]), flush=True)
            kept.write_text(json.dumps(known, indent=1))
    rows = [known[fault.name] for fault in FAULTS if fault.name in known]
    arguments.out.write_text(page(rows))
    return int(any(map(_is_bad, rows)))


def _is_bad(row: dict[str, Any]) -> bool:
    """Say whether a search didn't end complete, lost a trial, or trained too much again."""
    # A state is saved at the evaluation that follows when the interval is over.
    too_much = row["again_s"] > INTERVAL_S + EPOCH_S
    return row["status"] != "complete" or bool(row["exit"] or row["lost"]) or too_much


if __name__ == "__main__":
    sys.exit(main())
