"""The status server: probes, metrics, JSON and pages over HTTP, read-only."""

from __future__ import annotations

from rotator.observe.status.pages import Timeline
from rotator.observe.status.routes import StatusRoutes
from rotator.observe.status.server import ServerError, StatusServer

__all__ = ["ServerError", "StatusRoutes", "StatusServer", "Timeline"]
