"""The composition root: the only place that knows every class, and introduces them."""

from __future__ import annotations

from rotator.app.actor import App, acting, reading
from rotator.app.observers import Observer, Observers
from rotator.app.strays import disown, sweep

__all__ = ["App", "Observer", "Observers", "acting", "disown", "reading", "sweep"]
