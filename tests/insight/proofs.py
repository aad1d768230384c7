"""Confirm phases by their values."""

from search.events import Ending, Evaluation, Trial
from search.trials import History

Accuracies = list[tuple[float, float]]
SOURCES = {
    **{name: f"finalist:{name}" for name in ("f1", "f2", "f10")},
    "baseline": "baseline:a paper",
}


def confirmed(*, loss: dict[str, float] | None = None, **accuracies: Accuracies) -> History:
    """Return a confirm phase: name to (validation, test) accuracy by seed.

    The last validation loss is 1 - accuracy where ``loss`` has none for the name.
    """
    history = History()
    for name, values in accuracies.items():
        for seed, (validation, test) in enumerate(values):
            trial_id = f"x-{name}-s{seed}"
            config = {"rate": len(name) / 10}
            source = SOURCES[name]
            history.apply(Trial(trial_id, "confirm", source, config, seed, 100, (50, 100)))
            last = (loss or {}).get(name, 1 - validation)
            for number, value in enumerate((0.5, last), start=1):
                history.apply(
                    Evaluation(
                        trial_id,
                        number,
                        50 * number,
                        50 * number,
                        value,
                        value,
                        validation,
                        validation,
                        0.1,
                        float(number),
                    )
                )
            history.apply(
                Ending(
                    trial_id, "completed", "done", 1.5, 0.5, 0.1, test_loss=0.1, test_metric=test
                )
            )
    return history
