"""What HashiCorp Vault Enterprise does and OpenBao does not, as rules for a server that tests play."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.kit.http_server import Heard, Reply

FORWARD = "forwarding via header X-Vault-Inconsistent=forward-active-node disabled in configuration"  # 1.18.5, measured
Rule = Callable[[Heard], Reply | None]


def ruled(rules: Iterable[Rule], heard: Heard) -> Reply | None:
    """The answer of the first rule that has one."""
    return next((said for rule in rules if (said := rule(heard))), None)


def forbids_forwarding(heard: Heard) -> Reply | None:
    """HashiCorp Vault as shipped, community and Enterprise: on the active node too, with or without an index."""
    return (400, {"errors": [FORWARD]}) if heard.carries("X-Vault-Inconsistent") else None


@dataclass
class Lagging:
    """A node of Vault Enterprise: an index that it has not reached is answered 412, or the request is forwarded."""

    behind: int = 3  # requests until it has caught up
    asked: dict[str, int] = field(default_factory=dict)

    def __call__(self, heard: Heard) -> Reply | None:
        index = heard.headers.get("X-Vault-Index", "")
        if heard.carries("X-Vault-Inconsistent") or not index:
            return None
        self.asked[index] = self.asked.get(index, 0) + 1
        return (412, {"errors": ["required index state not present"]}) if self.asked[index] <= self.behind else None
