"""HaloITSM's Application API, called as the management application: read an application, change as little as possible.

The API is in public copies of Halo's own description. Nothing is published about who may call it, or what happens to
properties that are not sent; so every change is checked afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any
from uuid import UUID

import anyio

from rotator.ports import MinterRefused, Refused, Transient
from rotator.providers.http.auth import Bearer
from rotator.providers.http.client import MIB, HttpClient, HttpResponse, segment
from rotator.providers.keys.signing import public_key
from rotator.providers.oauth.config import ManagementClientConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_endpoint import ClientDenied, Granted, missing_scopes
from rotator.rotation.secret import Secret

ALL_PERMISSIONS = "sys-all-permissions"  # the role with the highest access; the application's scopes limit it alone
_SHOWN_SECRETS = frozenset({"clientSecret", "new_apikey1", "new_apikey2"})
_MOVING = frozenset({"concurrencyToken", "tokens", "authorizations", "_warning"}) | _SHOWN_SECRETS
_DAYS = 36500  # the longest life of an API key that is reckoned with
_LAST = datetime(9000, 1, 1, tzinfo=UTC)
_PATH, _DETAILS = "/api/Application", "?includedetails=true"
_LIST_CAP = 8 * MIB  # of a list; nobody has said how long it gets
_LISTED = "`rotate targets` with the target's name lists them"
_EARLY = timedelta(minutes=1)  # an access token this close to its end is not used any more
_UNSETTLED = timedelta(minutes=5)  # after this long, a difference may be a person's change
_LIFE = timedelta(hours=1)  # lifetime of a token without `expires_in`; from Halo's examples


@dataclass(frozen=True, slots=True)
class ApplicationRecord:
    """One application as read. The document may contain secrets: Halo does not publish which properties are masked."""

    document: Mapping[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        """Its id in the Application API."""
        return str(self.document["id"])

    @property
    def client_id(self) -> str:
        """Its id at the token endpoint."""
        return str(self.document.get("clientId") or "")

    @property
    def inactive(self) -> bool:
        """Whether it is switched off."""
        return bool(self.document.get("inactive"))

    @property
    def system(self) -> bool:
        """Whether it is HaloITSM's own application, which must not be changed."""
        return bool(self.document.get("_issystem") or self.document.get("system_use"))

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.document.get("displayName") or "")

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of its Permissions tab; None when the server does not say."""
        told = self.document.get("scopes")
        return _names(told) if isinstance(told, list) else None

    @property
    def agent(self) -> str | None:
        """The id of the agent that it logs in as; empty: none. None when the server does not say."""
        told = self.document.get("loginas_agent_id")
        if isinstance(told, bool) or not isinstance(told, int | str):
            return None
        return str(told) if told and str(told) != "0" else ""

    @property
    def roles(self) -> frozenset[str]:
        """Its identity roles. Halo does not publish the name of their property: it is one with `role` in its name."""
        lists = (told for name, told in self.document.items() if "role" in name.lower() and isinstance(told, list))
        return frozenset[str]().union(*map(_names, lists))

    @property
    def all_permissions(self) -> bool:
        """Whether one of its identity roles has the highest access."""
        return ALL_PERMISSIONS in self.roles

    @property
    def demands_assertion(self) -> bool | None:
        """Whether it must sign assertions; None when the server does not say."""
        told = self.document.get("use_jwt_assertion")
        return told if isinstance(told, bool) else None

    @property
    def key_days(self) -> int | None:
        """The lifetime of an API key in days, if given."""
        told = self.document.get("apikey_expiry_days")
        return min(told, _DAYS) if isinstance(told, int) and told > 0 else None

    @property
    def thumbprint(self) -> str:
        """The public key's, or nothing when there is none that can be read."""
        try:
            return public_key(str(self.document.get("public_key") or "")).thumbprint
        except Refused:
            return ""

    def stamp(self, slot: str) -> str:
        """When the key in this slot was made, as the server writes it: no two keys of a slot have it in common."""
        return str(self._about(slot, "date_generated") or "")

    def generated(self, slot: str) -> datetime | None:
        """When the key in this slot was made."""
        return moment(self._about(slot, "date_generated"))

    def expires(self, slot: str) -> datetime | None:
        """When the key in this slot ends."""
        return moment(self._about(slot, "expiry_date"))

    def used(self, slot: str) -> datetime | None:
        """When the key in this slot was last used; None: never, or the server does not know."""
        used, made = moment(self._about(slot, "last_use_date")), self.generated(slot)
        return None if used is None or (made is not None and used < made) else used

    def _about(self, slot: str, what: str) -> Any:
        return self.document.get(f"{slot.removeprefix('new_')}_{what}")


