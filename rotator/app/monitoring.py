"""Monitoring of a running daemon: counters, timeline and the status server, connected to its worker pool."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from itertools import product

import anyio
from anyio.abc import TaskStatus

from rotator.app.factories import place_of
from rotator.engine.reconciler import Transition
from rotator.engine.worker_pool import WorkerPool
from rotator.host.cron import SystemClock
from rotator.observe import logs
from rotator.observe.health import Fleet
from rotator.observe.hooks import OUTCOMES
from rotator.observe.jwks_endpoint import JwksEndpoint, JwksRoutes
from rotator.observe.metrics import Metrics
from rotator.observe.receipts import Receipts
from rotator.observe.status import ServerError, StatusRoutes, StatusServer
from rotator.observe.status.html_pages import Timeline
from rotator.ports import Refused
from rotator.rotation.credential import VaultPath
from rotator.settings import Listen, MetricsBy, SecretSource, Settings

_SLACK = timedelta(minutes=1)
_SHOWN = 3  # reasons


class Monitoring:
    """Made once per process, so that counters outlive a lost Vault.

    `missing`: the signs of life that the watchdog misses, in words.
    """

    def __init__(self, settings: Settings, missing: Callable[[], str] = str, receipts: Receipts | None = None) -> None:
        self._settings = settings
        self._receipts = receipts
        # Every credential is reconciled within this time, so a process without any reconcile is not alive.
        self.fleet = Fleet(SystemClock(), silence=2 * settings.daemon.reconcile + _SLACK, missing=missing)
        self._timeline = Timeline()
        self.jwks_endpoint = JwksEndpoint()
        asked = (self._writable, self._whole) if receipts else (None, None)
        by_target = settings.status.metrics is MetricsBy.TARGETS
        self._metrics = Metrics(self.fleet, version("rotator"), *asked, by_target=by_target)
        for hook, outcome in product(settings.hooks, OUTCOMES):
            self._metrics.called(hook, outcome, 0)

    @property
    def observers(self) -> list[Callable[[Transition], None]]:
        """The observers of transitions."""
        return [self._metrics, self._timeline]

    def attend(self, worker_pool: WorkerPool) -> None:
        """Show this worker pool from now on; it asks here before it begins a rotation."""
        self.fleet.show(worker_pool)
        self.fleet.minted_from = _minters(self._settings)
        self.fleet.barred = worker_pool.guard.reconciler.barred

    def wait(self, reason: str) -> None:
        """Show that there is no worker pool, and why."""
        self.fleet.hide(reason)

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve the addresses of [status], until cancelled. Raises Refused when one is not available."""
        instance, release = self._settings.daemon.instance, version("rotator")
        site = StatusRoutes(self.fleet, self._timeline, self._metrics.scrape, instance, release)
        keys = JwksRoutes(self.jwks_endpoint.find)
        status = self._settings.status
        served = (status.listen, site.respond, status.hosts), (status.jwks_listen, keys.respond, None)
        try:
            async with anyio.create_task_group() as group:
                for listen, respond, hosts in served:
                    if listen is not None:
                        server = StatusServer(
                            listen, respond, _failed, strained=partial(_strained, listen), hosts=hosts
                        )
                        await group.start(server.serve)
                        logs.say("status.opened", listen=str(listen))
                task_status.started()
        except* ServerError as errors:
            raise Refused(str(errors.exceptions[0])) from None

    def unwell(self) -> str:
        """Why /healthz fails, in a few words; empty when it does not."""
        reasons = self.fleet.unhealthy()
        more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        return "; ".join(reasons[:_SHOWN]) + more

    @property
    def probed(self) -> Callable[[str, str], None]:
        """The counter of probes, called with the target and the verdict."""
        return self._metrics.probed

    @property
    def called(self) -> Callable[[str, str], None]:
        """The counter of calls of hooks, called with the hook's name and the outcome."""
        return self._metrics.called

    def _whole(self) -> bool:
        return not (self._receipts and self._receipts.cut)

    def _writable(self) -> bool:
        return not (self._receipts and self._receipts.trouble)


def _minters(settings: Settings) -> dict[str, VaultPath]:
    refs = {name: each.minter.pat for name, each in settings.targets.items() if each.minter and each.minter.pat}
    return {name: place_of(ref, settings) for name, ref in refs.items() if ref.source is SecretSource.VAULT}


def _failed(bug: BaseException) -> None:
    logs.tell("status.failed", "error", exc_info=bug)


def _strained(listen: Listen, reason: str) -> None:
    said = f"no caller can be accepted: {reason}; it is tried again"
    logs.warn("status.strained", listen=str(listen), said=said)
