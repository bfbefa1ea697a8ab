"""One Halo CMS site: calls about personal access tokens, as the minter or with a token; and their records."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from rotator.ports import Clock, InventoryItem, MinterRefused, Outcome, OwnTokenRefused, Refused, Transient
from rotator.providers.base import Cell, Remark, TargetTable
from rotator.providers.halo_cms import roles
from rotator.providers.halo_cms.config import HaloCmsTargetConfig, HaloPatOptions
from rotator.providers.http.auth import Auth, Basic, Bearer, Minter
from rotator.providers.http.client import MIB, HttpClient, HttpResponse, Redirected, Unsendable, segment
from rotator.providers.refusals import PositiveControl
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import begins
from rotator.rotation.wording import when

_WHERE = "security.halo.run/access-token"
_MARK = "rotator:"
_FORM = re.compile(r"pat_[A-Za-z0-9._~+/-]+=*")  # Halo accepts no other Bearer value as a personal access token
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
RACES = 5  # tries of a change that loses to concurrent writes; every use of a token may write lastUsed
_LIST_CAP = 32 * MIB  # 10,000 records were 4.1 MB on 2.26.0
_PERMISSIONS = "/apis/api.console.halo.run/v1alpha1/users/-/permissions"
GATE = "since 2.26.0 the account may need a verified e-mail address; before 2.17 the api_group is another"
_PROBLEM = "application/problem+json"
_NOBODY = "rotator-control"  # no token's name
_EVERYBODY = {"anonymous", "authenticated"}


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """The part that every Halo object has. Annotations are not read here: a mint's holds the token."""

    name: str
    creation_timestamp: _Instant | None = None
    deletion_timestamp: _Instant | None = None


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    """The roles, the owner and the state of a token."""

    token_id: str
    name: str = ""  # what people read
    username: str = ""
    description: str | None = None
    roles: tuple[str, ...] | None = None
    revoked: bool = False
    revokes_at: _Instant | None = None
    expires_at: _Instant | None = None
    last_used: _Instant | None = None


class PatRecord(msgspec.Struct, frozen=True):
    """One personal access token's record."""

    metadata: Metadata
    spec: Spec

    @property
    def living(self) -> bool:
        """Whether it is neither revoked nor waiting to be collected."""
        return not self.spec.revoked and self.metadata.deletion_timestamp is None

    @property
    def mark(self) -> str:
        """The mint name in our mark, or "". Before 2.20.19 only the description survives a mint."""
        words = (self.spec.description or "").split()
        return words[-1].removeprefix(_MARK) if words and words[-1].startswith(_MARK) else ""

    def is_of(self, token: Token) -> bool:
        """Whether it is this token's record: a name may be used again, a tokenId is not."""
        return self.metadata.name == token.id and token.serial in ("", self.spec.token_id)

    def token(self, name: str) -> Token:
        """The handle of this record, minted under `name`."""
        spec = self.spec
        return Token(self.metadata.name, name, spec.token_id, self.metadata.creation_timestamp, spec.expires_at)

    def holding(self) -> InventoryItem:
        """The record as an inventory item."""
        meta, spec = self.metadata, self.spec
        words = (spec.description or "").removesuffix(f"{_MARK}{self.mark}").strip()
        made, used = meta.creation_timestamp, spec.last_used
        return InventoryItem(meta.name, self.mark, words, spec.roles or (), made, used, spec.expires_at)

    def row(self) -> dict[str, Cell]:
        """The record for people who write settings. `ours`: it bears a mark of a rotator."""
        held, spec = self.holding(), self.spec
        return {
            "id": held.id,
            "name": spec.name,
            "ours": bool(held.mark),
            "roles": held.roles,
            "made": when(held.created_at) if held.created_at else None,
            "last_used": when(spec.last_used) if spec.last_used else None,
            "expires": when(spec.expires_at) if spec.expires_at else "never",
        }

    def named(self, prefix: str) -> str:
        """The name it was minted under when that begins with `prefix`, or nothing."""
        return next((name for name in (self.mark, self.metadata.name) if begins(name, prefix)), "")


