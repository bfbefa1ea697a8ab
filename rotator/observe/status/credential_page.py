"""The page of one credential: what it is, why it is so, what comes next, what happened lately."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rotator.observe.fleet import Fleet, State
from rotator.observe.status.frame import badge, facts, page
from rotator.observe.status.html import Html, el, join
from rotator.observe.status.timeline import TimelineEntry
from rotator.observe.status.times import NOTHING, exact, moment, relative
from rotator.rotation.messages import EventSeverity
from rotator.rotation.state import Headline

_SIGNS = {EventSeverity.INFO: "·", EventSeverity.WARNING: "▲", EventSeverity.ERROR: "■"}


def single(fleet: Fleet, state: State, moments: Iterable[TimelineEntry], instance: str, version: str) -> bytes:
    """The page."""
    now, name = fleet.clock.now(), state.name
    back = el("nav", el("a", "← All credentials", href="/", id="back"), aria_label="Back")
    said = el("p", state.said, class_=f"lead {state.mark.value}") if state.said else ""
    sentences = fleet.explained(name)
    parts = (
        back,
        el("h1", name, " ", badge(state.mark, state.word), class_="name"),
        said,
        el("section", el("h2", "Why it is so"), el("ul", *(el("li", each) for each in sentences), class_="reasons")),
        el("section", el("h2", "At a glance"), _facts(state, now)),
        _timeline(tuple(moments), now),
        _commands(state),
    )
    return page(f"{name}: {state.word}", state.mark, instance, version, now, *parts)


def _facts(state: State, now: datetime) -> Html:
    known, labels = state.known, ", ".join(f"{label} {value}" for label, value in state.labels.items())
    return facts(
        ("Target", state.target),
        ("Consumers read", join(state.path, " ", el("small", f"key {state.key}"))),
        ("Phase", state.phase),
        ("Rotation", str(state.rotation) if known else ""),
        ("Adopted" if state.adopted else "Published", known and _both(state.published_at, now, "never")),
        ("Expires", known and _both(state.expires_at, now, "never" if state.published_at else NOTHING)),
        ("Next rotation due", known and _both(state.due_at, now, "when asked for" if state.published_at else "now")),
        ("Values alive", str(state.live) if known else ""),
        ("Of these, published before", str(state.predecessors) if known else ""),
        ("Expected dead", state.revoke_by and _both(state.revoke_by, now, "")),
        ("Failures in a row", str(state.failures) if state.failures else ""),
        ("Last seen accepted", state.accepted_at and _both(state.accepted_at, now, "")),
        ("Paused by hand", state.operator_pause),
        ("Target left alone", state.left_alone),
        ("What to do", state.do),
        ("Labels", labels),
    )


def _both(when: datetime | None, now: datetime, otherwise: str) -> Html:
    return join(moment(when, now, otherwise), " ", el("small", exact(when)) if when else "")


def _timeline(moments: tuple[TimelineEntry, ...], now: datetime) -> Html:
    if not moments:
        words = "Nothing since this daemon started. What was before is in its log, and in the receipts if they are on."
        return el("section", el("h2", "Lately"), el("p", words, class_="quiet"))
    return el("section", el("h2", "Lately"), el("ol", *(_moment(each, now) for each in moments), class_="timeline"))


def _moment(each: TimelineEntry, now: datetime) -> Html:
    sign = el("span", _SIGNS[each.severity], aria_hidden="true", class_="shape")
    grave = el("span", f"{each.severity.value}: ", class_="unseen") if each.severity is not EventSeverity.INFO else ""
    stamp = el("time", relative(each.at, now), datetime=each.at.isoformat(timespec="seconds"), title=exact(each.at))
    facts = el("small", f"rotation {each.rotation} · {each.event} · took {each.seconds:.1f} s")
    return el("li", sign, el("div", grave, el("span", each.said), facts), stamp, class_=each.severity.value)


_VERBS: dict[str, str] = {Headline.HELD: "release", Headline.NEEDS_YOU: "supply", Headline.PAUSED_BY_HAND: "resume"}


def _commands(state: State) -> Html:
    verb = _VERBS.get(state.word, "resume" if state.paused_at else "now")
    lines = "\n".join(f"rotate {each} {state.name}" for each in ("explain", "history", verb))
    return el("section", el("h2", "In a shell"), el("pre", el("code", lines), tabindex="0"))
