"""Decisions: what to try, for how long, when to stop, what to keep.

Pure objects: no Ray, no torch, no clock, a seeded generator of their own. The machinery in
``search.execution`` carries their decisions out.
"""
