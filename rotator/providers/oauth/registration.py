"""A client's own registration at its server (RFC 7592), as a place of its key set.

An update replaces the whole client: it is read first, and everything except `jwks` is sent back as it was read. The
answer to an update may have another registration access token, and the one before is refused from then on (Ory Hydra
2.3.0, Keycloak 26.5.1). The new one is written to its Vault document before anything else. It is lost if the answer
never arrives, or if the process dies in between; then a person has to get another one from the server.

The document also has the mint names of our keys, since a server may drop members of a key that it does not know
(Hydra does), and a mark from before an update until its answer was written.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import anyio

from rotator.ports import Clock, Conflict, Document, NeedsPerson, Refused, Transient
from rotator.providers.base import Remark
from rotator.providers.http.auth import Bearer, DocumentStore
from rotator.providers.http.client import Broken, HttpClient, HttpResponse, Unsendable
from rotator.providers.keys.jwks import MARK, Change, Jwk, KeySet, parse
from rotator.providers.oauth import kept_token
from rotator.providers.oauth.config import AssertionKeyOptions
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.wording import counted, visible

NAMES = "rotator_keys"  # in the document: the mint names of our keys, by `kid`
SENT = "update_sent"  # in the document: when an update was sent whose answer was not written yet
_AT = "refused_at"  # in the document: when the server refused the token in it, which is seldom presented again
_TOKEN, _URI = "registration_access_token", "registration_client_uri"
_NOT_SENT = (_TOKEN, _URI, "client_secret_expires_at", "client_id_issued_at")  # RFC 7592, section 2.2
_TRIES = 5
_SELDOM = timedelta(hours=1)  # between two looks with a refused token: what is in front of the server may have said so
_WRITE = timedelta(seconds=30)  # for the write after an update
_MOST_SHOWN, _LONGEST_KID = 8, 60  # keys, and characters of each, that are shown
_ANOTHER = (
    "on Keycloak it is made anew at Clients, NAME, Credentials, Registration access token; Ory Hydra 2.3.0 makes one"
    " only with a client, so there delete the client by its admin API and create it again at once, with the same"
    " client_id and the public keys that it had: until then its consumers are refused"
)
_BY_ITS_ID = (
    "; Keycloak 26.5.1 answers an update so where the client's internal id is not its client_id: make the client"
    " with its client_id as id"
)
OWN_WAY_OF_SECRETS = (
    "A registration changes keys, and no client secret: Ory Hydra refuses a chosen one, Keycloak ignores it. A secret"
    " is changed in the server's own way (Hydra: PATCH /admin/clients/ID, replace /client_secret; Keycloak: PUT"
    " /clients-registrations/default/ID with `secret`; Spring Authorization Server: none over HTTP)"
)


@dataclass(frozen=True, slots=True)
class _Held:
    """The document, and the registration access token in it. `shown_again`: whether a person asked for that."""

    document: Document
    token: Secret
    shown_again: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as its server has it. `objection`: why its keys cannot be changed here, or ""."""

    client: Mapping[str, Any]
    keys: KeySet
    objection: str = ""


