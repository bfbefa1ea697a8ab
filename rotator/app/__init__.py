"""The composition root: the only place that knows every class, and introduces them."""

from __future__ import annotations

from rotator.app.actor import App, acting, reading
from rotator.app.leftovers import note_unmanaged
from rotator.app.observers import Observer, Observers
from rotator.app.strays import Leftover, leftovers, plainly, prune, revoke_leftover, sweep

__all__ = [
    "App",
    "Leftover",
    "Observer",
    "Observers",
    "acting",
    "leftovers",
    "note_unmanaged",
    "plainly",
    "prune",
    "reading",
    "revoke_leftover",
    "sweep",
]
