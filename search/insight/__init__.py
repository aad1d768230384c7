"""What the numbers say: tables of trials, comparisons with intervals, the result."""