class _Claims(msgspec.Struct, frozen=True):
    jti: str
    pat_name: str


def wish(name: str, expires_at: datetime | None, options: HaloPatOptions) -> dict[str, Any]:
    """The body of a mint. Never finalizers: nothing would ever remove them, and the record could not be collected."""
    spec: dict[str, Any] = {
        "name": name,
        "description": f"{options.description} {_MARK}{name}".strip(),
        "roles": list(options.roles),
        "scopes": list(options.scopes),
    }
    if expires_at is not None:
        spec["expiresAt"] = expires_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {"metadata": {"name": name, "labels": {"rotator/mint": name}}, "spec": spec}


def read(document: Any) -> PatRecord:
    """Raises Transient when this is not a PAT record: whether the call had its effect is not known."""
    try:
        return msgspec.convert(document, PatRecord)
    except msgspec.ValidationError:
        raise Transient("the answer is no personal access token record") from None


def read_list(document: Any) -> list[PatRecord]:
    """Raises Transient when this is not a list of PAT records."""
    try:
        return msgspec.convert(document, list[PatRecord])
    except msgspec.ValidationError:
        raise Transient("the answer is no list of personal access tokens") from None


def is_pat(secret: Secret) -> bool:
    """Whether the value has the form of a personal access token."""
    return _FORM.fullmatch(secret.reveal()) is not None


def is_value_of(secret: Secret, token: Token) -> bool:
    """Whether the value says that it is this token; one that does not say (none did not, up to 2.26.0) may be.

    The signature is Halo's to check. This must be asked beside it: every token of a user may read all the user's
    records, so that a 200 proves no more than the user.
    """
    said = spoken(secret)
    return said is None or (said.id == token.id and token.serial in ("", said.serial))


def spoken(secret: Secret) -> Token | None:
    """The handle that the value tells: `pat_name` is the record's name, `jti` its tokenId. None: it has none."""
    try:
        payload = secret.reveal().split(".")[1]
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=="), type=_Claims)
    except (IndexError, binascii.Error, UnicodeError, ValueError, msgspec.MsgspecError):
        return None
    return Token(claims.pat_name, "", claims.jti)


def take_token(document: Any) -> str:
    """The token's value, removed from the answer of a mint. Raises Transient when it is not there."""
    try:
        text = document["metadata"]["annotations"].pop(_WHERE)
    except (TypeError, KeyError, AttributeError):
        raise Transient("the answer of the mint shows no token") from None
    if not isinstance(text, str) or not text:
        raise Transient("the answer of the mint shows no token")
    return text


@dataclass(slots=True)
class KnownServer:
    """Facts about a server, shared by every view of its site. `names_kept`: a chosen name survives a mint."""

    names_kept: bool | None


