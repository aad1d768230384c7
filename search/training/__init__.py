"""Training one trial: the loop, optimizers and schedules, pruning, scoring, checks. No Ray."""
