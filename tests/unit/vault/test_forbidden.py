"""What a server may forbid or lack by its configuration is never taken for granted: each optional thing, forbidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from rotator.ports import Lease, StoreRefused
from rotator.rotation.credential import VaultPath
from rotator.rotation.record import Record
from rotator.rotation.secret import Secret
from rotator.vault.fitness import Finding, FindingLevel, fitness
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.preflight import preflight
from rotator.vault.session import LAG_PATIENCE, Session
from rotator.vault.transport import VaultConnection
from tests.kit.clock import QuickClock
from tests.kit.http_server import Heard, Reply
from tests.unit.vault.enterprise import Lagging, Rule, forbids_forwarding
from tests.unit.vault.scripted import DENIED, EVERYTHING, ScriptedVault, scripted_vault
from tests.unit.vault.test_nodes import META
from tests.unit.vault.test_patience import way_in

pytestmark = pytest.mark.anyio
CONSUMER = VaultPath("secret", "apps/bot")


def kv_on(vault: ScriptedVault, clock: QuickClock | None = None) -> Kv:
    return Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), clock or QuickClock()))


async def a_day(kv: Kv) -> None:
    """What a rotation needs of Vault, and what a look needs."""
    journal = VaultJournal(kv, "secret", "rotator")
    assert (await journal.meta()).lineage == META["lineage"]
    first = await journal.save(await journal.load("bot"), Record("abc123"), Lease("me"))
    second = await journal.save(first, Record("abc123"), Lease("me"))
    assert (await journal.load("bot")).version == second.version == 2
    assert await kv.write(CONSUMER, {"token": Secret("canary-day-5a3b")}, cas=0) == 1
    assert (await kv.read(CONSUMER, strong=True)).version == 1
    await kv.beat()
    await kv.session.close()


SERVERS: dict[str, Callable[[], dict[str, object]]] = {
    "OpenBao, in memory": dict,
    "OpenBao, raft": lambda: {"indexed": True, "rules": [Lagging()]},
    "OpenBao, raft, check-and-set demanded": lambda: {
        "indexed": True,
        "rules": [Lagging()],
        "config": {"cas_required": True},
    },
    "HashiCorp Vault, community": lambda: {"rules": [forbids_forwarding]},
    "HashiCorp Vault Enterprise, as shipped": lambda: {"indexed": True, "rules": [forbids_forwarding, Lagging()]},
    "HashiCorp Vault Enterprise, allowed to forward": lambda: {"indexed": True, "rules": [Lagging()]},
}


@pytest.mark.parametrize("server", SERVERS)
async def test_a_day_passes_on_every_server(server: str) -> None:
    """On Vault Enterprise and HCP with their default settings nothing worked: 400 to the second request."""
    with scripted_vault(documents={"secret/rotator/meta": [META]}, **SERVERS[server]()) as vault:
        await a_day(kv_on(vault))


async def test_the_forwarding_header_is_dropped_for_good_at_the_first_refusal() -> None:
    wishes = SERVERS["HashiCorp Vault Enterprise, as shipped"]()
    with scripted_vault(documents={"secret/rotator/meta": [META]}, **wishes) as vault:
        kv = kv_on(vault)
        assert kv.session.forwards
        await a_day(kv)
        assert not kv.session.forwards
        assert sum(each.carries("X-Vault-Inconsistent") for each in vault.heard) == 1
        assert sum(each.carries("X-Vault-Index") for each in vault.heard) > 5


async def test_a_node_that_lags_for_seconds_is_waited_for_where_nobody_forwards() -> None:
    clock, lag = QuickClock(), Lagging(behind=6)
    rules: list[Rule] = [forbids_forwarding, lag]
    with scripted_vault(indexed=True, rules=rules) as vault:
        kv = kv_on(vault, clock)
        await kv.write(CONSUMER, {"a": "b"}, cas=0)
        clock.slept.clear()
        lag.behind = 8
        assert (await kv.read(CONSUMER, strong=True)).version == 1
        assert 3 < sum(clock.slept) < 2 * LAG_PATIENCE  # of a barrier and a read


# --- each optional thing, forbidden ---------------------------------------------------------------------------------


def path_is(start: str, reply: Reply, *methods: str) -> Rule:
    return lambda heard: (
        reply if heard.path.startswith(start) and heard.method in (methods or (heard.method,)) else None
    )


def lacking(start: str) -> Rule:
    """A policy that grants nothing on the paths that begin so."""

    def rule(heard: Heard) -> Reply | None:
        if heard.path != "sys/capabilities-self":
            return None
        paths = heard.body["paths"]
        return 200, {"data": {each: ["deny"] if each.startswith(start) else list(EVERYTHING) for each in paths}}

    return rule


def needs_request_header(heard: Heard) -> Reply | None:
    """`require_request_header` of a listener."""
    return None if heard.carries("X-Vault-Request") else (412, {"errors": ["missing required header"]})


@dataclass
class Limits:
    """A rate limit quota: the first request to each path is one too many."""

    seen: set[str] = field(default_factory=set)

    def __call__(self, heard: Heard) -> Reply | None:
        if heard.path in self.seen:
            return None
        self.seen.add(heard.path)
        return 429, {"errors": ["request path: rate limit quota exceeded"]}, {"Retry-After": "1"}


GATEWAY = (405, {"message": "not through here"})
FORBIDDEN: dict[str, tuple[Rule, list[str]]] = {
    "nothing": (lambda heard: None, []),
    "metadata of keys": (path_is("secret/metadata/apps", DENIED), ["note path secret/apps/bot"]),
    "configuration of mounts": (path_is("secret/config", DENIED), ["note mount secret"]),
    "capabilities": (path_is("sys/capabilities-self", DENIED), ["note policy"]),
    "capabilities, by a gateway": (path_is("sys/capabilities-self", GATEWAY), ["note policy"]),
    "mounts": (path_is("sys/internal/ui/mounts", DENIED), ["note mount secret"]),
    "mounts, by a gateway": (path_is("sys/internal/ui/mounts", GATEWAY), ["note mount secret"]),
    "looking itself up": (path_is("auth/token/lookup-self", DENIED), ["note token"]),
    "looking itself up, by a gateway": (path_is("auth/token/lookup-self", GATEWAY), ["note token"]),
    "looking its secret-id up": (path_is("auth/approle/role", DENIED), []),
    "more than some requests at a time": (Limits(), []),
    "renewal": (path_is("auth/token/renew-self", DENIED), []),
    "ending its token": (path_is("auth/token/revoke-self", DENIED), []),
    "renewal and ending, by the policy": (
        lacking("auth/token/"),
        ["warning auth/token/renew-self", "warning auth/token/revoke-self"],
    ),
    "removing documents of daemons that are gone": (path_is("secret/metadata/rotator/node", DENIED), []),
    "requests without our header": (needs_request_header, []),
}


def told(found: tuple[Finding, ...]) -> list[str]:
    return [f"{each.level.value} {each.subject}" for each in found if each.level is not FindingLevel.OK]


@pytest.mark.parametrize("what", FORBIDDEN)
async def test_what_is_forbidden_is_told_and_stops_nothing(what: str) -> None:
    rule, findings = FORBIDDEN[what]
    with scripted_vault(documents={"secret/rotator/meta": [META]}, rules=[rule]) as vault:
        kv = kv_on(vault)
        vault.documents["secret/apps/bot"] = []
        assert told(await preflight(kv, [CONSUMER], timedelta(days=1))) == findings
        await a_day(kv_on(vault))


async def test_a_server_that_tells_no_time_is_worked_with() -> None:
    with scripted_vault(documents={"secret/rotator/meta": [META]}, dated=False) as vault:
        assert told(await preflight(kv_on(vault), [CONSUMER], timedelta(days=1))) == []
        await a_day(kv_on(vault))


INDEXES = {
    "OpenBao, in memory": "the server sends no storage index: none of its nodes answers from an older state",
    "OpenBao, raft": "reads carry the storage index, and a node that lags behind it forwards them",
    "OpenBao, raft, check-and-set demanded": "and a node that lags behind it forwards them",
    "HashiCorp Vault, community": "the server sends no storage index: none of its nodes answers from an older state",
    "HashiCorp Vault Enterprise, as shipped": "and wait for a node that lags behind: it may not forward for clients",
    "HashiCorp Vault Enterprise, allowed to forward": "and a node that lags behind it forwards them",
}


@pytest.mark.parametrize("server", SERVERS)
async def test_the_preflight_says_how_the_server_keeps_reads_from_being_stale(server: str) -> None:
    with scripted_vault(documents={"secret/rotator/meta": [META]}, **SERVERS[server]()) as vault:
        found = await preflight(kv_on(vault), [CONSUMER], timedelta(days=1))
        [heartbeat] = [each for each in found if each.subject == "heartbeat"]
        assert INDEXES[server] in heartbeat.text


async def test_neither_mounts_nor_their_configuration_is_a_refusal_with_its_remedy() -> None:
    rules = [path_is("sys/internal/ui/mounts", DENIED), path_is("secret/config", DENIED)]
    with scripted_vault(rules=rules) as vault:
        assert "refusal mount secret" in told(await preflight(kv_on(vault), [CONSUMER], timedelta(days=1)))


EDITIONS: dict[str, tuple[Reply, list[str]]] = {
    "OpenBao": ((200, {"initialized": True, "version": "2.7.2"}), []),
    "HashiCorp Vault, community": ((200, {"version": "1.18.5", "enterprise": False}), ["refusal namespace"]),
    "HashiCorp Vault Enterprise": ((200, {"version": "1.18.5+ent", "enterprise": True}), []),
    "in a namespace": ((400, {"errors": ["unsupported path"]}), []),
    "by a gateway": (GATEWAY, []),
}


@pytest.mark.parametrize("edition", EDITIONS)
async def test_a_server_that_takes_no_notice_of_namespaces_is_refused_before_anything_is_written(edition: str) -> None:
    """What was meant for a namespace would have been published in the root."""
    reply, findings = EDITIONS[edition]
    asked = 0
    for namespace in (None, "team"):
        with scripted_vault(rules=[path_is("sys/health", reply)]) as vault:
            place = VaultConnection(vault.address, instance="me", namespace=namespace)
            kv = Kv(Session(place, way_in(), QuickClock()))
            found = await fitness(kv, [CONSUMER], timedelta(days=1))
            assert told(found) == (findings if namespace else [])
            asked += sum(each.path.startswith("sys/health") for each in vault.heard)
    assert asked == 1


WANTS = {
    "a control group": ({"wrap_info": {"token": "x"}, "data": None}, "secret/data/apps/bot", "a person's consent"),
    "a second factor": ({"auth": {"client_token": "", "mfa_requirement": {"x": 1}}}, "auth/approle/login", "MFA"),
}


@pytest.mark.parametrize("what", WANTS)
async def test_what_no_daemon_can_do_is_said_in_words(what: str) -> None:
    body, path, words = WANTS[what]
    with scripted_vault(rules=[path_is(path, (200, body))]) as vault:
        with pytest.raises(Exception, match=words) as caught:
            await kv_on(vault).read(CONSUMER)
        assert isinstance(caught.value, StoreRefused) or what == "a control group"
