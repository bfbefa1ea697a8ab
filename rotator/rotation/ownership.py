"""Who owns a value on the consumer path or a token on a target, judged by one record or by the whole installation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.rotation import foreign_journal
from rotator.rotation.credential import VaultPath
from rotator.rotation.foreign_journal import overtaken
from rotator.rotation.phases import RejectedState
from rotator.rotation.record import Phase, PublishedValue, Record, Token, TokenAdoption
from rotator.rotation.token_names import parse

_MINTING = frozenset({Phase.REQUESTED, Phase.AWAITING, Phase.REJECTED, Phase.HELD})


def known(record: Record) -> frozenset[str]:
    """The ids of every token that the record accounts for."""
    published = {each.token.id for each in record.published}
    return frozenset(published | ({record.candidate.token.id} if record.candidate else set()))


def is_stray(record: Record, token: Token) -> bool:
    """Whether the token carries our name but no record accounts for it.

    Rotation and attempt numbers never go back. So if the record was read **after** the tokens were listed, a token of
    an older attempt cannot be one that is about to be recorded. A token of the current attempt is not a stray while
    that attempt is minting. A token that another journal minted under our name is not a stray: we may not end it.
    """
    name = parse(token.name)
    if name is None or name.stem != record.stem or token.id in known(record) or overtaken(record, token):
        return False
    here, there = (record.rotation, record.attempt), (name.rotation, name.attempt)
    return there < here or (there == here and record.phase not in _MINTING)


class ConsumerContent(StrEnum):
    """What the newest version of the consumer path holds."""

    EMPTY = "empty"  # nothing yet, and nothing expected
    CURRENT = "current"  # the value we published last
    CANDIDATE = "candidate"  # the value this rotation wants to publish
    DELETED = "deleted"  # a person deleted what we had published
    FOREIGN = "foreign"  # somebody else's value


def classify_content(record: Record, fingerprint: str | None, *, exists: bool, deleted: bool) -> ConsumerContent:
    """Name the content by the fingerprint of its value (None: no value under our key)."""
    current = published_here(record)
    if fingerprint is not None:
        if record.candidate and fingerprint == record.candidate.fingerprint:
            return ConsumerContent.CANDIDATE
        return ConsumerContent.CURRENT if current and fingerprint == current.fingerprint else ConsumerContent.FOREIGN
    if deleted or (current and not exists):
        return ConsumerContent.DELETED
    return ConsumerContent.FOREIGN if current else ConsumerContent.EMPTY


def published_here(record: Record) -> PublishedValue | None:
    """The value we published last, if this rotation publishes to the same place; else None."""
    current = record.current
    return current if current and (record.place is None or current.place == record.place) else None


class TokenState(StrEnum):
    """What a token is to this installation."""

    PUBLISHED = "published"  # consumers read it at a configured path
    IN_GRACE = "in grace"  # consumers read it there before and may still use it
    CANDIDATE = "candidate"
    IN_FLIGHT = "in flight"  # its credential is being rotated, or nobody can tell
    STRAY = "stray"  # its credential's record does not account for it
    UNMANAGED = "unmanaged"  # ours, but the settings do not name its credential
    STRANGE = "not ours"


ENDABLE = frozenset({TokenState.STRAY, TokenState.UNMANAGED})


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a token. `credential` is empty if nobody knows. `place` is where it is published, or was last."""

    state: TokenState
    credential: str = ""
    place: VaultPath | None = None
    said: str = ""  # what else a person should know


@dataclass(frozen=True, slots=True)
class PathContent:
    """What the newest version of a configured path holds, and how long the value before it stays in grace."""

    credential: str
    place: VaultPath
    provider_id: str = ""
    fingerprints: frozenset[str] = frozenset()
    written_at: datetime | None = None
    grace: timedelta = timedelta()


