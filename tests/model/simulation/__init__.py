"""The deterministic simulation: the real engine over models of Vault, a target, clocks and people.

One seed is one history, and always replays to the same trace. `python -m tests.model.simulation --seeds N --from S`
runs a campaign. Directed schedules and shrunk findings are ordinary tests on stage.py.
"""
