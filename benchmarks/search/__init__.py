"""How good the search is: every method on the same simulated workers, tasks, seeds and budget."""
