"""The fault matrix: every step of a rotation and each of its calls, times every fault, each cell with its outcome.

`python -m tests.model.matrix --write` renews MATRIX.md;
`python -m tests.model.matrix --pairs --seed N` runs pairs of faults.
"""
