"""Owns the page of one credential: what it is, why it is so, what comes next, what happened lately."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rotator.fleet import Fleet, Row
from rotator.rotation.record import Phase
from rotator.rotation.summary import explain
from rotator.rotation.telling import Severity
from rotator.status.frame import badge, facts, page
from rotator.status.html import Html, el, join
from rotator.status.spoken import exact, moment, relative
from rotator.status.timeline import Moment

_SIGNS = {Severity.INFO: "·", Severity.WARNING: "▲", Severity.ERROR: "■"}


def single(fleet: Fleet, row: Row, moments: Iterable[Moment], instance: str, version: str) -> bytes:
    """The page."""
    now, name = fleet.clock.now(), row.credential.name
    back = el("nav", el("a", "← All credentials", href="/", id="back"), aria_label="Back")
    said = el("p", row.said, class_=f"lead {row.mark.value}") if row.said else ""
    sentences = explain(row.credential, row.record, now)
    parts = (
        back,
        el("h1", name, " ", badge(row.mark, row.word), class_="name"),
        said,
        el("section", el("h2", "Why it is so"), el("ul", *(el("li", each) for each in sentences), class_="reasons")),
        el("section", el("h2", "At a glance"), _facts(row, now)),
        _timeline(tuple(moments), now),
        _commands(row),
    )
    return page(f"{name}: {row.word}", row.mark, instance, version, now, *parts)


def _facts(row: Row, now: datetime) -> Html:
    credential, record = row.credential, row.record
    labels = ", ".join(f"{label} {value}" for label, value in credential.labels.items())
    return facts(
        ("Target", credential.target),
        ("Consumers read", join(str(credential.place), " ", el("small", f"key {credential.key}"))),
        ("Phase", row.summary.phase if record else "unknown"),
        ("Rotation", str(row.summary.rotation) if record else ""),
        ("Published", record and _both(row.summary.published_at, now, "never")),
        ("Expires", record and _both(row.summary.expires_at, now, "never")),
        ("Next rotation due", record and _both(row.next_at, now, "when asked for")),
        ("Predecessors alive", str(row.predecessors) if record else ""),
        ("Dead at the latest", row.revoke_by and _both(row.revoke_by, now, "")),
        ("Failures in a row", str(row.failures) if row.failures else ""),
        ("Last seen accepted", row.accepted_at and _both(row.accepted_at, now, "")),
        ("Paused by hand", row.summary.operator_pause),
        ("Target left alone", row.paused),
        ("Labels", labels),
    )


def _both(when: datetime | None, now: datetime, otherwise: str) -> Html:
    return join(moment(when, now, otherwise), " ", el("small", exact(when)) if when else "")


def _timeline(moments: tuple[Moment, ...], now: datetime) -> Html:
    if not moments:
        words = "Nothing since this daemon started. What was before is in its log, and in the receipts if they are on."
        return el("section", el("h2", "Lately"), el("p", words, class_="quiet"))
    return el("section", el("h2", "Lately"), el("ol", *(_moment(each, now) for each in moments), class_="timeline"))


def _moment(each: Moment, now: datetime) -> Html:
    sign = el("span", _SIGNS[each.severity], aria_hidden="true", class_="shape")
    grave = el("span", f"{each.severity.value}: ", class_="unseen") if each.severity is not Severity.INFO else ""
    stamp = el("time", relative(each.at, now), datetime=each.at.isoformat(timespec="seconds"), title=exact(each.at))
    facts = el("small", f"rotation {each.rotation} · {each.event} · took {each.seconds:.1f} s")
    return el("li", sign, el("div", grave, el("span", each.said), facts), stamp, class_=each.severity.value)


_VERBS: dict[str, str] = {Phase.HELD: "release", Phase.AWAITING: "supply"}


def _commands(row: Row) -> Html:
    verb = _VERBS.get(row.summary.phase, "resume" if row.paused_at else "now")
    lines = "\n".join(f"rotate {each} {row.credential.name}" for each in ("explain", "history", verb))
    return el("section", el("h2", "In a shell"), el("pre", el("code", lines), tabindex="0"))
