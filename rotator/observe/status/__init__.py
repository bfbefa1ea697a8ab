"""What people and machines may look at over HTTP: probes, scrape, document and page; it changes nothing.

What is true of the fleet is fleet's, what is counted is metrics'; both are handed in.
"""

from __future__ import annotations

from rotator.observe.status.public_keys import JwksRoutes, PublicKeySet
from rotator.observe.status.routes import StatusRoutes
from rotator.observe.status.server import ServerError, StatusServer
from rotator.observe.status.timeline import Timeline

__all__ = ["JwksRoutes", "PublicKeySet", "ServerError", "StatusRoutes", "StatusServer", "Timeline"]
