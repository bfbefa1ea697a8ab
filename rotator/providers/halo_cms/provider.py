"""Personal access tokens of Halo CMS, as a provider. client.py makes the calls.

The behaviour noted here was measured on Halo 2.19.3, 2.20.2, 2.20.18 and 2.26.0.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from rotator.ports import (
    Accepted,
    Capabilities,
    Duplicate,
    Inspection,
    Minted,
    Outcome,
    Refused,
    Rejected,
    Transient,
    Unknown,
    Verdict,
)
from rotator.providers.halo_cms.client import (
    GATE,
    RACES,
    HaloCmsServer,
    PatRecord,
    expect,
    is_pat,
    is_value_of,
    read,
    spoken,
    take_token,
    wish,
)
from rotator.providers.halo_cms.config import LAST_USE_STEP, HaloPatOptions
from rotator.providers.http.client import HttpResponse
from rotator.providers.refusals import EVERYBODY
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import parse


class HaloPat:
    """One credential's view of a Halo CMS."""

    def __init__(self, server: HaloCmsServer, options: HaloPatOptions) -> None:
        """`options`: the rights of its tokens, and how they are probed."""
        self._server = server
        self._options = options

    @property
    def capabilities(self) -> Capabilities:
        """`takes_token_name` only once the server is known to keep names."""
        named = self._server.server.names_kept is True
        return Capabilities(
            takes_token_name=named,
            can_list=True,
            can_restore=True,
            reports_last_use=True,
            last_use_resolution=LAST_USE_STEP,
        )

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Mint under `name`. An unreadable answer is Transient: the token may exist, but nobody will ever see it."""
        answer = await self._server.manage("POST", json=wish(name, expires_at, self._options))
        if answer.status == 400:
            raise await self._why_400(name, expires_at, answer)
        text = take_token(expect(answer).document)
        record = read(answer.document)
        self._server.server.names_kept = record.metadata.name == name
        return Minted(record.token(name), Secret(text))

    async def _why_400(self, name: str, expires_at: datetime | None, answer: HttpResponse) -> Refused:
        """Find out why: a taken name has no status of its own, and the words in the answer are translated."""
        if await self._server.record(name):
            return Duplicate("the name is taken by a token of the minter's user")
        shown = answer.date or self._server.now()
        if expires_at and expires_at <= shown:
            past = f"400: the token would expire at {expires_at:%F %T}Z, and it is {shown:%F %T}Z"
            return Refused(past, remedy="compare the clocks, and see `lifetime`")
        try:
            held = await self._server.roles()
        except (Transient, Refused):
            held = None
        lacks = sorted(set(self._options.roles) - held) if held is not None and "super-role" not in held else []
        if lacks:
            remedy = "give the minter's user these roles, or take them out of the credential's `roles`"
            return Refused(f"400: the minter does not hold {', '.join(lacks)}", remedy=remedy)
        roles = ", ".join(self._options.roles) or "none"
        return Refused(
            f"400: Halo refuses this token (roles: {roles})",
            remedy=f"is there each of these roles, and no token {name} of another user?",
        )

    async def install(self, minted: Minted) -> Token:
        """Refused: the target makes the value."""
        raise Refused("the target makes the value")

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Living tokens minted under a name that begins with `prefix`: by name where that can be, else from a list."""
        if parse(prefix) and self._server.server.names_kept is not False:
            record = await self._server.record(prefix)
            if record:
                return (record.token(prefix),) if record.living else ()
        named = [(record, record.named(prefix)) for record in await self._server.records() if record.living]
        return tuple(record.token(name) for record, name in named if name)

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """Read the token's own record with it, compare identity and roles, then try the probe."""
        if not is_pat(secret):
            return Rejected("not a Halo personal access token", final=True)
        whose = stem_of(token)
        try:
            verdict = await self._prove(token, secret)
            if isinstance(verdict, Rejected) and not verdict.final and await self._everybody_refused(whose, secret):
                return Unknown(EVERYBODY)
        except (Transient, Refused) as fault:
            return Unknown(fault.reason, fault.retry_after)
        if isinstance(verdict, Accepted):
            self._server.positive_control.accepted(whose, secret, partial(self._accepts, token, secret))
        return verdict

    async def _everybody_refused(self, whose: str, secret: Secret) -> bool:
        accepted = await self._server.minter_accepted()
        return (await self._server.positive_control.refused(whose, secret) if accepted is None else accepted) is False

    async def _accepts(self, token: Token, secret: Secret) -> bool | None:
        status = (await self._server.own(token.id, secret)).status
        return True if status == 200 else False if status == 401 else None

    async def _prove(self, token: Token, secret: Secret) -> Verdict:
        answer = await self._server.own(token.id, secret)
        if answer.status != 200:
            return _verdict(answer)
        if answer.document is None:
            return Rejected("200 with nothing in it: Halo ignored the token")
        if not is_value_of(secret, token):
            return Rejected("the secret belongs to another token", final=True)
        if wrong := self._mismatch(token, read(answer.document)):
            return Rejected(wrong, final=True)
        return await self._probe(secret)

    def _mismatch(self, token: Token, record: PatRecord) -> str:
        """The objection to the record of this secret, or ""."""
        spec = record.spec
        if not record.is_of(token):
            return "the record is another token's"
        if self._server.username and spec.username != self._server.username:
            return f"the token belongs to user {spec.username}, and the target's settings name {self._server.username}"
        if not record.living:
            return "the token is revoked or deleted"
        if set(spec.roles or ()) != set(self._options.roles):
            return "the token's roles are not the wanted ones"
        return ""

    async def _probe(self, secret: Secret) -> Verdict:
        if self._options.probe is None:
            return Accepted()
        status = (await self._server.get(self._options.probe, secret)).status
        if status == 403:
            return Rejected("accepted, but it lacks a right that the probe needs", final=True)
        if status == 401:
            return Rejected("the probe refuses the token")
        return Accepted() if status < 300 else Unknown(f"the probe answers {status}: is its path right?")

    async def identify(self, secret: Secret) -> Token:
        """The record that the value names, read as the minter, who must be able to revoke it."""
        said = spoken(secret) if is_pat(secret) else None
        if said is None:
            raise Refused("the value does not say which personal access token it is")
        record = await self._server.record(said.id)
        if record is None or not record.is_of(said):
            raise Refused(
                f"it says that it is {said.id}, of which the minter knows nothing: it is another user's, or gone"
            )
        if not record.living:
            raise Refused(f"{said.id} is revoked or deleted")
        return record.token(record.mark)

    async def inspect(self, token: Token) -> Inspection:
        """The state in the record. A record of the same name with another tokenId is another token: ours is gone."""
        record = await self._server.record(token.id)
        if record is None or record.metadata.deletion_timestamp or not record.is_of(token):
            return Inspection(exists=False)
        spec = record.spec
        return Inspection(True, spec.revoked, spec.last_used, spec.expires_at, spec.revokes_at)

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """End the token; restorable until its record is deleted."""
        return await self._change(token, "revocation", revoked=True)

    async def restore(self, token: Token) -> Outcome:
        """Take a revocation back. Raises Refused when the record is gone."""
        return await self._change(token, "restoration", revoked=False)

    async def _change(self, token: Token, action: str, *, revoked: bool) -> Outcome:
        """400 may mean that the change is made already, so the record decides; 409 is a lost race."""
        for _ in range(RACES):
            answer = await self._server.manage("PUT", token.id, action)
            if answer.status in (400, 404, 409):
                seen = await self.inspect(token)
                if seen.revoked == revoked if seen.exists else revoked:
                    return Outcome.ALREADY
                if not seen.exists or answer.status != 409:
                    raise Refused(f"{answer.status} to the {action}; the token is {_state(seen)}")
            elif read(expect(answer).document).spec.revoked is revoked:
                return Outcome.DONE
        raise Transient(f"the {action} lost {RACES} races against other writes")

    async def delete(self, token: Token) -> Outcome:
        """Delete the record: no restoring after that, and its name is free again."""
        return await self._server.delete(token.id)

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether Halo refuses the secret with a Bearer challenge; without a secret, whether the record says so."""
        if secret is None or not (is_pat(secret) and is_value_of(secret, token)):
            seen = await self.inspect(token)
            return seen.revoked or (not seen.exists and await self._unlisted(token))
        try:
            answer = await self._server.own(token.id, secret)
        except Refused:
            return None
        if answer.status == 401:
            # Any other 401 says that the header did not reach Halo, and nothing about the token.
            return True if answer.challenge == "bearer" else None
        return None if answer.status == 200 and answer.document is None else False

    async def _unlisted(self, token: Token) -> bool:
        """Whether the list lacks it too: a 404 alone may mean that the whole API has moved, as it did in 2.17."""
        return not any(record.living and record.is_of(token) for record in await self._server.records())


def stem_of(token: Token) -> str:
    """The part of a token's name that all tokens of its credential share."""
    name = parse(token.name)
    return name.stem if name else token.id


def _state(seen: Inspection) -> str:
    return ("revoked" if seen.revoked else "not revoked") if seen.exists else "gone"


def _verdict(answer: HttpResponse) -> Verdict:
    """The verdict in a refusal of the token's own record."""
    if answer.status == 401 and answer.challenge == "bearer":
        return Rejected("401: the token is refused")
    if answer.status == 403:
        return Rejected(f"403 on its own record; {GATE}", final=True)
    if answer.status == 404:
        return Rejected("accepted, but the record is gone or another user's", final=True)
    return Unknown(f"{answer.status}: Halo did not judge the token; does the Authorization header reach it?")
