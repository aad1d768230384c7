"""Models: one file each, with its network, its space and its published defaults.

Put your own beside them, or anywhere: a model is found by import path or by file.
"""