class Registration:
    """One client's registration, a `JwksStore`. Every verb may raise Transient, and NeedsPerson with what to do."""

    def __init__(
        self,
        http: HttpClient,
        document_store: DocumentStore,
        options: AssertionKeyOptions,
        clock: Clock,
        deadline: timedelta,
    ) -> None:
        """`http`: at the client's registration_client_uri; `deadline`: of a call."""
        if options.registration_access_token is None:
            raise ValueError("there is no registration_access_token")
        self._http = http
        self._shelf = document_store
        self._ref = options.registration_access_token
        self._options = options
        self._clock = clock
        self._under_way = deadline + _WRITE  # so long another process's update may go on, and end well
        self._lock = anyio.Lock()  # one call at a time: each may replace the token
        self._unwritten: tuple[Secret, Secret, Mapping[str, object]] | None = None  # spent, fresh, and what else
        self._mine = ""  # the mark of this process's last update

    async def read(self) -> KeySet:
        """See `JwksStore`. Our keys have their marks."""
        return (await self.registered()).keys

    async def registered(self, *, refused_too: bool = False) -> Registered:
        """The client as its server has it now. `refused_too`: a token that was refused a while ago is shown again."""
        async with self._lock:
            return (await self._look(await self._held(refused_too=refused_too)))[0]

    async def ready(self) -> None:
        """Raise NeedsPerson unless the keys of the client can be changed here."""
        if why := (await self.registered()).objection:
            raise NeedsPerson(why)

    async def change(self, change: Change) -> bool:
        """See `JwksStore`. The update has been seen in another answer of the server when this returns."""
        async with self._lock:
            found, held = await self._look(await self._held())
            after = change(found.keys)
            if after.kids() == found.keys.kids():
                return False
            if found.objection:
                raise NeedsPerson(found.objection)
            names = {**_names(found.keys), **_names(after)}
            held = await self._begin(held, names)
            body = {name: each for name, each in found.client.items() if name not in _NOT_SENT}
            kept = {NAMES: _names(after)}
            with anyio.CancelScope(shield=True):  # a stop must not lose the next token; the call has its own deadline
                held = await self._update(held, {**body, "jwks": _sent(after)}, kept)
            seen, _ = await self._look(held)
        if seen.keys.kids() != after.kids():
            raise Transient(
                f"{self} took an update of jwks, and does not show it",
                remedy="does this server let a client change its keys? Is another program writing there?",
            )
        return True

    async def preview(self, keep: Collection[Token]) -> Remark:
        """For `rotate check`: the keys that stand there as the server says it now, those in `keep` being in use; or why
        they cannot be changed here."""
        try:
            found = await self.registered(refused_too=True)
        except NeedsPerson as fault:
            return Remark(fault.what, fault.remedy, grave=True)
        except Transient as fault:
            return Remark(f"not looked at: {fault.what}", fault.remedy)
        if found.objection:
            return Remark(found.objection, grave=True)
        return Remark(f"the registration at {self} is read; {_listed(found.keys, keep)}", sound=True)

    # the calls

    async def _look(self, held: _Held) -> tuple[Registered, _Held]:
        """Read the client, and write the next token if the answer has one."""
        answer = await self._call("GET", held)
        client = await self._client(answer, held)
        held = await self._next(held, client, {})
        spared = held.document.text(SENT) and not self._is_under_way(held.document)  # the token, by that update
        if spared or kept_token.is_refused(held.document):
            held = await self._keep(held, held.token, {})
        names = held.document.values.get(NAMES) if held.document.values else None
        return self._registered(client, names if isinstance(names, dict) else {}), held

    async def _update(self, held: _Held, body: Mapping[str, Any], kept: Mapping[str, object]) -> _Held:
        answer = await self._call("PUT", held, body)
        if answer.status >= 400 and answer.status != 401:  # then the token is as it was
            with suppress(Transient):
                await self._keep(held, held.token, {})
        client = await self._client(answer, held)
        return await self._next(held, client, kept)

    async def _call(self, method: str, held: _Held, body: object = None) -> HttpResponse:
        try:
            return await self._http.request(method, "", Bearer(held.token), json=body)
        except Unsendable:
            raise NeedsPerson(f"what {self._ref} holds is no token", remedy=self._remedy()) from None
        except Broken as fault:
            if method != "PUT":
                raise
            raise Broken(fault.what + _BY_ITS_ID, retry_after=fault.retry_after, date=fault.date) from None
        except Refused as fault:  # a page, or a redirect
            remedy = f"is registration_client_uri right, and does the server offer RFC 7592? {fault.remedy}"
            raise Transient(fault.what, remedy=remedy) from None

    async def _client(self, answer: HttpResponse, held: _Held) -> Mapping[str, Any]:
        """The client in an answer. Raises NeedsPerson, Transient."""
        if answer.status == 401:
            await self._was_refused(held)
        if answer.status >= 400:
            self._not_allowed(answer)
        told = answer.document
        if not isinstance(told, dict) or not isinstance(told.get("client_id"), str):
            raise Transient(
                f"{self} answers {answer.status} without a client", remedy="is registration_client_uri right?"
            )
        if told["client_id"] != self._options.client_id:
            raise NeedsPerson(
                f"{self} is the registration of another client than {self._options.client_id}",
                remedy="compare client_id and registration_client_uri",
            )
        return told

    def _not_allowed(self, answer: HttpResponse) -> NoReturn:
        said = f"{self} answers {answer.status}{f' ({answer.error})' if answer.error else ''}"
        if answer.status == 403:
            raise NeedsPerson(said, remedy="this client may not read or change its registration; allow it there")
        if answer.status == 400:
            raise NeedsPerson(said, remedy="the server does not take these keys: does it know this algorithm?")
        raise NeedsPerson(said, remedy="is registration_client_uri right, and does the server offer RFC 7592?")

    def _registered(self, client: Mapping[str, Any], names: Mapping[str, Any]) -> Registered:
        told = client.get("jwks")
        try:
            keys = parse("" if told is None else json.dumps(told))
        except Refused as fault:
            raise NeedsPerson(f"{self} has in jwks what {fault.what}", remedy="mend it there") from None
        marked = tuple(_marked(each, names) for each in keys.keys)
        return Registered(client, KeySet(marked, keys.beside), self._objection(client))

    def _objection(self, client: Mapping[str, Any]) -> str:
        if client.get("jwks_uri"):
            return (
                f"the client at {self} has a jwks_uri, and then no jwks (RFC 7591, section 2): take it out there, once"
                " jwks has the published key; or let the server read the keys from there, with jwks or jwks_file"
            )
        method = client.get("token_endpoint_auth_method")
        if method is None or method == "private_key_jwt" or self._options.client_secret is not None:
            return ""
        return (
            f"the client at {self} proves itself by {method}: set token_endpoint_auth_method to private_key_jwt there."
            f" {OWN_WAY_OF_SECRETS}"
        )

    # the token

    async def _held(self, *, refused_too: bool = False) -> _Held:
        """The present token. Raises NeedsPerson when there is none that the server takes."""
        document = await self._document()
        if self._unwritten:
            spent, fresh, kept = self._unwritten
            present = kept_token.present(document, self._ref.key)
            if present is not None and present.matches(spent):
                return await self._keep(_Held(document, spent), fresh, kept)
            self._unwritten = None
        present = kept_token.present(document, self._ref.key)
        if present is None:
            raise NeedsPerson("there is no registration access token", remedy=self._remedy())
        seldom = kept_token.is_refused(document) and _is_since(document, _AT, self._clock.now(), _SELDOM)
        if seldom and not refused_too:
            raise NeedsPerson(self._refusal(document), remedy=self._again(document))
        return _Held(document, present, refused_too)

    async def _document(self) -> Document:
        try:
            return await self._shelf.read()
        except Refused as fault:
            raise Transient(f"{self._shelf}: {fault.what}", remedy=fault.remedy) from None

    async def _begin(self, held: _Held, names: Mapping[str, str]) -> _Held:
        """Note an update before it is sent. So nothing is sent that could not be noted, nor by two at once."""
        self._mine = self._clock.now().isoformat()
        values = {**(held.document.values or {}), NAMES: names, SENT: self._mine}
        try:
            version = await self._shelf.write(values, held.document.version)
        except Conflict:
            raise Transient(f"{self._shelf} was written by another process at the same moment") from None
        except Refused as fault:
            raise Transient(f"{self._shelf}: {fault.what}", remedy=fault.remedy) from None
        return _Held(Document(version, values), held.token)

    async def _next(self, held: _Held, client: Mapping[str, Any], kept: Mapping[str, object]) -> _Held:
        """Write the token of an answer, if it is another one, and what else is `kept`."""
        text = client.get(_TOKEN)
        fresh = Secret(text) if isinstance(text, str) and text else held.token
        if kept or not fresh.matches(held.token):
            with anyio.CancelScope(shield=True):
                held = await self._keep(held, fresh, kept)
        return held

    async def _keep(self, held: _Held, fresh: Secret, kept: Mapping[str, object]) -> _Held:
        """Write a token over the one that was spent for it, and over no other. Raises Transient for every fault, and
        tries again at the next call."""
        self._unwritten = held.token, fresh, kept
        document = held.document
        for _ in range(_TRIES):
            before = {
                name: each
                for name, each in (document.values or {}).items()
                if name not in (kept_token.REFUSED, _AT, SENT)
            }
            values = {**before, **kept, self._ref.key: fresh}
            try:
                version = await self._shelf.write(values, document.version)
            except Conflict:
                document = await self._document()
                present = kept_token.present(document, self._ref.key)
                if present is None or not present.matches(held.token):  # a person has put another one there
                    self._unwritten = None
                    return await self._held()
                continue
            except (Refused, Transient) as fault:
                raise Transient(
                    f"the next registration access token cannot be written to {self._shelf}, and only this process has"
                    f" it: {fault.what}",
                    remedy=fault.remedy or "do not stop this process before it is written",
                ) from None
            self._unwritten = None
            return _Held(Document(version, values), fresh)
        raise Transient(f"{self._shelf} is written by others all the time")

    async def _was_refused(self, held: _Held) -> NoReturn:
        """Mark a refused token: the next one that a person writes has another version.

        Raises Transient while another process may be about to write the next one.
        """
        document = held.document
        if self._is_under_way(document):
            raise Transient(f"{self} refuses the registration access token while another process updates the client")
        now = self._clock.now().isoformat()
        marked = {**kept_token.refused(document), _AT: now}
        with suppress(Conflict, Refused, Transient):  # then it is presented once more, which harms nobody
            await self._shelf.write(marked, document.version)
        remedy = self._remedy() if held.shown_again else self._again(document)
        raise NeedsPerson(self._refusal(document), remedy=remedy)

    def _is_under_way(self, document: Document) -> bool:
        mine = document.text(SENT) == self._mine
        return not mine and _is_since(document, SENT, self._clock.now(), self._under_way)

    def _refusal(self, document: Document) -> str:
        sent = document.text(SENT)[:19].replace("T", " ")
        lost = f": an update was sent at {sent}Z whose answer, with the next one, never arrived" if sent else ""
        return f"{self} refuses the registration access token{lost}"

    def _again(self, document: Document) -> str:
        """The remedy for a refusal, which only after an update is surely the server's."""
        if document.text(SENT):
            return self._remedy()
        return f"first let `rotate check` show it again: something else may have refused it; then {self._remedy()}"

    def _remedy(self) -> str:
        client = self._options.client_id
        return f"get another one for client {client} ({_ANOTHER}), write it to {self._ref}, then `rotate now`"

    def __str__(self) -> str:
        return self._options.registration_client_uri.partition("?")[0]


