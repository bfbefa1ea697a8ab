"""The label and field selectors of the extension lists.

Which list they filter is left to `routes`.
"""

from __future__ import annotations

import re

from tests.sandbox.cms.records import Record

_TERM = re.compile(r"(?P<not>!)?(?P<key>[^=!,()]+)(?:(?P<op>!=|=)(?:\((?P<set>[^)]*)\)|(?P<value>[^,()]*)))?(?:,|$)")


def matches_labels(record: Record, selector: str) -> bool:
    """Whether the record has the labels of `k=v`, `k!=v`, `k=(a,b)`, `k` or `!k`, joined by commas."""
    labels = record.labels or {}
    for term in _TERM.finditer(selector):
        value = labels.get(term["key"])
        wanted = term["set"].split(",") if term["set"] is not None else [term["value"]]
        wanted_here = term["op"] == "=" or (term["op"] is None and not term["not"])
        present = value in wanted if term["op"] else value is not None
        if present is not wanted_here:
            return False
    return True


def matches_fields(record: Record, selector: str) -> bool:
    """Whether the record's name or owner is the one asked for; other fields are not indexed here."""
    key, _, value = selector.partition("=")
    known = {"metadata.name": record.name, "spec.username": record.owner}
    return known.get(key) == value
