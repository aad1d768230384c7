import subprocess
import sys

HEAVY = ("sklearn", "scipy.stats", "plotly", "hyperopt")


def test_a_trial_s_process_loads_nothing_that_only_the_driver_needs() -> None:
    code = (
        "import sys, search.execution.trainable, models.mlp, models.cnn; "
        f"print(*(each for each in {HEAVY} if each in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
