"""A session with Vault: the token and its renewal, each request in a worker thread, and the pauses between tries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import hvac

from rotator.host.threads import BoundedCalls, Threads
from rotator.ports import Clock, Fault, StoreRefused, Transient
from rotator.vault.hvac_adapter import HardenedAdapter, Misread, PolicyDenied, Unforwarded, VaultResponse
from rotator.vault.login import Login, LoginEnd, LoginGrant, LoginPause, seconds
from rotator.vault.transport import VaultConnection, new_requests_session

READ_PATIENCE = 3.0  # seconds of trying again before a read, or a login, gives up
LAG_PATIENCE = 10.0  # the same where no node forwards for one that lags behind
WRITE_PATIENCE = 25.0  # the same for a write
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between tries, doubling
T = TypeVar("T")
WORKERS = 8  # threads for Vault alone: hvac costs about 1 ms of CPU per call, more threads only add waiting
RENEW_AT = 2 / 3  # of the granted life
RETRY_PAUSE = 10.0  # seconds between tries of the background renewal
Request = Callable[[Any], T]  # called with an hvac client in a worker thread


class Pauses:
    """Pauses between the tries of one request, for `patience` seconds at most."""

    def __init__(self, clock: Clock, patience: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + patience
        self._next = FIRST_PAUSE

    @property
    def spent(self) -> bool:
        """Whether there is no time left."""
        return self._clock.monotonic() >= self._end

    async def over(self, fault: Fault) -> bool:
        """Pause, at least as long as the server asked; returns True at once when there is no time for another try.

        The last pause ends with the patience: a leader may be found in the last second.
        """
        left = self._end - self._clock.monotonic()
        asked = fault.retry_after or 0.0
        if left <= max(0.0, asked):
            return True
        await self._clock.sleep(min(max(self._next, asked), left))
        self._next = min(self._next * 2, LONGEST_PAUSE)
        return False


async def patiently(
    clock: Clock, patience: float, request: Callable[[], Awaitable[T]], missed: Callable[[str], None] | None = None
) -> T:
    """Repeat a request that may be repeated without harm. `missed` gets each new reason for a failed try.

    Raises Transient when the patience is used up, any other fault at once.
    """
    pauses, told = Pauses(clock, patience), ""
    while True:
        try:
            return await request()
        except Transient as fault:
            if missed and fault.reason != told:
                told = fault.reason
                missed(told)
            if await pauses.over(fault):
                raise


@dataclass(frozen=True, slots=True)
class _Live:
    """A client and its token. It is replaced, never changed, because other threads use it."""

    client: Any
    own: Any  # the same in the namespace of the login, for requests about the token
    grant: LoginGrant
    since: float  # monotonic
    first_ttl: float

    @property
    def for_ever(self) -> bool:
        return self.grant.ttl <= 0


class Session:
    """A logged-in client. Run `keep_alive` beside it, and `close` it at the end.

    `index` is the newest X-Vault-Index seen: an opaque mark of the state of the cluster's storage. `login_index` is
    that of the newest login, see `LoginGrant.index`.
    `server_time` is Vault's clock at its last answer; None before the first.
    """

    def __init__(self, settings: VaultConnection, login: Login, clock: Clock) -> None:
        self.settings = settings
        self.index: str | None = None
        self.forwards = True  # whether lagging nodes may be asked to forward
        self.login_index: str | None = None
        self.login_end: LoginEnd | None = None  # the end of what we logged in with
        self.server_time: datetime | None = None
        self._login = login
        self.clock = clock
        self._requests = new_requests_session(
            settings.ca_file, settings.total_timeout, settings.client_cert, settings.proxy
        )
        self._threads = Threads("calls to Vault", WORKERS)
        self._files = BoundedCalls("what we log in to Vault with", settings.total_timeout)
        self._one_login = anyio.Lock()
        self._live: _Live | None = None
        self._pause = LoginPause(clock)
        self.closes_within = settings.total_timeout  # seconds for revoking our token

    # --- requests ---------------------------------------------------------------------------------------------------

    async def ask(
        self, request: Request[VaultResponse], *, effect: bool = False, patience: float = 0.0
    ) -> VaultResponse:
        """One request, repeated once after a new login if the token was dead.

        `patience`: for so many seconds it is repeated while the outcome is unknown, as it may be without harm.
        `effect`: cancellation waits for the answer (at most `total_timeout` seconds), so that the outcome of a write
        is not lost.
        Raises Transient, Refused, Conflict, or StoreRefused when the policy denies it or no login succeeds.
        """
        pauses = Pauses(self.clock, patience if self.forwards or not patience else max(patience, LAG_PATIENCE))
        while True:
            try:
                return await self._asked(request, effect=effect)
            except Transient as fault:
                if await pauses.over(fault):
                    raise

    async def _asked(self, request: Request[VaultResponse], *, effect: bool) -> VaultResponse:
        live = await self._logged_in()
        try:
            return await self._send(live, request, effect=effect)
        except PolicyDenied:
            if await self._is_alive(live):
                raise StoreRefused("Vault's policy denies this to us (403)") from None
        live = await self._logged_in(instead_of=live)
        try:
            return await self._send(live, request, effect=effect)
        except PolicyDenied:
            raise StoreRefused("Vault's policy denies this to us (403, with a fresh token)") from None

    async def _send(self, live: _Live, request: Request[VaultResponse], *, effect: bool = False) -> VaultResponse:
        try:
            answer = await self._in_thread(request, live.client, effect=effect)
        except Misread:
            self.index = None
            raise
        except Unforwarded:
            self.forwards = False
            raise
        self.index = answer.headers.get("X-Vault-Index") or self.index
        self.server_time = instant_of(answer.headers.get("Date", "")) or self.server_time
        return answer

    async def _in_thread(self, request: Request[T], client: Any, *, effect: bool) -> T:
        """Run in a thread, for a bounded time: a thread that hangs on a name server or a slow answer is left to itself.

        A thread that starts too late, because the process was stopped meanwhile, sends nothing.
        """
        by = self.clock.monotonic() + self.settings.total_timeout

        def in_time() -> T:
            if self.clock.monotonic() > by:
                raise Transient("too late to be sent to Vault")
            return request(client)

        with anyio.move_on_after(self.settings.total_timeout, shield=effect):
            return await self._threads.run(in_time)
        raise Transient(f"no complete answer from Vault within {self.settings.total_timeout:g} s")

    async def _is_alive(self, live: _Live) -> bool:
        """Whether our token is alive: distinguishes the two kinds of 403. Their words differ between versions."""
        try:
            await self._looked_up(live)
        except PolicyDenied:
            return False
        return True

    async def _looked_up(self, live: _Live) -> VaultResponse:
        return await self._send(live, lambda _: live.own.auth.token.lookup_self())

    async def look_up(self) -> VaultResponse:
        """What Vault says about our token. Raises Transient, Refused, or StoreRefused where the policy forbids it."""
        return await self._looked_up(await self._logged_in())

    # --- the token --------------------------------------------------------------------------------------------------

    async def mount_of(self, path: str) -> str:
        """The mount that serves a path; its name may contain slashes. "" when Vault does not tell.

        Raises Refused, Transient.
        """
        answer = await self.ask(lambda client: client.adapter.get(f"/v1/sys/internal/ui/mounts/{quote(path)}"))
        told = answer.section("data").get("path")
        mount = told.strip("/") if isinstance(told, str) else ""
        return mount if path.startswith(f"{mount}/") else ""

    async def open(self, patience: float = READ_PATIENCE) -> None:
        """Log in now. Without a verdict from Vault, try for `patience` seconds.

        Raises StoreRefused also for a token too short-lived or too limited to work with.
        """
        if self._live is None:
            await patiently(self.clock, patience, self._logged_in)

    async def close(self) -> None:
        """Revoke the token if we made it (failures are ignored), and drop the connections."""
        live, self._live = self._live, None
        if live is not None and self._login.repeatable:
            with anyio.move_on_after(self.closes_within, shield=True):
                with suppress(Fault):  # it expires by itself
                    await self._send(live, lambda _: live.own.auth.token.revoke_self())
        self._requests.close()

    async def keep_alive(self) -> None:
        """Renew the token at two thirds of each granted life; log in again when that fails. Runs until cancelled."""
        while True:
            try:
                live = await self._logged_in()
                await self.clock.sleep(self._until_renewal(live))
                if self._live is live and not live.for_ever:
                    await self._prolong(live)
            except Fault:
                await self.clock.sleep(RETRY_PAUSE)  # every request raises the same fault; health shows it

    async def _prolong(self, live: _Live) -> None:
        if not await self._renewed(live):
            await self._logged_in(instead_of=live)

    async def _renewed(self, live: _Live) -> bool:
        """Renew. A renewal can be granted and still be short (200 with a warning), so the returned life decides."""
        if not live.grant.renewable:
            return False
        try:
            answer = await self._send(live, lambda _: live.own.auth.token.renew_self())
        except Transient:
            if self.clock.monotonic() - live.since < live.grant.ttl:
                raise
            return False
        except Fault:
            return False
        try:
            ttl = seconds(answer.section("auth").get("lease_duration"))
        except (ValueError, TypeError, OverflowError):
            return False  # not an answer to this question
        if ttl < live.first_ttl / 2 and self._login.repeatable:
            return False
        grant = LoginGrant(live.grant.token, ttl, renewable=True)
        self._live = _Live(live.client, live.own, grant, self.clock.monotonic(), live.first_ttl)
        return True

    def _until_renewal(self, live: _Live) -> float:
        """Seconds until the next renewal. A token that never ends is looked up hourly: it may have been replaced."""
        if live.for_ever:
            return 3600.0
        return max(live.grant.ttl * RENEW_AT - (self.clock.monotonic() - live.since), 1.0)

    async def _logged_in(self, instead_of: _Live | None = None) -> _Live:
        """The client that is logged in; a new one if there is none or it equals `instead_of`. One login at a time."""
        if self._live is not None and self._live is not instead_of:
            return self._live
        async with self._one_login:
            if self._live is not None and self._live is not instead_of:
                return self._live
            await self._pause.standing(self._mark)
            mark = await self._mark()
            try:
                self._live = await self._enter(instead_of)
            except Fault as fault:
                self._pause.failed(fault, mark)
                raise
            return self._live

    def forgive(self) -> None:
        """Forget a refusal: a person says that its cause is mended."""
        self._pause.forgive()

    async def _mark(self) -> object:
        """The login's mark. Raises Transient when its file is on a drive that hangs: no thread for Vault is lost."""
        return await self._files.run(self._login.mark)

    async def _enter(self, instead_of: _Live | None) -> _Live:
        started = self.clock.monotonic()  # taken before the request, so that we renew early
        grant = await self._in_thread(self._login, self._client(None, login=True), effect=True)
        if instead_of is not None and grant.token.matches(instead_of.grant.token):
            raise StoreRefused("our Vault token is dead or dying, and there is no other one")
        self.login_index, self.index = grant.index, grant.index or self.index
        live = _Live(self._client(grant), self._client(grant, login=True), grant, started, grant.ttl)
        await self._note_end(live)
        return live

    async def look_at_login(self) -> None:
        """Find out anew when what we log in with ends: others may have used it meanwhile, or a person replaced it."""
        if self._live:
            await self._note_end(self._live)

    async def _note_end(self, live: _Live) -> None:
        with suppress(Fault, ValueError, TypeError, OverflowError, OSError):  # good to know, and no more
            end = self._login.end
            self.login_end = await self._in_thread(lambda client: end(client, live.grant), live.own, effect=False)

    def _client(self, grant: LoginGrant | None, *, login: bool = False) -> Any:
        """An hvac client that reads nothing from the environment: every default is given."""
        settings = self.settings
        adapter = HardenedAdapter(
            base_uri=settings.address,
            token=grant.token if grant else None,
            cert=settings.client_cert,
            timeout=(settings.connect_timeout, settings.read_timeout),
            namespace=settings.login_namespace if login else settings.namespace,
            session=self._requests,
            allow_redirects=False,
        )
        return hvac.Client(url=settings.address, token="", cert=(), verify=True, adapter=lambda **_: adapter)


@lru_cache(maxsize=1)  # it names whole seconds, so many answers say the same
def instant_of(date: str) -> datetime | None:
    """The time that a Date header names."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):  # OverflowError: a date out of range
        return None
