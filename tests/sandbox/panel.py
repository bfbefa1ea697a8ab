"""The HTTP face of the fault panel and the call feed, under `/_sandbox/`.

    GET    /_sandbox/faults               the rules, with counts
    POST   /_sandbox/faults               add one: {"kind": "drop", "when": "after", "path": "...", "times": 1}
    DELETE /_sandbox/faults[/N]           clear all, or one
    POST   /_sandbox/faults/N/release     let held calls go on
    GET    /_sandbox/calls[?since=N]      the calls seen
    DELETE /_sandbox/calls                forget them

What the rules mean is left to `faults`.
"""

from __future__ import annotations

import json
import re

from tests.sandbox.calls import CallFeed
from tests.sandbox.faults import FaultPanel
from tests.sandbox.messages import Request, Response

PREFIX = "/_sandbox/"
_RULE = re.compile(r"/_sandbox/faults/(\d+)(/release)?")


class Panel:
    """Answers the calls that steer the sandbox itself; no rule ever strikes these."""

    def __init__(self, faults: FaultPanel, calls: CallFeed) -> None:
        """Both are shared with the server."""
        self._faults = faults
        self._calls = calls

    def answer(self, request: Request) -> Response:
        """Serve one call under the prefix."""
        match request.method, request.path:
            case "GET", "/_sandbox/faults":
                return Response.document([armed.document() for armed in self._faults.rules()])
            case "POST", "/_sandbox/faults":
                return self._add(request)
            case "DELETE", "/_sandbox/faults":
                self._faults.clear()
                return Response(204)
            case "GET", "/_sandbox/calls":
                since = (request.parameters("since") or ["0"])[0]
                number = int(since) if since.isdecimal() else 0
                return Response.document([call.document() for call in self._calls.since(number)])
            case "DELETE", "/_sandbox/calls":
                self._calls.clear()
                return Response(204)
        return self._one(request)

    def _add(self, request: Request) -> Response:
        try:
            armed = self._faults.add(**json.loads(request.body))
        except (ValueError, TypeError, re.error) as fault:
            return Response.document({"error": str(fault)}, 400)
        return Response.document(armed.document(), 201)

    def _one(self, request: Request) -> Response:
        found = _RULE.fullmatch(request.path)
        armed = self._faults.find(int(found[1])) if found else None
        if found is None or armed is None:
            return Response.document({"error": "no such rule or path"}, 404)
        if request.method == "DELETE" and not found[2]:
            self._faults.clear(armed)
        elif request.method == "POST" and found[2]:
            armed.release()
        else:
            return Response.document({"error": "method not allowed"}, 405)
        return Response(204)
