"""What the Application API shows of one application: its slots, dates and rights, and what a change did to them.

Pure. The calls are application_api.py's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rotator.ports import Refused
from rotator.providers.keys.signing import public_key

_SHOWN_SECRETS = frozenset({"clientSecret", "new_apikey1", "new_apikey2"})
_MOVING = frozenset({"concurrencyToken", "tokens", "authorizations", "_warning"}) | _SHOWN_SECRETS
_LAST = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ApplicationRecord:
    """One application as read. The document may hold secrets: which properties a server masks is not published."""

    document: Mapping[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        """What the Application API calls it."""
        return str(self.document["id"])

    @property
    def client_id(self) -> str:
        """What the token endpoint calls it."""
        return str(self.document.get("clientId") or "")

    @property
    def inactive(self) -> bool:
        """Whether it is switched off."""
        return bool(self.document.get("inactive"))

    @property
    def system(self) -> bool:
        """Whether it is the product's own: those are vital, and left alone."""
        return bool(self.document.get("_issystem") or self.document.get("system_use"))

    @property
    def demands_assertion(self) -> bool | None:
        """Whether it must sign assertions; None when the server does not say."""
        told = self.document.get("use_jwt_assertion")
        return told if isinstance(told, bool) else None

    @property
    def key_days(self) -> int | None:
        """For how many days an API key lives, when it says."""
        told = self.document.get("apikey_expiry_days")
        return told if isinstance(told, int) and told > 0 else None

    @property
    def thumbprint(self) -> str:
        """The public key's, or nothing when there is none that can be read."""
        try:
            return public_key(str(self.document.get("public_key") or "")).thumbprint
        except Refused:
            return ""

    def stamp(self, slot: str) -> str:
        """When the key in this slot was made, as the server writes it: no two keys of a slot have it in common."""
        return str(self._about(slot, "date_generated") or "")

    def generated(self, slot: str) -> datetime | None:
        """When the key in this slot was made."""
        return moment(self._about(slot, "date_generated"))

    def expires(self, slot: str) -> datetime | None:
        """When the key in this slot ends."""
        return moment(self._about(slot, "expiry_date"))

    def used(self, slot: str) -> datetime | None:
        """When the key in this slot was last used; None: never, or the server does not know."""
        used, made = moment(self._about(slot, "last_use_date")), self.generated(slot)
        return None if used is None or (made is not None and used < made) else used

    def _about(self, slot: str, what: str) -> Any:
        return self.document.get(f"{slot.removeprefix('new_')}_{what}")


def read(document: Any) -> ApplicationRecord:
    """Raises Refused for what is no application; servers have been seen to wrap one in a list."""
    told = document[0] if isinstance(document, list) and len(document) == 1 else document
    if not isinstance(told, dict) or not told.get("id"):
        raise Refused("the Application API's answer holds no application", remedy="is the target's url right?")
    return ApplicationRecord(told)


def moment(told: Any) -> datetime | None:
    """A date as .NET writes it; one without a zone is UTC. Year 1 is .NET's word for none, year 9999 for never: it is
    drawn nearer, so that it can be reckoned with."""
    try:
        found = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return min(found, _LAST) if found.year > 1 else None


def lost(before: ApplicationRecord, after: ApplicationRecord, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What else than `wanted` has changed, as it was before. The name under which roles are kept is not published,
    so everything counts but what moves by itself."""
    still = {name: value for name, value in before.document.items() if name not in _MOVING | wanted.keys()}
    return {
        name: value
        for name, value in still.items()
        if value not in (None, "", []) and not _dated(name) and after.document.get(name) != value
    }


def _dated(name: str) -> bool:
    """Stamps move by themselves: `creation_date`, `apikey1_last_use_date`, `lastModified`."""
    return not {"date", "last"}.isdisjoint(word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name))
