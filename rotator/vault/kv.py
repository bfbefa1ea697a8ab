"""Documents in a KV version 2 engine: strong reads, check-and-set writes with a definite outcome, destruction.

Whose write was it? After an unknown outcome the identical request is sent again, and a refusal (400) is decided by a
strong read: the write is ours exactly when version cas+1 holds what we sent. Journal and staged documents carry a
fresh nonce, so nobody else can have written an equal one. A consumer document must not carry a nonce (consumers would
see it); an equal document by another writer at that very version is as good as ours, so no harm is done.

A refusal can be false: a standby that lags behind judges the check-and-set by its own stale copy (OpenBao 2.7.2, raft,
three nodes: 300 of 300 writes at the true version were refused by a standby just after a write; none with the index
headers). So "the version is still our cas" means: again, with the newest index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import anyio
from hvac.api.secrets_engines.kv_v2 import KvV2

from rotator.ports import Conflict, Document, Refused, Transient
from rotator.rotation.credential import VaultPath
from rotator.vault.hvac_adapter import CasRequired, VaultResponse, as_stored
from rotator.vault.session import READ_PATIENCE, WRITE_PATIENCE, Pauses, Session

_NUMBERS_END = 2**53  # no version comes near it


def document(place: VaultPath, answer: VaultResponse) -> Document:
    """Read an answer. Shapes seen on OpenBao 2.7.2; a 404 with a body is a version that was deleted or destroyed."""
    section = answer.section("data")
    told, values = section.get("metadata"), section.get("data")
    told = told if isinstance(told, Mapping) else {}
    if answer.status == 404:
        if section:
            return Document(_version(told, place), deleted=True)
        if answer.body.get("errors") == []:
            return Document(0)
        raise Refused(f"there is no secrets engine at {place.mount}")
    if not isinstance(values, Mapping):
        raise Transient(f"the answer for {place} holds no document")
    written, vanishes = instant(told.get("created_time")), instant(told.get("deletion_time"))
    return Document(_version(told, place), values, written_at=written, vanishes_at=vanishes)


def undelete(place: VaultPath, version: int) -> str:
    """The command that keeps a version which Vault will delete, or has deleted."""
    return f"bao kv undelete -mount={place.mount} -versions={version} {place.path}"


def instant(told: object) -> datetime | None:
    """A time by Vault's clock, which has nanoseconds; Python keeps microseconds. None where there is none."""
    try:
        read = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return read if read is not None and read.tzinfo else None


def written(answer: VaultResponse, place: VaultPath, cas: int) -> int:
    """The version of a write; with check-and-set only one is possible."""
    version = _version(answer.section("data"), place)
    if version != cas + 1:
        raise Transient(f"a write over version {cas} of {place} cannot have become version {version}")
    return version


def names(answer: VaultResponse) -> tuple[str, ...]:
    """The names in a listing."""
    keys = answer.section("data").get("keys")  # an empty folder is a 404
    if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
        raise Transient("the answer is no list of names")
    return tuple(keys)


def _version(metadata: Mapping[str, Any], place: VaultPath) -> int:
    """The version. KV version 1 accepts our writes (204) and ignores check-and-set, but sends no version."""
    version = metadata.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 0 < version < _NUMBERS_END:
        raise Refused(f"{place.mount} is not a KV version 2 engine: its answer carries no version")
    return version


