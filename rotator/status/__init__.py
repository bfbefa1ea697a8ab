"""Owns what people and machines may look at over HTTP: probes, scrape, document and page; it changes nothing.

What is true of the fleet is fleet's, what is counted is metrics'; both are handed in.
"""

from __future__ import annotations

from rotator.status.public_keys import KeySite, Shown
from rotator.status.server import Server, ServerError
from rotator.status.site import Site
from rotator.status.timeline import Timeline

__all__ = ["KeySite", "Server", "ServerError", "Shown", "Site", "Timeline"]
