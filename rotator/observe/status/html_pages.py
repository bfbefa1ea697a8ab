"""The pages for people: the overview of the fleet, worst first, and one page per credential with its recent events."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from rotator.engine.reconciler import Transition
from rotator.observe.health import DependencyStatus, Fleet, Severity, State
from rotator.observe.logs.redaction import Redactor, redact
from rotator.observe.status.html import (
    NAMES,
    NOTHING,
    SHAPES,
    Html,
    badge,
    el,
    exact,
    facts,
    join,
    moment,
    page,
    relative,
    span,
)
from rotator.rotation.credential_state import Headline
from rotator.rotation.messages import EventSeverity
from rotator.rotation.wording import counted

_KEPT = 40  # per credential
_CREDENTIALS = 5000  # credentials whose events are kept
_ROWS = 1000  # rows in the overview; the worst come first
_HEADS = ("State", "Credential", "Published", "Next", "Expires", "Predecessor")
_SIGNS = {EventSeverity.INFO: "·", EventSeverity.WARNING: "▲", EventSeverity.ERROR: "■"}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One transition in words. `seconds`: how long the step took."""

    at: datetime
    event: str
    severity: EventSeverity
    rotation: int
    said: str
    seconds: float


@dataclass(slots=True)
class Timeline:
    """An observer."""

    _moments: dict[str, deque[TimelineEntry]] = field(default_factory=dict)
    _redact: Redactor = redact

    def __call__(self, transition: Transition) -> None:
        """Keep a transition."""
        told = transition.told
        rotation, said = transition.after.rotation, self._redact(told.said)
        moment = TimelineEntry(transition.event.at, told.name, told.severity, rotation, said, transition.seconds)
        # The credential with the latest event is last, so the quietest is forgotten first.
        kept = self._moments.pop(transition.credential.name, None) or deque(maxlen=_KEPT)
        kept.appendleft(moment)
        self._moments[transition.credential.name] = kept
        if len(self._moments) > _CREDENTIALS:
            del self._moments[next(iter(self._moments))]

    def of(self, name: str) -> tuple[TimelineEntry, ...]:
        """The newest first."""
        return tuple(self._moments.get(name, ()))


def overview(fleet: Fleet, instance: str, version: str) -> bytes:
    """The page of one credential."""
    states, now = fleet.states(), fleet.clock.now()
    mark, headline = verdict(fleet, states)
    parts = (_headline(mark, headline), _troubles(fleet), _counts(states), _table(states, now), *_rest(fleet, now))
    return page(headline, mark, instance, version, now, *parts)


def verdict(fleet: Fleet, states: Sequence[State]) -> tuple[Severity, str]:
    """The sentence above the page, and its severity."""
    count = Counter(each.mark for each in states)
    if silent := fleet.alive():
        return Severity.ACT, f"The daemon is stuck: {silent}"
    if missed := fleet.vault():
        return Severity.ACT, "Starting" if missed == "starting" else "Vault is out of reach"
    if count[Severity.ACT]:
        return Severity.ACT, f"{count[Severity.ACT]} of {_many(len(states))} {_need(count[Severity.ACT])}"
    if count[Severity.WATCH]:
        return Severity.WATCH, f"{count[Severity.WATCH]} of {_many(len(states))} to watch, nothing to do yet"
    return Severity.FINE, f"All {_many(len(states))} are fine" if len(states) > 1 else f"{_many(len(states))}, fine"


def _many(count: int) -> str:
    return counted(count, "credential")


def _need(count: int) -> str:
    return "needs a person" if count == 1 else "need a person"


def _headline(mark: Severity, text: str) -> Html:
    shape = el("span", SHAPES[mark], aria_hidden="true", class_="shape")
    return el("h1", shape, " ", el("span", text, id="verdict", role="status"), class_=f"verdict {mark.value}")


def _troubles(fleet: Fleet) -> Html:
    minters = [f"The minter {each.name} is refused: {each.said}" for each in fleet.minters() if each.said]
    missed = fleet.vault()
    ending = fleet.login_ending()
    minters += [f"The login to Vault: {ending}"] if ending else []
    refused = "The settings on disk are refused, the ones before stay in force, the next start will fail"
    minters += [f"{refused}: {fleet.refused}"] if fleet.refused else []
    minters += [f"{fleet.unfit}; the next start will fail"] if fleet.unfit else []
    troubles = [*([f"Vault: {missed}"] if missed and missed != "starting" else []), *minters]
    return el("ul", *(el("li", each) for each in troubles), class_="troubles") if troubles else Html("")


def _counts(states: Sequence[State]) -> Html:
    count = Counter(each.mark for each in states)
    tiles = (
        el("li", el("b", str(count[mark])), " ", badge(mark, NAMES[mark]), class_=mark.value if count[mark] else "nil")
        for mark in Severity
    )
    return el("ul", *tiles, class_="counts", aria_label="How many are how")


