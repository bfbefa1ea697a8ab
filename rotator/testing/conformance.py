"""The conformance run: a kit made from settings, the list of rules, and trying them. No Vault is called."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import anyio

from rotator.app.factories import local_secret
from rotator.app.secret_resolver import identity
from rotator.app.vault_policy import KEPT_OPTIONS, REPLACED_OPTIONS, entries
from rotator.ports import Capabilities, Clock, Document, Fault, Refused
from rotator.providers import Server, kind_of
from rotator.providers.http.auth import Auth
from rotator.providers.keys.signing import Signer, VersionedKey
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings import Settings, Target
from rotator.testing import kill_campaign, provider_rules
from rotator.testing.kit import BrokenRule, Kit, NotApplicable, Row, RuleVerdict
from rotator.testing.memory_vault import MemoryStore, MemoryVault

PATIENCE = 240.0  # seconds that a rule waits for the end of a token
NO_KEEPING = (
    "each use may replace it, and the kit has no Vault to keep the next one in: see `rotate check`, and a rotation"
)
NO_VAULT = "the kit calls no Vault; put this secret into a file for the test"
_FEW = 25  # approximate number of mints of the rules
_CALLS = 30  # approximate number of calls of one rotation, each killed once
_LONGEST = 900.0  # seconds for one rule, by a real clock


class LocalSecretResolver:
    """Secrets from files and from systemd; documents in memory."""

    def __init__(self) -> None:
        self._store = MemoryStore(MemoryVault())

    async def fetch(self, ref: SecretRef) -> Secret:
        """The secret a reference points to. Raises Refused for one in Vault, StoreRefused for one that is not there."""
        if ref.source is SecretSource.VAULT:
            raise Refused(f"{ref}: {NO_VAULT}")
        return local_secret(ref)

    def transit(self, key: str) -> Signer:
        """Refused."""
        raise Refused(f"transit key {key}: the kit calls no Vault; put a key for the test into a file")

    def versions(self, key: str) -> VersionedKey:
        """Refused."""
        raise Refused(f"transit key {key}: the kit calls no Vault; leave it out for the test, and a key is made here")

    def document_store(self, path: str) -> LocalDocumentStore:
        """A document in memory, which no target can read."""
        return LocalDocumentStore(self._store, VaultPath(*path.split("/", 1)))


class LocalDocumentStore:
    """One document in memory."""

    def __init__(self, store: MemoryStore, place: VaultPath) -> None:
        self._store = store
        self._place = place

    async def read(self) -> Document:
        """The newest version."""
        return await self._store.read(self._place)

    async def write(self, values: Mapping[str, object], over: int) -> int:
        """Write over this version. Raises Conflict."""
        return await self._store.write(self._place, values, cas=over)

    def __str__(self) -> str:
        return str(self._place)


def chosen(settings: Settings, kind: str, name: str) -> Credential:
    """The credential to try: the one with this name, else the only one of this kind. Raises Refused."""
    fitting = {each.name: each for each in settings.credentials.values() if each.kind == kind}
    if name and name not in fitting:
        raise Refused(f"no credential {name!r} of kind {kind} in the settings; there is {', '.join(fitting) or 'none'}")
    if not name and len(fitting) != 1:
        raise Refused(f"{len(fitting) or 'no'} credentials of kind {kind} in the settings; name one with --credential")
    credential = fitting[name] if name else next(iter(fitting.values()))
    target = settings.targets[credential.target]
    for key, ref in entries((target, credential)):
        if isinstance(ref, SecretRef) and ref.source is SecretSource.VAULT and key not in KEPT_OPTIONS:
            raise Refused(f"{ref}: {NO_VAULT}")
        if isinstance(ref, SecretRef) and key in REPLACED_OPTIONS:
            raise Refused(f"{key} {ref}: {NO_KEEPING}")
    minter = target.minter
    if minter is not None and minter.self_minting:
        raise Refused("minter = {self = true} has nothing to begin with here: give the target a minter for the test")
    return credential


def kit(settings: Settings, credential: Credential, clock: Clock, rest: float) -> Kit:
    """The kit for a credential. `rest`: seconds between two rotations. Raises the faults of opening the target."""
    target, kind, secret_resolver = settings.targets[credential.target], kind_of(credential.kind), LocalSecretResolver()

    def reopen() -> Server:
        return kind.open_target(
            target.name, target.config, partial(_mints, target, secret_resolver), secret_resolver, clock
        )

    return Kit(kind, credential, reopen, clock, PATIENCE, rest)


async def _mints(target: Target, secret_resolver: LocalSecretResolver) -> Auth:
    return await identity(target, secret_resolver.fetch)


def announced(settings: Settings, credential: Credential) -> str:
    """The effects on the target, described for the person who has to agree."""
    target, kind = settings.targets[credential.target], kind_of(credential.kind)
    writes = " It writes over what the slots of this credential hold now." if kind.needs_management_client else ""
    return (
        f"This mints and ends up to {_FEW + 2 * _CALLS} tokens of {credential.name!r} on target {target.name!r}"
        f" ({target.config.url}), and kills {_CALLS} rotations or so on the way.{writes} Everything that it makes"
        " bears a name of its own; nothing else is touched, and no Vault is called."
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise. `spared`: why it does not apply to these capabilities; empty when it does."""

    name: str
    promise: str
    check: Callable[[Kit], Awaitable[None]]
    spared: Callable[[Capabilities], str] = lambda can: ""