def _names(listed: list[Any]) -> frozenset[str]:
    """The names in a list, whose entries are names or objects with a name."""
    return frozenset(str(each.get("name") or "") if isinstance(each, dict) else str(each) for each in listed)


def read(document: Any) -> ApplicationRecord:
    """Read an application; some servers wrap it in a list. Raises Refused for anything else."""
    told = document[0] if isinstance(document, list) and len(document) == 1 else document
    if not _is_application(told):
        raise Refused("the Application API's answer holds no application", remedy="is the target's url right?")
    return ApplicationRecord(told)


def read_list(document: Any) -> tuple[ApplicationRecord, ...]:
    """Read a list of applications; some servers put it into an object. Raises Refused for anything else."""
    lists = [each for each in document.values() if isinstance(each, list)] if isinstance(document, dict) else [document]
    told = lists[0] if len(lists) == 1 else None
    if not isinstance(told, list) or not all(map(_is_application, told)):
        raise Refused("the Application API's answer is no list of applications", remedy="is the target's url right?")
    return tuple(map(ApplicationRecord, told))


def _is_application(told: Any) -> bool:
    return isinstance(told, dict) and bool(told.get("id")) and isinstance(told["id"], int | str)


def moment(told: Any) -> datetime | None:
    """A date as .NET writes it; one without a zone is UTC. Year 1 means none, year 9999 never: that is cut to a date
    that arithmetic can use."""
    try:
        found = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return min(found, _LAST) if found.year > 1 else None


def lost(before: ApplicationRecord, after: ApplicationRecord, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Properties other than `wanted` that have changed, with their old values. Halo does not publish the name of the
    roles' property, so everything counts except what changes by itself."""
    still = {name: value for name, value in before.document.items() if name not in _MOVING | wanted.keys()}
    return {
        name: value
        for name, value in still.items()
        if value not in (None, "", []) and not _dated(name) and after.document.get(name) != value
    }


def _dated(name: str) -> bool:
    """Whether it is a timestamp, which changes by itself: `creation_date`, `apikey1_last_use_date`, `lastModified`."""
    return not {"date", "last"}.isdisjoint(word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name))


_Begun = tuple[datetime, ApplicationRecord, Mapping[str, str | bool | Secret]]


