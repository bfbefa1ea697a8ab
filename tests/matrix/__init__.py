"""The fault matrix: every step of a rotation and each of its calls, times every fault, each cell with its outcome.

`python -m tests.matrix --write` renews MATRIX.md; `python -m tests.matrix --pairs --seed N` runs pairs of faults.
"""
