"""Measures how well the tuning guide is obeyed: what is planted must be found."""