def _listed(keys: KeySet, keep: Collection[Token]) -> str:
    """The keys in words: in use, ours otherwise, or somebody else's."""
    used, ours, said = {each.id for each in keep}, _names(keys), []
    for kid in [str(each.get("kid", "")) for each in keys.keys]:
        whose = "in use" if kid in used else f"ours: {ours[kid]}" if kid in ours else "not ours"
        said.append(f"{visible(kid, _LONGEST_KID) or 'one without a kid'} ({whose})")
    more = [f"{len(said) - _MOST_SHOWN} more"] if len(said) > _MOST_SHOWN else []
    return f"{counted(len(said), 'key')} in its jwks{': ' if said else ''}{', '.join(said[:_MOST_SHOWN] + more)}"


def _is_since(document: Document, key: str, now: datetime, span: timedelta) -> bool:
    """Whether the time under `key` is less than `span` ago."""
    try:
        return timedelta() <= now - datetime.fromisoformat(document.text(key)) < span
    except (ValueError, TypeError):  # no time, or one without a zone
        return False


def _names(keys: KeySet) -> dict[str, str]:
    return keys.marked("")


def _marked(jwk: Jwk, names: Mapping[str, Any]) -> Jwk:
    name = names.get(str(jwk.get("kid", "")))
    return {**jwk, MARK: name} if isinstance(name, str) else jwk


def _sent(keys: KeySet) -> dict[str, Any]:
    """The set as it is sent: without our marks, which stand in the document."""
    ours = _names(keys)
    plain = [
        {name: each for name, each in jwk.items() if name != MARK or str(jwk.get("kid", "")) not in ours}
        for jwk in keys.keys
    ]
    return {**keys.beside, "keys": plain}