class Kv:
    """The SecretStore port on a real Vault. A place may be in any mount that the policy covers."""

    def __init__(self, session: Session) -> None:
        self.session = session
        settings = session.settings
        self.node = VaultPath(settings.mount, f"{settings.prefix}/node/{settings.instance}")
        self.tells: dict[str, Callable[[], Mapping[str, object]]] = {}  # further content of a heartbeat, by author
        self.went_back: Callable[[], None] = lambda: None  # called when storage is older than it was
        self.vanishing = False  # whether Vault is going to delete our heartbeat by itself, and all that is written here
        self._beaten = 0  # the newest version of our own document
        self._demands_cas = False  # whether the document requires check-and-set (cas_required)
        self._one_barrier = anyio.Lock()
        self._barrier_began = float("-inf")
        self._barrier_index: str | None = None

    # --- the port ---------------------------------------------------------------------------------------------------

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        """See `SecretStore.read`. A trimmed version is read like one that never existed: version 0."""
        path = _path(place)
        index = await self.barrier() if strong else None
        answer = await self.session.ask(
            lambda client: self._engine(client, index).read_secret_version(
                path, version=version, mount_point=place.mount, raise_on_deleted_version=True
            ),
            patience=READ_PATIENCE,
        )
        found = document(place, answer)
        if version is not None and found.version not in (version, 0):
            raise Transient(f"asked for version {version} of {place}, another one came")
        return found

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        """See `SecretStore.write`. Returns within about `WRITE_PATIENCE` and one request's time.

        Raises Conflict when another process wrote, Transient when the outcome is still unknown at the end,
        Refused or StoreRefused when Vault refuses it.
        """
        pauses = Pauses(self.session.clock, WRITE_PATIENCE)
        while True:
            try:
                return await self._written(place, values, cas)
            except Transient as fault:
                if await pauses.over(fault):
                    return await self._decide(place, values, cas, at_last=fault)

    async def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """See `SecretStore.destroy`."""
        path = _path(place)
        if versions:
            answer = await self.session.ask(
                lambda client: self._engine(client).destroy_secret_versions(path, list(versions), place.mount),
                patience=WRITE_PATIENCE,
                effect=True,
            )
            told = answer.body.get("request_id")  # Vault's warnings come with one, and 200
            if answer.status != 204 and not isinstance(told, str):
                raise Transient(f"{answer.status} to a destruction, and not in Vault's form")

    # --- beyond the port --------------------------------------------------------------------------------------------

    async def list(self, place: VaultPath) -> tuple[str, ...]:
        """The names directly below a place; folders end in a slash. A strong read, like `barrier`."""
        path = _path(place)
        index = await self.barrier()
        answer = await self.session.ask(
            lambda client: self._engine(client, index).list_secrets(path, mount_point=place.mount),
            patience=READ_PATIENCE,
        )
        if answer.status == 404:
            document(place, answer)  # raises unless it is a plain "nothing here"
            return ()
        return names(answer)

    async def forget(self, place: VaultPath) -> None:
        """Remove a document with all its versions."""
        path = _path(place)
        await self.session.ask(
            lambda client: self._engine(client).delete_metadata_and_all_versions(path, mount_point=place.mount),
            patience=WRITE_PATIENCE,
            effect=True,
        )

    async def beat(self) -> VaultResponse:
        """Write our heartbeat, over whatever is there. Each barrier begins with it.

        Its versions only grow. A write that is answered with an old version number went to an older state of Vault:
        Vault was restored, or the document was removed.
        """
        seen: dict[str, object] = {"seen": self.session.clock.now().isoformat()}
        for tell in self.tells.values():
            seen |= tell()
        before = self._beaten
        answer = await self._beat_over_anything(seen)
        self.vanishing = instant(answer.section("data").get("deletion_time")) is not None
        told = answer.section("data").get("version")
        version = told if isinstance(told, int) else 0
        if 0 < version <= before:
            self._beaten = version
            self.went_back()
        else:
            self._beaten = max(self._beaten, version)
        return answer

    async def _beat_over_anything(self, seen: Mapping[str, object]) -> VaultResponse:
        """Write without check-and-set, unless it is required: then over the newest version, repeated on a conflict.

        When many commands write the document at once, one succeeds in each round; so there is no pause between.
        """
        pauses = Pauses(self.session.clock, WRITE_PATIENCE)
        over = self._beaten if self._demands_cas else None

        def write(client: Any) -> VaultResponse:
            answer: VaultResponse = self._engine(client).create_or_update_secret(
                self.node.path, seen, cas=over, mount_point=self.node.mount
            )
            return answer

        while True:
            try:
                return await self.session.ask(write, patience=READ_PATIENCE, effect=True)
            except CasRequired:
                self._demands_cas, over = True, self._beaten
            except Conflict as fault:  # new here, or a lost answer, other commands writing, a lagging standby
                tried, over = over, (await self.read(self.node)).version
                if pauses.spent or (over == tried and await pauses.over(fault)):
                    raise Transient(f"{self.node} is written by others all the time") from None

    async def barrier(self) -> str | None:
        """The index with which a read sees everything written until now; None where none is needed.

        A write of our own goes through the active node, whatever node we talk to, and its answer has the index of
        storage. A node that lags behind the index of a read forwards that read. Servers that send no index (memory
        storage, Vault community) have no such standbys, and get one write only. Callers that wait for a barrier share
        the next one. A login is such a write, too: it shows whether the server sends an index, and is enough of a
        barrier for a process that only reads.
        """
        if self.session.login_index is None:
            await self.session.open()
        login = self.session.login_index
        if login == "" and self.session.index is None:
            return None
        if login and self.session.settings.reading:
            return self.session.index
        asked_before = self._barrier_began > float("-inf")
        if asked_before and self._barrier_index is None and self.session.index is None:
            return None
        wanted = self.session.clock.monotonic()
        async with self._one_barrier:
            if self._barrier_began > wanted:
                return self._barrier_index
            began = self.session.clock.monotonic()
            answer = await self.beat()
            self._barrier_began, self._barrier_index = began, answer.headers.get("X-Vault-Index")
            return self._barrier_index

    # --- inside -----------------------------------------------------------------------------------------------------

    def _engine(self, client: Any, index: str | None = None) -> KvV2:
        """hvac's KV engine with an index on every request: the given one, else the newest seen.

        A node that lags behind it forwards the request; where that is forbidden, it refuses until it has caught up.
        """
        index = index or self.session.index
        headers = {"X-Vault-Index": index} if index else {}
        if index and self.session.forwards:
            headers["X-Vault-Inconsistent"] = "forward-active-node"
        return KvV2(adapter=client.adapter.with_headers(headers))

    async def _written(self, place: VaultPath, values: Mapping[str, object], cas: int) -> int:
        """One try of a write. A refusal is checked. Raises Transient for a false one: try again."""
        path = _path(place)
        try:
            answer = await self.session.ask(
                lambda client: self._engine(client).create_or_update_secret(
                    path, values, cas=cas, mount_point=place.mount
                ),
                effect=True,
            )
        except Conflict:
            landed = await self._landed(place, values, cas)
            if landed:
                return landed
            raise Transient("Vault keeps refusing a check-and-set at the true version") from None
        return written(answer, place, cas)

    async def _landed(self, place: VaultPath, values: Mapping[str, object], cas: int) -> int:
        """The version of our write, or 0 when there is no write yet. Raises Conflict for another process's write."""
        newest = await self.read(place, strong=True)
        if newest.version == cas:
            return 0
        ours = newest if newest.version == cas + 1 else await self.read(place, version=cas + 1)
        if newest.version > cas and ours.values == as_stored(values):
            return cas + 1
        raise Conflict("the document was changed in between")

    async def _decide(self, place: VaultPath, values: Mapping[str, object], cas: int, *, at_last: Transient) -> int:
        """Decide after unknown outcomes only. A request may still be on its way, so version 0 proves nothing."""
        landed = await self._landed(place, values, cas)
        if landed:
            return landed
        raise Transient(f"it stays unknown whether the write took effect: {at_last.reason}") from None


def _path(place: VaultPath) -> str:
    """The path, unless HTTP clients would change it: they resolve segments of dots."""
    for segment in f"{place.mount}/{place.path}".split("/"):
        if segment in ("", ".", "..") or not segment.isprintable():
            raise Refused(f"{place} is not a usable Vault path")
    return place.path
