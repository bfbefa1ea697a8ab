"""The calls that a procedure may ask for, each with the type of its answer.

A procedure is a generator: `answer = yield from Call(...)` asks for a call, and what it returns is what the step comes
to. It does nothing itself: whoever drives it (engine/calls.py, a test, a model) makes the call and sends the answer in,
which may be a fault. Given the same answers it asks for the same calls and ends the same.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from rotator.rotation.answers import Document, Inspection, Minted, Outcome, Verdict
from rotator.rotation.credential import VaultPath
from rotator.rotation.faults import Fault
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

Answer = TypeVar("Answer")
Result = TypeVar("Result")


class Call(Generic[Answer]):
    """One call. `yield from` it gives its answer, or raises its fault."""

    __slots__ = ()

    def __iter__(self) -> Generator[Call[Any], Any, Answer]:
        answer: Answer | Fault = yield self
        if isinstance(answer, Fault):
            raise answer
        return answer


Procedure = Generator[Call[Any], Any, Result]

# --- Vault ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadConsumer(Call[Document]):
    """Read the consumer path strongly; what was seen there is remembered for the reconcile."""

    place: VaultPath


@dataclass(frozen=True, slots=True)
class ReadPath(Call[Document]):
    """Read a path where consumers read: its newest version, or the given one."""

    place: VaultPath
    version: int | None = None
    strong: bool = True


@dataclass(frozen=True, slots=True)
class WriteConsumer(Call[int]):
    """Write the consumer path over version `cas`. Answers the new version; raises Conflict."""

    place: VaultPath
    values: Mapping[str, object]
    cas: int


@dataclass(frozen=True, slots=True)
class ReadSlot(Call[Document]):
    """Read the staged slot strongly; what was seen there is remembered for the reconcile."""


@dataclass(frozen=True, slots=True)
class WriteSlot(Call[int]):
    """Write the staged slot over version `cas`; what was seen there is forgotten. Raises Conflict."""

    values: Mapping[str, object]
    cas: int


@dataclass(frozen=True, slots=True)
class DestroySlot(Call[None]):
    """Destroy versions of the staged slot for good."""

    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DrawNonce(Call[str]):
    """Fresh randomness, for documents that must be told apart."""


@dataclass(frozen=True, slots=True)
class ReadOwners(Call[TokenOwners]):
    """Read every record and every configured path: whose each token is at this moment."""


@dataclass(frozen=True, slots=True)
class StillOurs(Call[None]):
    """Raises Transient when the lease may have passed to others: what they did since must not be undone."""


# --- the target -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MintToken(Call[Minted]):
    """See `Provider.mint`."""

    target: str
    name: str
    expires_at: datetime | None
    keep: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class ReceiveValue(Call[Minted]):
    """What `mint` would have made, of the value that a person has brought; it is used up by that."""

    target: str
    name: str
    expires_at: datetime | None
    keep: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class InstallValue(Call[Token]):
    """See `Provider.install`."""

    target: str
    minted: Minted


@dataclass(frozen=True, slots=True)
class FindTokens(Call[tuple[Token, ...]]):
    """See `Provider.find`."""

    target: str
    prefix: str


@dataclass(frozen=True, slots=True)
class VerifyValue(Call[Verdict]):
    """See `Provider.verify`."""

    target: str
    token: Token
    secret: Secret


@dataclass(frozen=True, slots=True)
class InspectToken(Call[Inspection]):
    """See `Provider.inspect`."""

    target: str
    token: Token


@dataclass(frozen=True, slots=True)
class RevokeToken(Call[Outcome]):
    """See `Provider.revoke`."""

    target: str
    token: Token


@dataclass(frozen=True, slots=True)
class RestoreToken(Call[Outcome]):
    """See `Provider.restore`."""

    target: str
    token: Token


@dataclass(frozen=True, slots=True)
class ProveDead(Call["bool | None"]):
    """See `Provider.is_dead`."""

    target: str
    token: Token
    secret: Secret | None
