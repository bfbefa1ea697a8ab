"""The endpoints about users: who am I, creating and disabling.

Who may call them is left to `routes`.
"""

from __future__ import annotations

from tests.sandbox.cms import documents, request_parsing
from tests.sandbox.cms.auth import By, Caller
from tests.sandbox.cms.model import HaloModel
from tests.sandbox.cms.refusals import bad_request
from tests.sandbox.cms.roles import ANONYMOUS, AUTHENTICATED
from tests.sandbox.messages import Request, Response


class Accounts:
    """The user endpoints of the console and the user centre."""

    def __init__(self, model: HaloModel) -> None:
        """Acts on the model; the catalogue's roles date from now."""
        self._model = model
        self._since = model.clock()

    def who_am_i(self, caller: Caller, request: Request) -> Response:
        """The trap: 200 for anybody, and for a real user with its password hash."""
        if caller.by is By.NOTHING:
            return Response.document({"user": documents.anonymous_user(self._since), "roles": []})
        user = self._model.users.require(caller.user)
        shown = documents.user(user, self._model.traits)
        return Response.document({"user": shown, "roles": documents.role_list(_granted(caller), self._since)})

    def permissions(self, caller: Caller, request: Request) -> Response:
        """200 for anybody too."""
        names = _granted(caller)
        shown = documents.role_list(names, self._since)
        return Response.document(
            {"permissions": shown, "roles": shown, "uiPermissions": documents.ui_permissions(names)}
        )

    def profile(self, caller: Caller, request: Request) -> Response:
        """The user centre's own answer, without secrets."""
        user = self._model.users.require(caller.user)
        return Response.document(
            {"name": user.name, "displayName": user.display_name, "passwordSet": bool(user.digest)}
        )

    def create(self, caller: Caller, request: Request) -> Response:
        """A new user. Raises Refused (400) for a taken name or a missing field."""
        wish = request_parsing.json_object(request)
        name, password = wish.get("name"), wish.get("password")
        if not isinstance(name, str) or not isinstance(password, str) or not name or not password:
            raise bad_request("name and password are required.")
        user = self._model.add_user(
            name,
            password,
            request_parsing.texts(wish, "roles") or (),
            email=str(wish.get("email") or ""),
            display_name=str(wish.get("displayName") or name),
        )
        if self._model.traits.quiet_creation:
            return Response(200)
        return Response.document(documents.new_user(user))

    def disable(self, caller: Caller, request: Request, name: str) -> Response:
        """Its password stops working; its tokens do not."""
        user = self._model.disable_user(name)
        return Response.document(documents.user(user, self._model.traits))


def _granted(caller: Caller) -> list[str]:
    return [name for name in caller.roles if name not in (ANONYMOUS, AUTHENTICATED)]
