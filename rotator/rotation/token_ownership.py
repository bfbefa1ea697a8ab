"""Whose a token on a target is, judged by every record and every configured path of the installation. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.rotation import second_vault
from rotator.rotation.credential import VaultPath
from rotator.rotation.record import PublishedValue, Record, Token
from rotator.rotation.strays import is_stray
from rotator.rotation.token_names import parse


class TokenState(StrEnum):
    """What a token is to this installation."""

    PUBLISHED = "published"  # consumers read it at a configured path
    IN_GRACE = "in grace"  # consumers read it there before, and may use it still
    CANDIDATE = "candidate"
    IN_FLIGHT = "in flight"  # its credential's rotation goes on, or nobody can tell
    STRAY = "stray"  # of a credential whose record does not account for it
    UNMANAGED = "unmanaged"  # ours, and of no credential that the settings name
    STRANGE = "not ours"


ENDABLE = frozenset({TokenState.STRAY, TokenState.UNMANAGED})


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a token is. `credential` empty: nobody knows. `place`: where it is, or was last, published."""

    state: TokenState
    credential: str = ""
    place: VaultPath | None = None
    said: str = ""  # what a person should know beside


@dataclass(frozen=True, slots=True)
class PathContent:
    """What the newest version of a configured path holds, and for how long the value before stays in grace."""

    credential: str
    place: VaultPath
    provider_id: str = ""
    fingerprints: frozenset[str] = frozenset()
    written_at: datetime | None = None
    grace: timedelta = timedelta()


class TokenOwners:
    """The owner of any token, for records and paths that were read after the token was listed."""

    def __init__(
        self,
        configured: Mapping[str, Record],
        left: Mapping[str, Record],
        paths: Iterable[PathContent],
        family: str,
        unreadable: Mapping[str, str] | None = None,
    ) -> None:
        """`left`: records of credentials that left the settings. `family`: what each mint name of ours begins with.

        `unreadable`: of credentials whose tokens cannot be told, the stem of their mint names without its lineage, and
        why.
        """
        self._configured = configured
        self._left = left
        self._paths = {path.place: path for path in paths}
        self._family = family
        self._unreadable = unreadable or {}
        self._stems: dict[str, str] = {}
        self._claims: defaultdict[str, list[_Claim]] = defaultdict(list)
        for name, record in (*left.items(), *configured.items()):
            if record.stem:
                self._stems[record.stem] = name
            for claim in _claims(name, record):
                self._claims[claim.token.id].append(claim)

    def of(self, token: Token, now: datetime) -> Owner:
        """Whose it is. What a configured path publishes, or published until a moment ago, is never anybody's stray."""
        claims = self._of(token)
        return (
            self._of_a_record(claims)
            or self._at_a_path(token, claims)
            or self._in_grace(claims, now)
            or self._by_its_name(token, claims)
        )

    def _of(self, token: Token) -> list[_Claim]:
        return [each for each in self._claims.get(token.id, ()) if same(each.token, token)]

    def spares(self, token: Token, now: datetime) -> bool:
        """Whether it must live on: consumers may read it, or a rotation goes on with it."""
        return self.of(token, now).state not in (*ENDABLE, TokenState.STRANGE)

    def author(self, fingerprints: Iterable[str], besides: str) -> tuple[str, Token, bool] | None:
        """Which other credential's record knows a value, by which token, and whether settings still name it."""
        wanted = set(fingerprints)
        for claims in self._claims.values():
            for each in claims:
                if each.fingerprint in wanted and each.credential != besides:
                    return each.credential, each.token, each.credential in self._configured
        return None

    def held_by(self, token: Token, besides: str) -> str:
        """Which other credential of the settings has this token, or nothing."""
        owner = self._of_a_record([each for each in self._of(token) if each.credential != besides])
        return owner.credential if owner else ""

    def left_by(self, token: Token) -> str:
        """The credential that left the settings and was the last to have this token, or nothing."""
        names = [each.credential for each in self._of(token)]
        if any(name in self._configured for name in names):
            return ""
        name = parse(token.name)
        author = self._stems.get(name.stem, "") if name else ""
        return next(iter(names), "" if author in self._configured else author)

    def _of_a_record(self, claims: list[_Claim]) -> Owner | None:
        for each in claims:
            if each.credential in self._configured and each.state is not TokenState.STRAY:
                return Owner(each.state, each.credential, each.place)
        return None

    def _at_a_path(self, token: Token, claims: list[_Claim]) -> Owner | None:
        marks = {each.fingerprint for each in claims}
        for path in self._paths.values():
            if path.provider_id == token.id or marks & path.fingerprints:
                author = next((each.credential for each in claims if each.credential != path.credential), "")
                return Owner(TokenState.PUBLISHED, path.credential, path.place, author and f"written by {author}")
        return None

    def _in_grace(self, claims: list[_Claim], now: datetime) -> Owner | None:
        """Of a credential that left the settings and whose path they still have: its grace is honoured."""
        for each in claims:
            path, record = self._paths.get(each.place) if each.place else None, self._left.get(each.credential)
            if path is None or record is None:
                continue
            until = record.grace_ends if each.state is TokenState.IN_GRACE else None
            if each.state is TokenState.PUBLISHED and path.written_at:
                until = path.written_at + path.grace
            if until is not None and now < until:
                return Owner(TokenState.IN_GRACE, path.credential, each.place, f"written by {each.credential}")
        return None

    def _by_its_name(self, token: Token, claims: list[_Claim]) -> Owner:
        name = parse(token.name)
        if name is None or not token.name.startswith(self._family):
            return Owner(TokenState.STRANGE)
        if reason := self._unreadable.get(name.stem.rpartition("-")[0], ""):
            return Owner(TokenState.IN_FLIGHT, said=reason)
        owner = self._stems.get(name.stem, "")
        if record := self._configured.get(owner):
            if is_stray(record, token):
                return Owner(TokenState.STRAY, owner)
            found = second_vault.anothers(record, token)
            return Owner(TokenState.IN_FLIGHT, owner, said=second_vault.SHORT.format(found) if found else "")
        return Owner(TokenState.UNMANAGED, owner, next((each.place for each in claims if each.place), None))


@dataclass(frozen=True, slots=True)
class _Claim:
    """One mention of a token in a record. `state` STRAY: it was ended, by the record."""

    credential: str
    state: TokenState
    token: Token
    fingerprint: str
    place: VaultPath | None


def _claims(name: str, record: Record) -> Iterator[_Claim]:
    for state, each in (
        (TokenState.PUBLISHED, record.current),
        (TokenState.IN_GRACE, record.predecessor),
        (TokenState.STRAY, record.retired),
    ):
        if each is not None:
            yield _Claim(name, state, each.token, each.fingerprint, each.place)
    if record.candidate is not None:
        yield _Claim(name, TokenState.CANDIDATE, record.candidate.token, record.candidate.fingerprint, None)


def same(one: Token, other: Token) -> bool:
    """Whether two handles are of one token: ids of several targets may be alike, mint names and serials are not."""
    return one.id == other.id and _agree(one.name, other.name) and _agree(one.serial, other.serial)


def _agree(one: str, other: str) -> bool:
    return not (one and other) or one == other


def living(record: Record, now: datetime) -> tuple[PublishedValue, ...]:
    """What a record says was published and may live still: of a credential that left the settings, all there is."""
    return tuple(
        each
        for each in (None if record.refused_at else record.current, record.predecessor)
        if each is not None and not each.refused_at and (each.token.expires_at is None or now < each.token.expires_at)
    )
