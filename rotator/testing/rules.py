"""The list of rules, in the order in which they are tried, and the code that tries them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import anyio

from rotator.ports import Capabilities, Fault
from rotator.testing import kill_campaign, provider_rules
from rotator.testing.kit import BrokenRule, Kit, NotApplicable, Row, RuleVerdict

_LONGEST = 900.0  # seconds for one rule, by a real clock


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
