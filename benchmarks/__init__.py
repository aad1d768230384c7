"""Side-by-side measurements; each writes what it measured, as it came out."""
