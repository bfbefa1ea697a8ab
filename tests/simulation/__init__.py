"""The deterministic simulation: the real engine over models of Vault, a target, clocks and people; one seed, one history.

`python -m tests.simulation --seeds N --from S` runs a campaign; a seed always replays to the same trace.
"""
