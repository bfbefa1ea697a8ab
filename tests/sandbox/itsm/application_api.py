"""/api/Application: listing, creating, changing and deleting API applications.

Halo's convention: POST takes an array, with `id` it changes, without it creates. Who may call is left to `routes`.
"""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox.itsm.applications import Application, digest
from tests.sandbox.itsm.model import ItsmModel
from tests.sandbox.itsm.refusals import api
from tests.sandbox.messages import Request, Response

_TEXTS = {"displayName": "name", "issuer": "issuer", "public_key": "public_key"}
_FLAGS = {"inactive": "inactive", "use_jwt_assertion": "demands_assertion"}


class ApplicationApi:
    """The Application endpoints. No answer holds a secret or a key."""

    def __init__(self, model: ItsmModel) -> None:
        """Acts on the model."""
        self._model = model

    def list(self, request: Request) -> Response:
        """Every application, the product's own included."""
        return Response.document([each.document() for each in self._model.applications.values()])

    def get(self, request: Request, number: str) -> Response:
        """One application by its id, which is not the client id."""
        return Response.document(self._find(number).document())

    def post(self, request: Request) -> Response:
        """Create or change. Raises Refusal (400) for anything but an array of objects."""
        try:
            wishes = json.loads(request.body)
        except ValueError:
            raise api(400, "Invalid JSON") from None
        if not isinstance(wishes, list) or not all(isinstance(each, dict) for each in wishes):
            raise api(400, "An array is expected")
        touched = [self._put(each) for each in wishes]
        return Response.document([each.document() for each in touched], 201)

    def delete(self, request: Request, number: str) -> Response:
        """Delete for good; tokens already issued go with it."""
        gone = self._model.applications.pop(self._find(number).id)
        self._model.grants.revoke(gone.client_id)
        return Response.document(gone.document())

    def _find(self, number: str) -> Application:
        found = self._model.applications.get(number)
        if found is None:
            raise api(404, "Not found")
        return found

    def _put(self, wish: dict[str, Any]) -> Application:
        number = str(wish.get("id") or "")
        application = self._find(number) if number else self._model.add_application(str(wish.get("displayName")))
        version = wish.get("concurrencyToken")
        if number and self._model.keeps_versions and version is not None and version != str(application.changes):
            raise api(409, "The application has been changed by somebody else")
        for key, field in {**_TEXTS, **_FLAGS}.items():
            if key in wish:
                setattr(application, field, bool(wish[key]) if key in _FLAGS else str(wish[key] or ""))
        if wish.get("clientSecret"):
            application.secret = digest(str(wish["clientSecret"]))
        if "public_key" in wish:
            application.kid = ""
        if wish.get("apikey_expiry_days"):
            application.expiry_days = int(wish["apikey_expiry_days"])
        for slot, key in zip(application.slots, ("new_apikey1", "new_apikey2"), strict=True):
            if wish.get(key):
                slot.put(str(wish[key]), self._model.clock(), application.expiry_days)
        self._lists(application, wish)
        application.changes += 1
        return application

    def _lists(self, application: Application, wish: dict[str, Any]) -> None:
        if "scopes" in wish or not self._model.keeps_unsent:
            application.scopes = tuple(each["name"] for each in wish.get("scopes", ()))
        if "roles" in wish or not self._model.keeps_unsent:
            application.roles = tuple(wish.get("roles", ()))
