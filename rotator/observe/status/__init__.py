"""Owns what people and machines may look at over HTTP: probes, scrape, document and page; it changes nothing.

What is true of the fleet is fleet's, what is counted is metrics'; both are handed in.
"""

from __future__ import annotations

from rotator.observe.status.public_keys import KeySite, Shown
from rotator.observe.status.routes import Site
from rotator.observe.status.server import Server, ServerError
from rotator.observe.status.timeline import Timeline

__all__ = ["KeySite", "Server", "ServerError", "Shown", "Site", "Timeline"]
