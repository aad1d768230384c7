"""Spaces and objectives that nobody would wish for: sensible behaviour, or one clear line."""

import math
from collections.abc import Callable

import pytest

from search.errors import SpaceError, StudyError
from search.events import Ending, Evaluation, Trial
from search.execution.simulator import Simulator
from search.space import Choice, Config, Fixed, Float, Integer, Space
from search.strategy.budget import Ladder
from search.strategy.fine import FinePhase
from search.strategy.grid import few_configs
from search.strategy.method import Method
from search.strategy.ranking import name_of
from search.strategy.search_phase import SearchPhase
from search.study import FineSection, Study, resolve_study
from search.trials import History

LADDER = Ladder((10, 30, 90, 270), 3, spacing=270)
Objective = Callable[[Config], float]


class World:
    """An objective that a training approaches; infinite: it raises for lack of memory."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        done, point = (0, *trial.points)[number - 1 : number + 1]
        final = self._objective(trial.config)
        if math.isinf(final):
            return 1.0, Ending(trial.trial_id, "failed", "OutOfMemoryError: CUDA out of memory")
        loss = final + 1 / point
        values = (loss, loss, 0.0, 0.0, 0.0, float(point))
        return float(point - done), Evaluation(trial.trial_id, number, point, point, *values)

    def resume_seconds(self, trial: Trial, number: int) -> float:
        return 0.0


def search(
    space: Space, objective: Objective, *, searcher: str = "gp", num_trials: int = 40
) -> tuple[History, SearchPhase | None]:
    """Return coarse's history and the fine phase; None where nothing survived coarse."""
    study = Study(fine=FineSection(searcher=searcher))  # type: ignore[arg-type]
    method = Method(
        study, space, [], LADDER, coarse_trials=num_trials, fine_trials=num_trials, slots=4
    )
    simulator = Simulator(World(objective), 4)
    coarse = method.coarse()
    simulator.run(coarse, 1e9)
    narrowed = method.narrow(coarse.history)
    if narrowed is None:
        return coarse.history, None
    fine = method.fine(narrowed.focus, coarse.history)
    simulator.run(fine, 1e9)
    for record in fine.history:
        (fine.living.whole if isinstance(fine, FinePhase) else space).validate(record.trial.config)
    return coarse.history, fine


def numbers(config: Config) -> float:
    return sum((float(value) - 0.3) ** 2 for value in config.values() if not isinstance(value, str))


SWITCH = Choice(name="switch", values=("on", "off"))
ODD = {
    "one dimension": Space([Float(name="x", low=0.0, high=1.0)]),
    "one value": Space([Choice(name="x", values=(0.5,)), Float(name="y", low=0.0, high=1.0)]),
    "only one value": Space([Choice(name="x", values=(0.5,))]),
    "60 dimensions": Space([Float(name=f"x{n}", low=0.0, high=1.0) for n in range(60)]),
    "all conditional": Space(
        [
            SWITCH,
            *(
                Float(name=f"{on}{n}", low=0.0, high=1.0, when={"switch": (on,)})
                for on in ("on", "off")
                for n in range(3)
            ),
        ]
    ),
    "all conditional on what is fixed": Space(
        [
            Fixed(name="switch", value="on"),
            *(Float(name=f"x{n}", low=0.0, high=1.0, when={"switch": ("on",)}) for n in range(3)),
        ]
    ),
    "few points": Space([Integer(name="x", low=0, high=1), SWITCH]),
}


@pytest.mark.parametrize("searcher", ["gp", "tpe"])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_space_is_searched(name: str, searcher: str) -> None:
    _, fine = search(ODD[name], numbers, searcher=searcher, num_trials=16)
    assert fine is not None
    losses = [record.loss for record in fine.history if math.isfinite(record.loss)]
    assert losses
    if name == "one dimension":
        assert min(losses) < 0.02


@pytest.mark.parametrize(
    "space",
    [
        ODD["few points"],
        Space([SWITCH, Integer(name="x", low=0, high=30, when={"switch": ("on",)})]),
    ],
)
def test_of_few_configurations_each_is_tried_once_in_a_phase(space: Space) -> None:
    coarse, fine = search(space, numbers, num_trials=60)
    assert fine is not None
    for history in (coarse, fine.history):
        names = [name_of(record.trial.config) for record in history]
        assert len(names) == len(set(names)) == few_configs(space)
    best = min(fine.history, key=lambda record: record.loss)
    assert best.evaluations[-1].point == LADDER.full


@pytest.mark.parametrize("searcher", ["gp", "tpe"])
def test_a_constant_objective_is_searched_to_the_end(searcher: str) -> None:
    _, fine = search(ODD["one dimension"], lambda _: 1.0, searcher=searcher)
    assert fine is not None
    assert len(fine.history) == 40
    values = [float(record.trial.config["x"]) for record in fine.history]
    assert max(values) - min(values) > 0.5  # it hasn't taken noise for a reason to stay


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_where_nothing_can_be_trained_no_fine_phase_is_made(loss: float) -> None:
    coarse, fine = search(ODD["one dimension"], lambda _: loss, num_trials=12)
    assert fine is None
    assert {record.ending.status for record in coarse if record.ending} == {"failed"}


@pytest.mark.parametrize("loss", [math.nan, math.inf])
@pytest.mark.parametrize("searcher", ["gp", "tpe"])
def test_a_broken_half_of_the_space_is_soon_left_alone(searcher: str, loss: float) -> None:
    space = Space([Float(name=f"x{n}", low=0.0, high=1.0) for n in range(3)])

    def objective(config: Config) -> float:
        return loss if float(config["x0"]) > 0.5 else (float(config["x0"]) - 0.45) ** 2

    _, fine = search(space, objective, searcher=searcher, num_trials=35)
    assert fine is not None
    proposed = [r.trial.config for r in fine.history if r.trial.source == searcher]
    assert len(proposed) > 20
    assert sum(float(config["x0"]) > 0.5 for config in proposed) <= 0.25 * len(proposed)


def test_impossible_ranges_are_refused_in_a_line() -> None:
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: Float(name="x", low=0.0, high=1.0, log=True), "dimension 'x'"),
        (lambda: Float(name="x", low=1.0, high=0.5), "dimension 'x'"),
        (lambda: Integer(name="x", low=3, high=1), "dimension 'x'"),
        (lambda: Choice(name="x", values=("a", "a")), "different values"),
        (lambda: Space([SWITCH, SWITCH]), "occurs twice"),
    ]
    for make, words in cases:
        with pytest.raises(SpaceError, match=words) as raised:
            make()
        assert "\n" not in str(raised.value)


def test_a_budget_of_one_rung_is_refused_in_a_line() -> None:
    with pytest.raises(StudyError, match=r"budget\.num_rungs") as raised:
        resolve_study({"budget": {"num_rungs": 1}})
    assert "\n" not in str(raised.value)
