"""What a Halo CMS knows and does about personal access tokens, without any HTTP.

The truth for checkers: `live_tokens()`, `is_accepted(name)`, `accepts(secret)`. Time comes from the injected clock,
names and ids from a seeded source. Reading credentials from requests is left to `auth`, answering to `routes`.
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rotator.rotation.secret import Secret
from tests.sandbox.cms import roles
from tests.sandbox.cms.records import Record, Records
from tests.sandbox.cms.refusals import bad_request, not_found
from tests.sandbox.cms.times import utc_now
from tests.sandbox.cms.tokens import BadToken, Signer
from tests.sandbox.cms.users import User, Users
from tests.sandbox.cms.versions import Traits


@dataclass(frozen=True, slots=True)
class Wish:
    """What a mint asks for, already read; None means not sent."""

    label: str
    name: str = ""
    generate_name: str = ""
    expires_at: datetime | None = None
    description: str | None = None
    roles: list[str] | None = None
    scopes: list[str] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: list[str] | None = None


@dataclass(slots=True)
class About:
    """The site's own settings."""

    title: str = "Sandbox"
    external_url: str = "http://localhost:8090"
    initialised: bool = False
    requires_verified_email: bool = False


class HaloModel:
    """A Halo CMS in memory. Every method is synchronous and whole: it happens, or it raises Refused and did not."""

    def __init__(
        self,
        version: str = "2.26.0",
        *,
        basic_auth: bool = False,
        clock: Callable[[], datetime] = utc_now,
        seed: int | None = None,
        key_bits: int = 2048,
        collect_after: timedelta = timedelta(seconds=0.4),
    ) -> None:
        """Raises ValueError for a version it does not know. `basic_auth` is always on before 2.20.0."""
        self.traits = Traits.of(version)
        self.basic_auth = basic_auth or self.traits.basic_always
        self.clock = clock
        self.random = random.Random(seed)
        self.signer = Signer(key_bits)
        self.records = Records(clock, collect_after)
        self.users = Users()
        self.about = About()

    # Truth for checkers.

    def is_accepted(self, name: str) -> bool:
        """Whether the token of this record authenticates now."""
        record = self.records.get(name)
        return record is not None and record.accepted(self.clock())

    def live_tokens(self) -> tuple[str, ...]:
        """The names of all records whose token authenticates now, newest first."""
        now = self.clock()
        return tuple(record.name for record in self.records.all() if record.accepted(now))

    def accepts(self, secret: Secret | str) -> bool:
        """Whether exactly this value authenticates now; leaves no trace in `lastUsed`."""
        try:
            claims = self.signer.read(_text(secret))
        except BadToken:
            return False
        record = self.records.get(claims.name)
        return record is not None and record.token_id == claims.token_id and record.accepted(self.clock())

    # Set-up without HTTP, for tests.

    def add_user(self, name: str, password: Secret | str, roles: Sequence[str] = (), **fields: Any) -> User:
        """Create a user; `fields` are those of `User`. Raises Refused (400) for a taken name."""
        shown = {"email": f"{name}@example.com", "display_name": name, **fields}
        user = User(name=name, created=self.clock(), roles=tuple(roles), **shown)
        user.set_password(_text(password))
        self.users.add(user)
        return user

    def mint(
        self,
        user: str,
        *,
        name: str,
        roles: Sequence[str] = (),
        expires_at: datetime | None = None,
        description: str | None = None,
        labels: dict[str, str] | None = None,
    ) -> Secret:
        """Mint a token for any user without asking who calls; the name is kept in every version.

        Raises Refused: 400 for a taken name, a past expiry, an unknown user's 404.
        """
        self.users.require(user)
        wish = Wish(name, name, "", expires_at, description, list(roles), labels=labels)
        self._check_expiry(wish)
        record = self._store(user, wish)
        return Secret(self.signer.sign(record, self.about.external_url))

    def disable_user(self, name: str) -> User:
        """Refuse the user's password from now on; its tokens keep working, as in every release."""
        user = self.users.require(name)
        user.disabled = True
        user.version += 1
        return user

    def remove_user(self, name: str) -> None:
        """Delete a user; its tokens follow only since 2.26.0, before that they keep authenticating."""
        self.users.remove(name)
        if self.traits.tokens_die_with_user:
            for record in self.own(name):
                self.records.delete(record)

    # What the user-centre endpoints do, for an authenticated owner.

    def mint_for(self, owner: str, held: Sequence[str], wish: Wish) -> Record:
        """Mint as `owner`, whose credential holds the roles `held`. Raises Refused (400, 500)."""
        self._check_expiry(wish)
        if not roles.suffice(held, wish.roles or ()):
            raise bad_request("Your credential does not hold these roles.")
        if not self.traits.keeps_metadata:
            wish = replace(wish, name="", generate_name="", labels=None, annotations=None, finalizers=None)
        return self._store(owner, wish)

    def own(self, owner: str) -> list[Record]:
        """The owner's records, newest first, revoked and expired ones included."""
        return [record for record in self.records.all() if record.owner == owner and self._visible(record)]

    def find(self, owner: str, name: str) -> Record:
        """One own record. Raises Refused (404) for a missing or foreign one."""
        record = self.records.get(name)
        if record is None or record.owner != owner or not self._visible(record):
            raise not_found()
        return record

    def revoke(self, owner: str, name: str) -> Record:
        """Raises Refused: 404, or 400 when it is revoked already."""
        record = self.find(owner, name)
        if record.revoked:
            raise bad_request("It is revoked already.")
        record.revoked, record.revoked_at = True, self.clock()
        record.version += 1
        return record

    def restore(self, owner: str, name: str) -> Record:
        """Undo a revocation. Raises Refused: 404, or 400 when it is not revoked."""
        record = self.find(owner, name)
        if not record.revoked:
            raise bad_request("It is not revoked.")
        record.revoked, record.revoked_at = False, None
        record.version += 1
        return record

    def delete(self, owner: str, name: str) -> Record:
        """Stamp it deleted. Raises Refused (404)."""
        record = self.find(owner, name)
        self.records.delete(record)
        return record

    def _visible(self, record: Record) -> bool:
        return record.deleted_at is None or self.traits.shows_deleting

    def _check_expiry(self, wish: Wish) -> None:
        if wish.expires_at and wish.expires_at < self.clock():
            raise bad_request("The expiry lies in the past.")

    def _store(self, owner: str, wish: Wish) -> Record:
        generate_name = wish.generate_name or f"pat-{owner}-"
        record = Record(
            name=wish.name or generate_name + self._suffix(),
            generate_name=generate_name,
            owner=owner,
            label=wish.label,
            token_id=str(uuid.UUID(int=self.random.getrandbits(128))),
            created=self.clock(),
            token_expires=int(wish.expires_at.timestamp()) if wish.expires_at else None,
            expires_at=wish.expires_at,
            description=wish.description,
            roles=wish.roles,
            scopes=wish.scopes,
            labels=wish.labels,
            annotations=wish.annotations,
            finalizers=wish.finalizers,
        )
        self.records.add(record)
        return record

    def _suffix(self) -> str:
        if self.traits.keeps_metadata:
            return "".join(self.random.choices(string.ascii_lowercase + string.digits, k=8))
        return "".join(self.random.choices(string.ascii_letters, k=5))


def _text(secret: Secret | str) -> str:
    return secret.reveal() if isinstance(secret, Secret) else secret
