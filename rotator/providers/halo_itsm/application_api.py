"""Calls to HaloITSM's Application API, made as the management application: read one, change as little as can be.

What is changed and why is left to the kinds. The API is in public copies of Halo's own description; who may call it,
and what becomes of properties that are not sent, is published nowhere: hence the words here, and the look afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Any
from uuid import UUID

import anyio

from rotator.ports import MinterRefused, Refused, Transient
from rotator.providers.halo_itsm.application_record import ApplicationRecord, lost, read
from rotator.providers.http.auth import Bearer
from rotator.providers.http.client import HttpClient, HttpResponse, segment
from rotator.providers.oauth.config import ManagementClientConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_response import ClientDenied, Granted, missing_scopes
from rotator.rotation.secret import Secret

_PATH = "/api/Application"
_EARLY = timedelta(minutes=1)  # an access token this close to its end is not used any more
_UNSETTLED = timedelta(minutes=5)  # after this long, what differs may be a person's work
_LIFE = timedelta(hours=1)  # of one that does not say; every published example has it


_Begun = tuple[datetime, ApplicationRecord, Mapping[str, str | bool | Secret]]


class ApplicationApi:
    """The API applications of one HaloITSM. It shares the target's request budget."""

    def __init__(self, server: OAuthServer, http: HttpClient) -> None:
        """Acts as the target's `management` client."""
        self._server = server
        self._http = http
        self._granted: Granted | None = None
        self._asking = anyio.Lock()
        self._begun: dict[str, _Begun] = {}  # changes of which we do not know the end

    @property
    def allowed(self) -> bool:
        """Whether settings let us."""
        return self._server.keys.manage_applications

    async def waste(self, number: str, slot: str) -> Secret | None:
        """What a slot is written over with when we give it up; None where the management client's key is in Transit.

        Nobody else knows it, and after a restart or on another host we know it again: it is derived from what the
        management client proves itself with, and whoever has that could write the slot over anyway.
        """
        proof = self._management.client_secret or self._management.signing_key
        if proof is None:
            return None
        known = await self._server.fetch(proof)
        digits = "".join(known.fingerprint(f"rotator/given-up/{number}/{slot}/{part}".encode()) for part in range(4))
        return Secret(f"{UUID(digits[:32])}-{UUID(digits[32:])}")

    async def get(self, number: str, client_id: str = "") -> ApplicationRecord:
        """One application that we may touch. Raises Refused with words for any other, MinterRefused when the management
        client is refused."""
        if not number:
            raise Refused("`application` is missing: the id of the API application, which is not its client id")
        answer = await self._call("GET", f"{_PATH}/{segment(number)}?includedetails=true")
        if answer.status == 404:
            said = f"the Application API answers 404 to a look at application {number}"
            raise Refused(said, remedy="is that its id in Halo (`application`), and has this HaloITSM that API?")
        if answer.status >= 400:
            said = f"the Application API answers {answer.status} to a look at application {number}"
            raise Refused(said, remedy="compare `application` with its id in Halo")
        record = read(answer.document)
        if record.system:
            raise Refused(f"application {number} is one of Halo's own (system) applications: those are never touched")
        if record.client_id == self._management.client_id:
            raise Refused(f"application {number} is the management application: it must not depend on itself")
        if client_id and record.client_id != client_id:
            said = f"application {number} has another client id than the settings say"
            raise Refused(said, remedy="compare `application` and `client_id` with Halo: which one is meant?")
        return record

    def deadline(self) -> float:
        """By when a change must leave whose looks begin now, in monotonic seconds. Whoever was stopped on the way does
        not go on: it may be another value's turn by then, and what an application shows would not tell."""
        return self._server.clock.monotonic() + self._server.keys.deadline.total_seconds()

    async def change(
        self, before: ApplicationRecord, wanted: Mapping[str, str | bool | Secret], by: float
    ) -> ApplicationRecord:
        """Change these properties only, look at what has become of it, and return that. Raises Refused, naming them,
        when other properties have changed; they are put back as far as the server lets us. `by`: see `deadline`."""
        whole, ours = self._whole(before, wanted)
        kept = {name: whole.document[name] for name in self._server.keys.resend if name in whole.document}
        await self._post(before, {**kept, **wanted}, by)
        after = await self.get(before.id)
        gone = lost(whole, after, ours)
        if gone:
            await self._post(after, gone, self.deadline())  # of its own: no later try would see the damage
            still = lost(whole, await self.get(before.id), ours)
        del self._begun[before.id]
        if gone:
            names, how = ", ".join(sorted(gone)), "could not be put back" if still else "was put back"
            remedy = 'set resend = ["..."] on the target, so that it is sent along'
            raise Refused(f"changing application {before.id} also changed {names}, which {how}: {remedy}")
        return after

    def _whole(
        self, before: ApplicationRecord, wanted: Mapping[str, str | bool | Secret]
    ) -> tuple[ApplicationRecord, Mapping[str, str | bool | Secret]]:
        """The application as it was before the first try of a change whose answer was lost, as what it says now may
        be the damage; and all that we have wanted of it since."""
        now = self._server.clock.now()
        begun = self._begun.get(before.id)
        if begun is None or begun[0] + _UNSETTLED < now:
            begun = (now, before, {})
        since, whole, ours = begun[0], begun[1], {**begun[2], **wanted}
        self._begun[before.id] = (since, whole, ours)
        return whole, ours

    async def _post(self, record: ApplicationRecord, wanted: Mapping[str, Any], by: float) -> None:
        """Halo's own form of an update: an array of objects, each with its id."""
        version = record.document.get("concurrencyToken")
        body = {"id": record.document["id"], **({"concurrencyToken": version} if version else {}), **wanted}
        answer = await self._call("POST", _PATH, [body], by)
        if answer.status in (409, 412):
            raise Transient(f"application {record.id} was changed by somebody else at the same moment")
        if answer.status >= 400:
            said = f"the Application API answers {answer.status} to a change of application {record.id}"
            raise Refused(said, remedy="try the same change in Halo as the management application's agent")

    # who calls

    @property
    def _management(self) -> ManagementClientConfig:
        found = self._server.keys.management
        if found is None or not self.allowed:
            raise Refused("manage_applications is off in the settings", remedy="a person changes applications")
        return found

    async def _call(self, method: str, path: str, json: object = None, by: float = inf) -> HttpResponse:
        """A 401 may only mean that the access token was ended early: a fresh one decides."""
        kept, token = self._granted is not None, await self._token()
        answer = await self._http.request(method, path, Bearer(token), json, by=by)
        if answer.status == 401 and kept:
            self._granted = None
            answer = await self._http.request(method, path, Bearer(await self._token()), json, by=by)
        if answer.status == 401:
            self._granted = None
            raise MinterRefused(
                "the Application API answers 401 to a fresh access token of the management application: the scopes in"
                " `management` open nothing there (HaloITSM issues such a token, and then refuses it everywhere)"
            )
        if answer.status == 403:
            raise MinterRefused(
                "the Application API answers 403: the management application is signed in, but too weak; it needs the"
                " scope `admin` or `all`, and an administrator's role or agent"
            )
        return answer

    async def _token(self) -> Secret:
        async with self._asking:
            granted = self._granted
            if granted is None or self._server.clock.now() >= _end(granted):
                granted = self._granted = await self._ask()
            return granted.access_token

    async def _ask(self) -> Granted:
        server, client = self._server, self._management
        try:
            granted = await server.exchange(client, await server.vouched(client) if client.asserts else None)
        except ClientDenied as refusal:
            raise MinterRefused(f"the management application: {refusal.reason}") from None
        if lacking := missing_scopes(client, granted, echoes=server.keys.echoes_scope):
            raise MinterRefused(f"the management application: {lacking}")
        return granted


def _end(granted: Granted) -> datetime:
    return granted.asked_at + (granted.life or _LIFE) - _EARLY
