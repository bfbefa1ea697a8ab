"""What a person can end at the target while Vault is away, and nothing may happen that is not journalled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rotator.host.files import opened as regular
from rotator.observe.receipts import parse
from rotator.providers import kind_of
from rotator.rotation.record import Record
from rotator.settings import Settings

_NOBODY = (
    "nobody here knows which token that is: end the newest that bears this credential's name, and all before it; "
    "`[audit] file` would have told"
)


def from_memory(settings: Settings, name: str, record: Record | None) -> str:
    """By the record as it was last seen."""
    held = (record.current, record.predecessor) if record else ()
    return _said(settings, name, [(each.token.id, each.target) for each in held if each])


def from_receipts(settings: Settings, names: Iterable[str]) -> list[str]:
    """By the receipts, where Vault cannot be asked and no daemon remembers."""
    last: dict[str, Mapping[str, Any]] = {}
    try:
        if settings.audit.file:
            with regular(Path(settings.audit.file)) as lines:
                last = {str(each.get("credential")): each for line in lines if (each := parse(line))}
    except OSError:
        pass  # the same as no receipts: what is said then helps as far as it goes
    found = []
    for name in names:
        receipt: Mapping[str, Any] = last.get(name, {})
        target = str(receipt.get("target", settings.credentials[name].target))
        held = [each for role in ("current", "predecessor") if isinstance(each := receipt.get(role), dict)]
        found.append(_said(settings, name, [(str(each.get("id")), target) for each in held]))
    return found


def _said(settings: Settings, name: str, tokens: list[tuple[str, str]]) -> str:
    credential = settings.credentials[name]
    kind, begin = kind_of(credential.kind), f"{name}: nothing may be begun while Vault is away."
    if not tokens:
        return f"{begin} By hand, at target {credential.target}: {_NOBODY}"
    told = []
    for token, target in tokens:
        known = settings.targets.get(target)
        url = known.keys.url.rstrip("/") if known else target
        told.append(f"end {token} at target {target}: {kind.end_by_hand.format(id=token, url=url)}")
    minter = settings.targets[credential.target].minter
    mints = (
        "; it mints its own successor, so a person has to bring the next one" if minter and minter.self_minting else ""
    )
    after = "once Vault is back, `rotate revoke` finds it dead and publishes a new value at once"
    return f"{begin} By hand, {'; '.join(told)}{mints}. Consumers are refused from then on; {after}"
