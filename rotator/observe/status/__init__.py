"""The status server: probes, metrics, JSON and pages over HTTP, read-only."""

from __future__ import annotations

from rotator.observe.status.pages import Timeline
from rotator.observe.status.server import ServerError, StatusRoutes, StatusServer

__all__ = ["ServerError", "StatusRoutes", "StatusServer", "Timeline"]
