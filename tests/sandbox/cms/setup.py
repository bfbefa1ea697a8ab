"""The first call to a fresh server: the set-up that makes its administrator.

From 2.20.0 a form at `/system/setup`, before that JSON at `.../system/initialize`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from tests.sandbox.cms import request_parsing
from tests.sandbox.cms.auth import Caller
from tests.sandbox.cms.model import HaloModel
from tests.sandbox.cms.refusals import Refused, bad_request
from tests.sandbox.cms.roles import SUPER
from tests.sandbox.messages import Request, Response

_USERNAME = re.compile(r"[a-z0-9]([-a-z0-9.]{2,61})[a-z0-9]")
# Measured on 2.26.0: other signs are a 400.
_PASSWORD = re.compile(r"[A-Za-z0-9!@#$%^&*]{5,257}")
_CONSOLE = Response(302, (("Location", "/console"),))


class Setup:
    """Both generations of the call; asking twice is harmless."""

    def __init__(self, model: HaloModel) -> None:
        """Acts on the model."""
        self._model = model

    def form(self, caller: Caller, request: Request) -> Response:
        """204, or 302 to the console for browsers and when it was done before. Raises Refused (400)."""
        if self._model.about.initialised:
            return _CONSOLE
        if request.media_type != "application/x-www-form-urlencoded":
            raise Refused(404, "Not Found", "This route takes a form.")
        fields = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        if not re.fullmatch(r"https?://\S+", fields.get("externalUrl", "")):
            raise bad_request("externalUrl is not a web address.")
        self._initialise(fields)
        self._model.about.external_url = fields["externalUrl"].rstrip("/")
        return Response(204) if "application/json" in request.headers.get("accept", "") else _CONSOLE

    def initialise(self, caller: Caller, request: Request) -> Response:
        """200 with `true`. Raises Refused: 409 when it was done before, 400."""
        if self._model.about.initialised:
            raise Refused(409, "Conflict", "The system is initialised already.")
        self._initialise({name: str(value) for name, value in request_parsing.json_object(request).items() if value})
        return Response.document(True)

    def _initialise(self, fields: Mapping[str, str]) -> None:
        name, password, title = fields.get("username", ""), fields.get("password", ""), fields.get("siteTitle", "")
        if not _USERNAME.fullmatch(name):
            raise bad_request("username: 4 to 63 lower-case letters and digits.")
        if not _PASSWORD.fullmatch(password):
            raise bad_request("password: 5 to 257 letters, digits and !@#$%^&*.")
        if not 1 <= len(title) <= 80:
            raise bad_request("siteTitle: 1 to 80 signs.")
        shown = {"email": fields.get("email", ""), "display_name": "Administrator", "administrator": True}
        self._model.add_user(name, password, (SUPER,), disabled=False, **shown)
        self._model.about.title = title
        self._model.about.initialised = True