class TokenOwners:
    """Finds the owner of a token. The records and paths must have been read after the token was listed."""

    def __init__(
        self,
        configured: Mapping[str, Record],
        left: Mapping[str, Record],
        paths: Iterable[PathContent],
        family: str,
        unreadable: Mapping[str, str] | None = None,
    ) -> None:
        """`left`: records of credentials that left the settings. `family`: the prefix of all our mint names.

        `unreadable`: credentials whose records cannot be read: the stem of their mint names without its lineage, and
        the reason.
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
        """The owner. A value that a configured path publishes, or published until a moment ago, is never a stray."""
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
        """Whether the token must stay alive: consumers may read it, or a rotation uses it."""
        return self.of(token, now).state not in (*ENDABLE, TokenState.STRANGE)

    def author(self, fingerprints: Iterable[str], besides: str) -> tuple[str, Token, bool] | None:
        """The other credential whose record knows a value, its token, and whether the settings still name it."""
        wanted = set(fingerprints)
        for claims in self._claims.values():
            for each in claims:
                if each.fingerprint in wanted and each.credential != besides:
                    return each.credential, each.token, each.credential in self._configured
        return None

    def held_by(self, token: Token, besides: str) -> str:
        """The other configured credential that has this token, or an empty text."""
        owner = self._of_a_record([each for each in self._of(token) if each.credential != besides])
        return owner.credential if owner else ""

    def left_by(self, token: Token) -> str:
        """The credential that had this token last and then left the settings, or an empty text."""
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
        """A token whose credential left the settings while its path stayed: its grace is honoured."""
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
            found = foreign_journal.anothers(record, token)
            return Owner(TokenState.IN_FLIGHT, owner, said=foreign_journal.SHORT.format(found) if found else "")
        return Owner(TokenState.UNMANAGED, owner, next((each.place for each in claims if each.place), None))


@dataclass(frozen=True, slots=True)
class _Claim:
    """One mention of a token in a record. `state` is STRAY if the record says that the token was ended."""

    credential: str
    state: TokenState
    token: Token
    fingerprint: str
    place: VaultPath | None


def _claims(name: str, record: Record) -> Iterator[_Claim]:
    for state, each in (
        (TokenState.PUBLISHED, record.current),
        *((TokenState.IN_GRACE, each) for each in record.older),
        (TokenState.STRAY, record.retired),
    ):
        if each is not None:
            yield _Claim(name, state, each.token, each.fingerprint, each.place)
    if record.candidate is not None:
        yield _Claim(name, TokenState.CANDIDATE, record.candidate.token, record.candidate.fingerprint, None)


def same(one: Token, other: Token) -> bool:
    """Whether two handles name one token. Ids of different targets may be equal; mint names and serials are not."""
    return one.id == other.id and _agree(one.name, other.name) and _agree(one.serial, other.serial)


def _agree(one: str, other: str) -> bool:
    return not (one and other) or one == other


def living(record: Record, now: datetime) -> tuple[PublishedValue, ...]:
    """Published values that may still be alive, as far as the record of a credential outside the settings knows."""
    return tuple(
        each
        for each in record.published
        if not (each.refused_at or (each is record.current and record.refused_at)) and not each.token.has_expired(now)
    )


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """A living token that nobody rotates or ends any more. Times are UTC."""

    credential: str
    target: str
    token: str
    path: str  # where it was published, or was about to be
    published_at: datetime  # or minted, if it never was published
    expires_at: datetime | None
    read: bool = False  # a configured credential has the same path, so its consumers may still read it

    @property
    def next(self) -> str:
        """What comes next, in words: a person has to do it."""
        return self.end if self.read else f"nothing by itself; to end it: {self.end}"

    @property
    def end(self) -> str:
        """The command with which a person ends it. If consumers may still read it, no command is proposed."""
        if self.read:
            return "it stays: settings have its path, and consumers may read it"
        return f"rotate strays --reap --unclaimed {self.token}"


def unmanaged(
    left: Mapping[str, Record], configured: Iterable[Record], now: datetime, places: Mapping[VaultPath, timedelta]
) -> list[Unmanaged]:
    """Every unmanaged token. A token that another credential adopted belongs to that one, dead or alive.

    `places`: the configured paths, and how long a replaced value stays good at each.
    """
    theirs: defaultdict[str, list[Token]] = defaultdict(list)
    adopted: defaultdict[str, list[tuple[TokenAdoption, Record]]] = defaultdict(list)
    named = tuple(configured)
    for record in named:
        for each in record.published:
            theirs[each.token.id].append(each.token)
    for record in (*named, *left.values()):
        for taken in record.adopted:
            adopted[taken.token.id].append((taken, record))

    def goes_on(record: Record, each: PublishedValue) -> bool:
        """Whether another record has had this value since."""
        later = (taken.token for taken, by in adopted[each.token.id] if by is not record and taken.at > each.at)
        return any(same(each.token, other) for other in (*theirs[each.token.id], *later))

    written = {record.current.place: record.current for record in named if record.current}

    def read(each: PublishedValue) -> bool:
        """Whether consumers may read it at a configured path, or read it there until a moment ago."""
        if each.place not in places:
            return False
        newest = written.get(each.place)
        return newest is None or now < newest.at + places[each.place]

    return [
        Unmanaged(
            *(name, each.target, each.token.id, str(each.place), each.at, each.token.expires_at),
            read=read(each),
        )
        for name, record in sorted(left.items())
        for each in (*living(record, now), *_made(record, now))
        if not goes_on(record, each)
    ]


def tokens(record: Record, now: datetime) -> Iterator[tuple[str, Token]]:
    """The tokens of a credential outside the settings that may still be alive, each with its target."""
    for each in (*living(record, now), *_made(record, now)):
        yield each.target, each.token


def without(record: Record, gone: Collection[str], now: datetime) -> Record:
    """The record after its target said that some of its tokens are gone."""

    def marked(each: PublishedValue | None) -> PublishedValue | None:
        return replace(each, refused_at=now) if each and each.token.id in gone else each

    made = record.candidate
    return replace(
        record,
        current=marked(record.current),
        predecessor=marked(record.predecessor),
        state=RejectedState() if made and made.token.id in gone else record.state,
        unended=tuple(each for each in record.unended if each.value.token.id not in gone),
        left=tuple(each for each in record.left if each.value.token.id not in gone),
    )


def _made(record: Record, now: datetime) -> Iterator[PublishedValue]:
    """What a rotation had minted when its credential left the settings. It may be published, unknown to the record."""
    candidate, at, place = record.candidate, record.sent_at or record.requested_at, record.place
    if candidate is None or candidate.pending or at is None or place is None:
        return
    if not candidate.token.has_expired(now):
        yield PublishedValue(
            *(candidate.token, candidate.fingerprint, record.rotation, 0, at, place, record.target, record.policy)
        )
