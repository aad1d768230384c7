"""The smoke rung: few classes, a short training, and only failures count."""

import numpy as np
import pytest
from trainings import MLP, Small, make_job, numbers, small_config, table, trained

from search.data.phase_rows import RowPlan
from search.events import Ending, Trial
from search.task import ModelModule, load_model
from search.training.job import Vitals
from search.training.smoke import SMOKED_OUT, SmokeRung, smoke
from search.trials import Record

SAMPLES = 64


def rung(small: Small, samples: int = SAMPLES) -> SmokeRung:
    return SmokeRung(2, samples, RowPlan.of(small.dataset, seed=0).few_classes(2, 200))


@pytest.fixture
def own_loop() -> ModelModule:
    return load_model("tests/run/logged_model.py")


def test_a_sound_configuration_passes_after_its_few_samples() -> None:
    small = table()
    job = make_job(small, small_config(MLP, small))
    smoked = smoke(job, MLP, small.data, rung(small))
    assert smoked.why_failed is None
    batch = int(job.config["batch_size"])
    assert SAMPLES <= smoked.vitals.samples_seen < SAMPLES + batch
    assert smoked.vitals.train_seconds > 0


def test_what_diverges_fails_and_says_where() -> None:
    small = table()
    wild = {**small_config(MLP, small, optimizer="sgd"), "learning_rate_sgd": 1e9}
    smoked = smoke(make_job(small, wild), MLP, small.data, rung(small))
    assert smoked.why_failed is not None
    assert smoked.why_failed.startswith(f"{SMOKED_OUT} 2 classes: diverged")


def test_it_leaves_no_trace_in_the_training_that_follows() -> None:
    small = table()
    job = make_job(small, small_config(MLP, small))
    alone = numbers(trained(job, MLP, small))
    smoke(job, MLP, small.data, rung(small))
    assert numbers(trained(job, MLP, small)) == alone


def test_a_loop_of_its_own_is_smoked_too(own_loop: ModelModule) -> None:
    small = table()
    config = {"learning_rate": 0.1, "decay": 1e-4, "batch_size": 32}
    assert smoke(make_job(small, config), own_loop, small.data, rung(small)).why_failed is None
    wild = {**config, "learning_rate": 1e30}
    with np.errstate(all="ignore"):
        failed = smoke(make_job(small, wild), own_loop, small.data, rung(small)).why_failed
    assert failed is not None


def test_what_both_have_cost_is_added_up() -> None:
    early, late = Vitals(1.0, 0.5, 70, 64, 0.0), Vitals(2.0, 0.25, 70, 480, 0.3)
    assert late.after(early) == Vitals(3.0, 0.75, 70, 544, 0.3)
    assert Vitals().after(early) == early


def test_a_phase_says_how_many_never_started() -> None:
    small = table()
    records = [Record(Trial(f"c{n}", "coarse", "sobol", {}, 0, 9, (9,))) for n in range(3)]
    records[1].ending = Ending("c1", "failed", f"{SMOKED_OUT} 2 classes: diverged: …")
    records[2].ending = Ending("c2", "failed", "diverged: …")
    said = rung(small).describe(records)
    assert "first 2 classes: 1 of 3 configurations failed it and never started" in said
