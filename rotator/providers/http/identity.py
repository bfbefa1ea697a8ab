"""Whether what a probe tells is whom settings want. Pure; reading statuses is each kind's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotator.ports import Accepted, Rejected, Verdict


def identified(document: Any, wanted: Mapping[str, str | int | bool]) -> Verdict:
    """Accepted when the probe's answer has each of the wanted fields; the names of others are told, no values."""
    told = document if isinstance(document, dict) else {}
    other = sorted(name for name, value in wanted.items() if told.get(name) != value)
    return Rejected(f"the probe tells another identity: {', '.join(other)}", final=True) if other else Accepted()