class ApplicationApi:
    """The API applications of one HaloITSM. It shares the target's request budget."""

    def __init__(self, server: OAuthServer, http: HttpClient) -> None:
        """Calls are made as the target's `management` client."""
        self._server = server
        self._http = http
        self._granted: Granted | None = None
        self._asking = anyio.Lock()
        self._begun: dict[str, _Begun] = {}  # changes with unknown outcome
        self._ids: dict[str, str] = {}  # ids by client id, as last listed

    @property
    def allowed(self) -> bool:
        """Whether settings allow changes."""
        return self._server.config.manage_applications

    @property
    def readable(self) -> bool:
        """Whether settings name a management client, which may look in any case."""
        return self._server.config.management is not None

    async def waste(self, number: str, slot: str) -> Secret | None:
        """The value that overwrites a slot that we give up; None if the management client's key is in Transit.

        It is derived from the management client's secret, so only its owner knows it (who could overwrite the slot
        anyway), also after a restart or on another host.
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
        return self._ours(await self._details(number), client_id)

    def _ours(self, record: ApplicationRecord, client_id: str) -> ApplicationRecord:
        if record.system:
            said = f"application {record.id} is one of Halo's own (system) applications: those are never touched"
            raise Refused(said, remedy=f"make one for this credential in Halo, and name that; {_LISTED}")
        if record.client_id == self._management.client_id:
            said = f"application {record.id} is the management application: it must not depend on itself"
            raise Refused(said, remedy=f"name another one; {_LISTED}")
        if client_id and record.client_id != client_id:
            said = f"application {record.id} has another client id than the settings say"
            raise Refused(
                said, remedy=f"compare `application` and `client_id` with Halo: which one is meant? {_LISTED}"
            )
        return record

    async def _details(self, number: str) -> ApplicationRecord:
        answer = await self._call("GET", f"{_PATH}/{segment(number)}{_DETAILS}")
        if answer.status == 404:
            said = f"the Application API answers 404 to a look at application {number}"
            where = f"is that its id in Halo (`application`), and has this HaloITSM that API? {_LISTED}"
            raise Refused(said, remedy=where)
        if answer.status >= 400:
            said = f"the Application API answers {answer.status} to a look at application {number}"
            raise Refused(said, remedy="compare `application` with its id in Halo")
        return read(answer.document)

    async def applications(self) -> tuple[ApplicationRecord, ...]:
        """All applications, the product's own included. Raises as `get` does."""
        answer = await self._call("GET", f"{_PATH}{_DETAILS}", cap=_LIST_CAP)
        if answer.status >= 400:
            said = f"the Application API answers {answer.status} to a look at all applications"
            raise Refused(said, remedy="is the target's url right, and has this HaloITSM that API?")
        return read_list(answer.document)

    async def of_client(self, client_id: str) -> ApplicationRecord | None:
        """The application with this client id, with all details; None when the list has none. Raises as `get` does."""
        if client_id not in self._ids:
            self._ids = {each.client_id: each.id for each in await self.applications()}
        return await self._details(self._ids[client_id]) if client_id in self._ids else None

    async def named(self, number: str, client_id: str) -> ApplicationRecord:
        """One application that we may touch, by its id or, without one, by its client id. Raises as `get` does."""
        if number:
            return await self.get(number, client_id)
        found = await self.of_client(client_id)
        if found is None:
            said = f"Halo lists no application with client id {client_id}"
            raise Refused(said, remedy=f"compare `client_id`; {_LISTED}")
        return self._ours(found, client_id)

    async def log_in(self) -> None:
        """Raise MinterRefused when the token endpoint refuses the management client."""
        await self._token()

    def deadline(self) -> float:
        """Until when a change must be sent, in monotonic seconds, if its checks begin now. A process that was stopped
        in between must not continue: it may be another value's turn by then, which an application does not show."""
        return self._server.clock.monotonic() + self._server.config.deadline.total_seconds()

    async def change(
        self, before: ApplicationRecord, wanted: Mapping[str, str | bool | Secret], by: float
    ) -> ApplicationRecord:
        """Change these properties only, and return the application as it is then. Raises Refused with the names of
        other properties that changed; they are put back as far as the server allows. `by`: see `deadline`."""
        whole, ours = self._whole(before, wanted)
        kept = {name: whole.document[name] for name in self._server.config.resend if name in whole.document}
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
        if not self.allowed:
            raise Refused("manage_applications is off in the settings", remedy="a person changes applications")
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
        found = self._server.config.management
        if found is None:
            raise Refused("the settings name no management application", remedy="set `management` on the target")
        return found

    async def _call(self, method: str, path: str, json: object = None, by: float = inf, cap: int = MIB) -> HttpResponse:
        """A 401 may only mean that the access token was ended early: a fresh one decides."""
        kept, token = self._granted is not None, await self._token()
        answer = await self._http.request(method, path, Bearer(token), json, cap, by=by)
        if answer.status == 401 and kept:
            self._granted = None
            answer = await self._http.request(method, path, Bearer(await self._token()), json, cap, by=by)
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
        if lacking := missing_scopes(client, granted, echoes=server.config.echoes_scope):
            raise MinterRefused(f"the management application: {lacking}")
        return granted


def _end(granted: Granted) -> datetime:
    return granted.asked_at + (granted.life or _LIFE) - _EARLY