class HaloCmsServer:
    """One Halo CMS, shared by its credentials."""

    def __init__(self, http: HttpClient, config: HaloCmsTargetConfig, minter: Minter, clock: Clock) -> None:
        """Takes ownership of `http`; aclose() closes it."""
        self.server = KnownServer(config.keeps_names)
        self.username = config.username
        self._http = http
        self._minter = minter
        self._own_minter = False  # the published token mints its own successor
        self._clock = clock
        self.positive_control = PositiveControl(clock.monotonic)
        self._path = f"/apis/{config.api_group}/v1alpha1/personalaccesstokens"

    def minted_by(self, minter: Minter) -> HaloCmsServer:
        """The same site and budget with another minter: a token that mints its own successor."""
        server = copy(self)
        server._minter, server._own_minter = minter, True
        return server

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(
        self, method: str, path: str, auth: Auth | None, json: object = None, cap: int = MIB
    ) -> HttpResponse:
        """One call. Raises Transient for a refusal that is neither problem document nor challenge: not Halo's own.

        Halo 2.19.3 to 2.26.0 refuses requests about tokens with problem documents (RFC 9457); a gateway's 404 in JSON
        of its own says nothing about them. Probes may call a plugin, which has its own answers.
        """
        answer = await self._http.request(method, path, auth, json, cap)
        no_password = answer.status == 401 and isinstance(auth, Basic)  # for a script, without a challenge
        own = path.startswith((self._path, roles.PATH))
        problem = answer.media_type == _PROBLEM if own else answer.is_json
        if answer.status >= 400 and not (problem or answer.challenge in ("bearer", "formlogin") or no_password):
            raise Transient(f"{answer.status} from something in front of Halo, not from Halo itself")
        return answer

    async def own(self, name: str, secret: Secret) -> HttpResponse:
        """A token's record, asked for with that token: 200 for nobody else, whatever its roles."""
        return await self.call("GET", f"{self._path}/{segment(name)}", Bearer(secret))

    async def get(self, path: str, secret: Secret) -> HttpResponse:
        """Any path of the site, with a token."""
        return await self.call("GET", path, Bearer(secret))

    async def manage(self, method: str, name: str = "", action: str = "", json: object = None) -> HttpResponse:
        """A call as the minter, on all its user's tokens or one. Raises MinterRefused, or Refused for a 403."""
        path = self._path + (f"/{segment(name)}" if name else "") + (f"/actions/{action}" if action else "")
        return await self.as_minter(method, path, json, MIB if name or json else _LIST_CAP)

    async def as_minter(self, method: str, path: str, json: object = None, cap: int = MIB) -> HttpResponse:
        """Any call as the minter. Raises MinterRefused, or Refused for a 403."""
        auth = await self._minter()
        try:
            answer = await self.call(method, path, auth, json, cap)
        except Unsendable as fault:
            raise MinterRefused(f"the minter: {fault.reason}") from None
        if answer.status == 401:
            raise self._refusal(auth, answer)
        if answer.status == 403:
            raise Refused(_why_403(auth))
        if answer.status < 300 and answer.document is None:
            # The answer of 2.19.3 and 2.20.2 to a Bearer value without the pat_ prefix.
            raise MinterRefused(f"{answer.status} with nothing in it: Halo ignored the minter's credentials")
        return answer

    def _refusal(self, auth: Auth, answer: HttpResponse) -> MinterRefused:
        if self._own_minter and answer.challenge == "bearer":
            remedy = "make one by hand at the target and let `rotate adopt` take it over, or name another minter"
            return OwnTokenRefused("the published token, which mints its own successor, is refused", remedy=remedy)
        return MinterRefused(_why_401(auth, answer))

    async def minter_accepted(self) -> bool | None:
        """Whether the minter is accepted now; None where the published token mints: that says nothing of itself."""
        if self._own_minter:
            return None
        try:
            await self.manage("GET", _NOBODY)
        except MinterRefused:
            return False
        return True

    def now(self) -> datetime:
        """Our clock."""
        return self._clock.now()

    async def roles(self) -> set[str]:
        """The minter's roles. Any caller may ask this, so it proves nothing."""
        return roles.read_held(expect(await self.as_minter("GET", _PERMISSIONS, cap=4 * MIB)).document)

    async def record(self, name: str) -> PatRecord | None:
        """One of the minter's records by its metadata.name; None when its user has none."""
        answer = await self.manage("GET", name)
        return None if answer.status == 404 else read(expect(answer).document)

    async def records(self) -> list[PatRecord]:
        """All records of the minter's user, dead ones included."""
        return read_list(expect(await self.manage("GET")).document)

    async def list_tokens(self) -> tuple[Token, ...]:
        """Every living token with our mark, from one listing, which a sweep shares among its credentials."""
        return tuple(record.token(record.mark) for record in await self.records() if record.mark and record.living)

    async def inventory(self) -> tuple[InventoryItem, ...]:
        """Every living token of the minter's user; Halo never shows other users' tokens."""
        return tuple(record.holding() for record in await self.records() if record.living)

    async def delete(self, name: str) -> Outcome:
        """Delete a record for good; one that is gone is ALREADY."""
        for _ in range(RACES):
            answer = await self.manage("DELETE", name)
            if answer.status == 404:
                return Outcome.ALREADY
            if answer.status != 409:
                read(expect(answer).document)
                return Outcome.DONE
        raise Transient(f"deleting lost {RACES} races against other writes")

    async def prune(self, owns: Callable[[str], bool], older_than: timedelta) -> int:
        """Delete the records whose mint name `owns` claims and that were revoked so long ago; returns how many.

        A deleted name is free again: `older_than` must exceed the time in which a late mint could still arrive.
        """
        before = self._clock.now() - older_than
        old = [record for record in await self.records() if _revoked_before(record, before) and owns(record.mark)]
        for record in old:
            await self.delete(record.metadata.name)
        return len(old)

    async def control(self, credential: Credential[HaloPatOptions]) -> None:
        """The negative control: neither a broken token nor a missing one may pass the proof. Raises Refused."""
        broken = Bearer(Secret("pat_broken.on.purpose"))
        own = f"{self._path}/{_NOBODY}"
        answer = await self.call("GET", own, broken)
        if answer.status == 401 and answer.challenge != "bearer":
            raise Refused("the Authorization header does not reach Halo: something in front of it takes it away")
        for path in (own, *([credential.options.probe] if credential.options.probe else [])):
            await self._must_refuse(path, broken)
            # A broken PAT is 401 on public paths too, so only the call without any shows that the probe is guarded.
            await self._must_refuse(path, None)

    async def _must_refuse(self, path: str, auth: Bearer | None) -> None:
        try:
            answer = await self.call("GET", path, auth)
        except Redirected:
            if auth:
                raise
            return  # to the login page, as since 2.20.0 for a caller without the XHR header
        if answer.status not in ((401,) if auth else (401, 403)):
            raise Refused(f"this probe accepts anyone: {answer.status} for {'a broken' if auth else 'no'} token")

    async def audit(self, credentials: tuple[Credential[HaloPatOptions], ...]) -> list[str]:
        """Warnings about what the minter may do beyond what it hands out."""
        spare = await self.roles() - {role for each in credentials for role in each.options.roles} - _EVERYBODY
        return [f"the minter holds roles that it hands to nobody: {', '.join(sorted(spare))}"] if spare else []

    async def preview(self, credential: Credential[HaloPatOptions], keep: tuple[Token, ...]) -> list[Remark] | None:
        """See `SupportsPreview`: whether the roles exist, where the minter may hand out names that mean nothing."""
        held = await self.roles()
        return await roles.missing(self, credential.options.roles) if roles.SUPER in held else None

    async def browse(self) -> tuple[TargetTable, ...]:
        """See `SupportsBrowse`: the tokens of the minter's user; and the roles that the minter may read."""
        held = await self.roles()
        tokens = tuple(record.row() for record in await self.records() if record.living)
        return TargetTable("personal access tokens of the minter's user", tokens), await roles.listed(self, held)


def expect(answer: HttpResponse) -> HttpResponse:
    """The answer, when it is a success. Raises Refused for any other."""
    if answer.status >= 300:
        raise Refused(f"Halo answers {answer.status}; before 2.17 the api_group is another")
    return answer


def _revoked_before(record: PatRecord, instant: datetime) -> bool:
    spec = record.spec
    return spec.revoked and spec.revokes_at is not None and spec.revokes_at < instant


def _why_401(auth: Auth, answer: HttpResponse) -> str:
    ignored = answer.challenge == "formlogin"  # the challenge for a caller without credentials
    if isinstance(auth, Basic):
        if ignored:
            return "Halo ignores the minter's Basic Auth: it is off by default since 2.20.0"
        return "the minter's name or password is refused, or its account is disabled"
    if ignored:
        return "Halo saw no token: something in front of it takes the Authorization header away"
    return "the minter's token is refused"


def _why_403(auth: Auth) -> str:
    if isinstance(auth, Bearer):
        return f"403: before 2.20.3 a token may neither mint nor restore (use Basic Auth); {GATE}"
    return f"403: {GATE}"