def _if(capability: str, why: str) -> Callable[[Capabilities], str]:
    return lambda can: "" if getattr(can, capability) else why


_lists = _if("can_list", "the target does not list its tokens")
_installs = _if("needs_install", "the target makes the value")


def _ends(can: Capabilities) -> str:
    if not can.can_revoke:
        return "nothing is revoked"
    return "" if can.overlap else "the new value ends the old one"


def _revokes(can: Capabilities) -> str:
    return "revoking ends it" if can.can_revoke else ""


def _listed_ends(can: Capabilities) -> str:
    return _ends(can) or _lists(can)


def _lost(can: Capabilities) -> str:
    return "minting alone changes nothing on the target" if can.needs_install else _listed_ends(can)


def _told_apart(can: Capabilities) -> str:
    return _lists(can) or ("a value is proven against what is installed" if can.needs_install else "")


RULES: tuple[Rule, ...] = (
    Rule("capabilities", "what is declared does not contradict itself", provider_rules.capabilities),
    Rule("control", "the negative control passes", provider_rules.control),
    Rule("proof", "what is minted is accepted, again and again", provider_rules.proof),
    Rule("junk", "an invented value is rejected", provider_rules.junk),
    Rule("others", "the value of another token is rejected for good", provider_rules.others, _told_apart),
    Rule("distinct", "no value and no handle comes twice", provider_rules.distinct),
    Rule("found", "a prefix finds ours, exactly, and not r12 for r1", provider_rules.found, _lists),
    Rule("strangers", "a name that was never minted finds nothing", provider_rules.strangers, _lists),
    Rule("taken", "a taken name is a Duplicate, or another token", provider_rules.taken, _lists),
    Rule("unheard", "minting alone changes nothing on the target", provider_rules.unheard, _installs),
    Rule("twice", "installing twice is installing once", provider_rules.twice, _installs),
    Rule("overlap", "installing ends the value before as declared", provider_rules.overlap, _installs),
    Rule("refused", "a revoked value is refused", provider_rules.refused_after, _ends),
    Rule("repeated", "revoking is DONE once and ALREADY ever after", provider_rules.repeated, _ends),
    Rule("alone", "revoking one token leaves the others alone", provider_rules.alone, _ends),
    Rule("living", "the living are not told dead", provider_rules.living),
    Rule("dead", "the revoked are told dead, with and without the value", provider_rules.dead, _ends),
    Rule("unfound", "the revoked are not found", provider_rules.unfound, _listed_ends),
    Rule("restored", "a revocation is taken back where declared, else refused", provider_rules.restored, _ends),
    Rule("unended", "what cannot be revoked is not said to be", provider_rules.unended, _revokes),
    Rule("dated", "what ends by its date does, and the date is told", provider_rules.dated, _revokes),
    Rule("lost", "a mint without an answer leaves nothing that find does not see", provider_rules.lost, _lost),
    Rule("resumed", "an effect without an answer is done by doing it again", provider_rules.resumed),
    Rule("tireless", "calls that were given up hold no place", provider_rules.tireless),
    Rule("closed", "what is closed leaves no connection", provider_rules.closed),
    Rule("killed: accepted", "whatever is published is accepted", kill_campaign.accepted),
    Rule("killed: settled", "the record settles, without a hold", kill_campaign.settled),
    Rule("killed: one living", "exactly one token of ours lives", kill_campaign.one, _lists),
    Rule("killed: dead", "the predecessor is dead", kill_campaign.dead, _if("can_revoke", "nothing is revoked")),
    Rule("killed: budget", "no rotation mints more than it may", kill_campaign.budget),
    Rule("discreet", "nothing that was said quotes a secret", provider_rules.discreet),
)


async def tried(kit: Kit, rules: Sequence[Rule] = RULES) -> AsyncGenerator[Row]:
    """The row of each rule, as it is tried. Close the generator in the task that began it."""
    for rule in rules:
        began = perf_counter()
        verdict, text = await _try(kit, rule)
        await kit.clear()
        yield Row(rule.name, rule.promise, verdict, text, perf_counter() - began)


async def _try(kit: Kit, rule: Rule) -> tuple[RuleVerdict, str]:
    if why := rule.spared(kit.can):
        return RuleVerdict.NOT_APPLICABLE, why
    try:
        with anyio.fail_after(_LONGEST):
            await rule.check(kit)
    except NotApplicable as none:
        return RuleVerdict.NOT_APPLICABLE, str(none)
    except BrokenRule as broken:
        return RuleVerdict.FAILED, kit.discreet(str(broken))
    except Fault as fault:
        return RuleVerdict.FAILED, kit.discreet(f"{type(fault).__name__}: {fault.reason}")
    except TimeoutError:
        return RuleVerdict.FAILED, f"no end within {_LONGEST:g} s"
    except Exception as bug:  # noqa: BLE001 (other people's code; its text may quote anything)
        kit.memory.said.append(str(bug))
        return RuleVerdict.FAILED, f"a bug: {type(bug).__name__}"
    return RuleVerdict.PASSED, ""
