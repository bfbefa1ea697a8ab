"""The calls that a procedure may ask for, each with the type of its answer.

A procedure is a generator: `answer = yield from Call(...)` asks for a call, and its return value is the outcome of the
step. It does no I/O. Its driver (engine/procedure_driver.py, a test, a model) makes the call and sends in the answer
or the fault. With the same answers a procedure asks for the same calls and has the same outcome.
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
    """Read the consumer path strongly. The reconcile remembers the document."""

    place: VaultPath


@dataclass(frozen=True, slots=True)
class ReadPath(Call[Document]):
    """Read any consumer path: its newest version, or the given one."""

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
    """Read the staged slot strongly. The reconcile remembers the document."""


@dataclass(frozen=True, slots=True)
class WriteSlot(Call[int]):
    """Write the staged slot over version `cas`. The remembered document is dropped. Raises Conflict."""

    values: Mapping[str, object]
    cas: int


@dataclass(frozen=True, slots=True)
class DestroySlot(Call[None]):
    """Destroy versions of the staged slot for good."""

    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DrawNonce(Call[str]):
    """Draw a random text that makes a document unique."""


@dataclass(frozen=True, slots=True)
class ReadOwners(Call[TokenOwners]):
    """Read every record and every configured path, to know who owns each token now."""


@dataclass(frozen=True, slots=True)
class StillOurs(Call[None]):
    """Raises Transient if our lease may have lapsed, because another process may have acted since."""


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
    """The result of a mint, made from the value that a person supplied. It can be used once."""

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
class IdentifyValue(Call["Token | None"]):
    """See `SupportsIdentify.identify`; None if values of this kind do not name their token."""

    target: str
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
    secret: Secret | None = None


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
