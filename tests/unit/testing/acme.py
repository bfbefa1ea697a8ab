"""The imaginary Acme of the example provider, on loopback: tokens by label, ended for good."""

from __future__ import annotations

import json
from itertools import count

from tests.sandbox.messages import Request, Response

MINTER = "canary-acme-minter-11c4"


class Acme:
    """A site for the sandbox server."""

    def __init__(self) -> None:
        self.tokens: dict[str, tuple[str, str]] = {}  # id: label and value
        self._numbers = count(1)

    def stand_in(self, request: Request, status: int, retry_after: str | int | None) -> Response:
        return Response.document({}, status)

    def answer(self, request: Request) -> Response:
        value = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.path == "/me":
            mine = [{"id": number} for number, (_, held) in self.tokens.items() if held == value]
            return Response.document(mine[0]) if mine else Response.document({}, 401)
        if value != MINTER:
            return Response.document({}, 401)
        number = request.path.removeprefix("/tokens/")
        if request.path != "/tokens":
            return self._one(request.method, number)
        if request.method == "POST":
            return self._mint(json.loads(request.body)["label"])
        rows = [{"id": number, "label": label} for number, (label, _) in self.tokens.items()]
        return Response.document(rows)

    def _one(self, method: str, number: str) -> Response:
        found = self.tokens.pop(number, None) if method == "DELETE" else self.tokens.get(number)
        return Response.document({"id": number}) if found else Response.document({}, 404)

    def _mint(self, label: str) -> Response:
        number = next(self._numbers)
        self.tokens[f"t{number}"] = (label, f"canary-acme-{number}-9f20")
        return Response.document({"id": f"t{number}", "secret": f"canary-acme-{number}-9f20"}, 201)
