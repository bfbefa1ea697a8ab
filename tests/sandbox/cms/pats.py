"""The endpoints of personal access tokens: the user centre's, and the generic ones of administrators.

Who may call them is left to `routes`; what they do to `model`.
"""

from __future__ import annotations

from typing import Any

from tests.sandbox.cms import request_parsing
from tests.sandbox.cms.auth import By, Caller
from tests.sandbox.cms.documents import page, token_record
from tests.sandbox.cms.model import HaloModel
from tests.sandbox.cms.records import Record
from tests.sandbox.cms.refusals import NO_EXTENSION, Refused, bad_request, conflict
from tests.sandbox.cms.selectors import matches_fields, matches_labels
from tests.sandbox.messages import Request, Response

OWN = "/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens"
ANY = "/apis/security.halo.run/v1alpha1/personalaccesstokens"
_LARGEST_PAGE = 1000


class OwnTokens:
    """What every authenticated caller may do with the tokens of its own user."""

    def __init__(self, model: HaloModel) -> None:
        """Acts on the model."""
        self._model = model

    def mint(self, caller: Caller, request: Request) -> Response:
        """200 with the token in an annotation."""
        self._require_real_login(caller)
        wish = request_parsing.mint_wish(request_parsing.json_object(request))
        record = self._model.mint_for(caller.user, caller.roles, wish)
        token = self._model.signer.sign(record, request.origin)
        return Response.document(token_record(record, token))

    def list(self, caller: Caller, request: Request) -> Response:
        """A bare array."""
        return Response.document([token_record(record) for record in self._model.own(caller.user)])

    def get(self, caller: Caller, request: Request, name: str) -> Response:
        """One record, without its token."""
        return _shown(self._model.find(caller.user, name))

    def revoke(self, caller: Caller, request: Request, name: str) -> Response:
        """May be undone by `restore`."""
        return _shown(self._model.revoke(caller.user, name))

    def restore(self, caller: Caller, request: Request, name: str) -> Response:
        """May not be done by a PAT before 2.20.3."""
        self._require_real_login(caller)
        return _shown(self._model.restore(caller.user, name))

    def delete(self, caller: Caller, request: Request, name: str) -> Response:
        """Final; the record is collected a moment later."""
        return _shown(self._model.delete(caller.user, name))

    def _require_real_login(self, caller: Caller) -> None:
        if caller.by is By.TOKEN and not self._model.traits.pat_mints:
            raise Refused(403, "Access Denied", "Not with a personal access token.")


class AnyTokens:
    """What an administrator may do with all records; none of it shows or makes a token."""

    def __init__(self, model: HaloModel) -> None:
        """Acts on the model."""
        self._model = model

    def list(self, caller: Caller, request: Request) -> Response:
        """A page of records, newest first, filtered by `labelSelector` and `fieldSelector`."""
        found = self._model.records.all()
        for selector in request.parameters("labelSelector"):
            found = [record for record in found if matches_labels(record, selector)]
        for selector in request.parameters("fieldSelector"):
            found = [record for record in found if matches_fields(record, selector)]
        number, size = max(1, _number(request, "page", 1)), _number(request, "size", _LARGEST_PAGE)
        return Response.document(page([token_record(record) for record in found], number, min(size, _LARGEST_PAGE)))

    def get(self, caller: Caller, request: Request, name: str) -> Response:
        """One record of anybody's."""
        return _shown(self._require(name))

    def replace(self, caller: Caller, request: Request, name: str) -> Response:
        """Write a whole record back; it must carry the version that was read."""
        record = self._require(name)
        document = request_parsing.json_object(request)
        wish = request_parsing.mint_wish(document)
        if (document.get("metadata") or {}).get("version") != record.version:
            raise conflict()
        spec: dict[str, Any] = document["spec"]
        record.label, record.description, record.roles = wish.label, wish.description, wish.roles
        record.labels, record.annotations, record.finalizers = wish.labels, wish.annotations, wish.finalizers
        record.expires_at = wish.expires_at
        record.revoked = bool(spec.get("revoked"))
        record.version += 1
        return _shown(record)

    def delete(self, caller: Caller, request: Request, name: str) -> Response:
        """Stamp it deleted."""
        record = self._require(name)
        self._model.records.delete(record)
        return _shown(record)

    def _require(self, name: str) -> Record:
        record = self._model.records.get(name)
        if record is None:
            raise Refused(404, "Extension Not Found", "No such record.", NO_EXTENSION)
        return record


def _shown(record: Record) -> Response:
    return Response.document(token_record(record))


def _number(request: Request, name: str, default: int) -> int:
    text = (request.parameters(name) or [str(default)])[0]
    if not text.isdecimal():
        raise bad_request(f"{name} is not a number.")
    return int(text)
