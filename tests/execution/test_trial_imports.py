import subprocess
import sys

HEAVY = ("sklearn", "scipy.stats", "plotly", "hyperopt", "torch._dynamo", "sympy")
TRAINED = """
import sys
import torch
import search.execution.trainable, models.mlp, models.cnn
from search.space.training import OPTIMIZERS
from search.training.optimizers import GradientRules, make_optimizer
from search.training.schedules import Schedule

for name in OPTIMIZERS:
    network = torch.nn.Linear(2, 2)
    config = {"optimizer": name, f"learning_rate_{name}": 0.1, "momentum": 0.9, "gradient_clip": 1}
    optimizer = make_optimizer(network, config)
    schedule = Schedule(optimizer, {"schedule": "one_cycle"}, 10)
    network(torch.ones(1, 2)).sum().backward()
    GradientRules(network, config).apply()
    optimizer.step()
    schedule.after_step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
"""


def test_a_trial_s_process_loads_nothing_that_it_does_not_need() -> None:
    code = f"{TRAINED}\nprint(*(each for each in {HEAVY} if each in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