def _table(states: Sequence[State], now: datetime) -> Html:
    if not states:
        return el("p", "Nothing to show yet.", class_="quiet")
    heads = el("tr", *(el("th", head, scope="col", role="columnheader") for head in _HEADS), role="row")
    body = (_row(each, now) for each in states[:_ROWS])
    table = el(
        "table",
        el("caption", "Credentials, the worst first", class_="unseen"),
        el("thead", heads, role="rowgroup"),
        el("tbody", *body, role="rowgroup"),
        role="table",
    )
    left = len(states) - _ROWS
    more = el("p", f"… and {left} more; `rotate status` lists all.", class_="quiet") if left > 0 else ""
    return el("section", el("h2", "Credentials"), table, more)


def _row(state: State, now: datetime) -> Html:
    said = el("p", state.said, class_="said") if state.said else ""
    link = el("a", state.name, href=address(state.name), id=f"to-{state.name}")
    cells: tuple[tuple[str, object], ...] = (
        ("State", badge(state.mark, state.word)),
        ("Credential", join(link, el("small", f"on {state.target}"), said)),
        ("Published", join("adopted " if state.adopted else "", moment(state.published_at, now, "never"))),
        ("Next", _next(state, now)),
        ("Expires", moment(state.expires_at, now, "never" if state.published_at else NOTHING)),
        ("Predecessor", _predecessor(state, now)),
    )
    return el("tr", *(_cell(head, value) for head, value in cells), class_=state.mark.value, role="row")


def _cell(head: str, value: object) -> Html:
    return el("td", value, data_head=head, role="cell", class_=head.lower())


def _next(state: State, now: datetime) -> Html:
    if state.next_at is None:
        return el("span", "waits" if state.known else NOTHING, class_="none", title=state.next)
    if state.next_at > now:
        return moment(state.next_at, now)
    return el("span", "now", title=state.next)


def _predecessor(state: State, now: datetime) -> Html:
    if not state.predecessors:
        return el("span", "none alive", class_="none")
    alive = f"{state.predecessors} alive"
    if state.revoke_by is None:
        return el("span", alive)
    if state.revoke_by < now:
        left = join(el("time", span(now - state.revoke_by), title=exact(state.revoke_by)), " too long")
    else:
        left = join("expected dead ", moment(state.revoke_by, now))
    return el("span", alive, el("small", left), class_="alive")


def address(name: str) -> str:
    """The address of a credential's page."""
    return f"/credential/{quote(name)}"


def _rest(fleet: Fleet, now: datetime) -> tuple[Html, Html]:
    return _unmanaged(fleet, now), _targets(fleet)


def _unmanaged(fleet: Fleet, now: datetime) -> Html:
    """Values of credentials that left the settings, which are not rotated or revoked any more."""
    left = fleet.unmanaged()
    items = [
        el("li", el("b", each.credential), f" on {each.target}: {each.token} at {each.path}, expires ",
           moment(each.expires_at, now, "never"), "; ", each.end if each.read else el("code", each.end))
        for each in left[:_ROWS]
    ]  # fmt: skip
    said = el("p", "These credentials left the settings; their tokens live on, and nobody rotates or ends them.")
    return el("section", el("h2", "Unmanaged"), said, el("ul", *items, class_="targets")) if left else Html("")


def _targets(fleet: Fleet) -> Html:
    standings = fleet.targets()
    items = (el("li", _target(each)) for each in standings)
    return el("section", el("h2", "Targets"), el("ul", *items, class_="targets")) if standings else Html("")


def _target(each: DependencyStatus) -> Html:
    if not each.said:
        return join(badge(Severity.FINE, "answers"), " ", el("b", each.name))
    again = f"called again in {span(timedelta(seconds=each.left))}" if each.left else "being tried"
    return join(badge(Severity.WATCH, "paused"), " ", el("b", each.name), " ", el("span", f"{each.said}; {again}"))


def single(fleet: Fleet, state: State, moments: Iterable[TimelineEntry], instance: str, version: str) -> bytes:
    """The page of one credential."""
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
        ("Waits for", state.waits_for and join(state.waits_for, " ", _both(state.waits_until, now, ""))),
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


_VERBS: dict[str, str] = {
    Headline.HELD: "release",
    Headline.NEEDS_YOU: "supply",
    Headline.PAUSED_BY_HAND: "resume",
    Headline.STOPPED: "resume",
}


def _commands(state: State) -> Html:
    verb = _VERBS.get(state.word, "resume" if state.paused_at else "now")
    lines = "\n".join(f"rotate {each} {state.name}" for each in ("explain", "history", verb))
    return el("section", el("h2", "In a shell"), el("pre", el("code", lines), tabindex="0"))
