"""The first page: the fleet at a glance, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from rotator.observe.fleet import DependencyStatus, Fleet, Severity, State
from rotator.observe.status.frame import NAMES, SHAPES, badge, page
from rotator.observe.status.html import Html, el, join
from rotator.observe.status.times import NOTHING, exact, moment, span
from rotator.rotation.wording import counted

_ROWS = 1000  # more would be no glance; the worst come first
_HEADS = ("State", "Credential", "Published", "Next", "Expires", "Predecessor")


def overview(fleet: Fleet, instance: str, version: str) -> bytes:
    """The page."""
    states, now = fleet.states(), fleet.clock.now()
    mark, headline = verdict(fleet, states)
    parts = (_headline(mark, headline), _troubles(fleet), _counts(states), _table(states, now), *_rest(fleet, now))
    return page(headline, mark, instance, version, now, *parts)


def verdict(fleet: Fleet, states: Sequence[State]) -> tuple[Severity, str]:
    """The one sentence."""
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
    if state.revoke_by is None:
        return el("span", "1 alive")
    if state.revoke_by < now:
        left = join(el("time", span(now - state.revoke_by), title=exact(state.revoke_by)), " too long")
    else:
        left = join("expected dead ", moment(state.revoke_by, now))
    return el("span", "1 alive", el("small", left), class_="alive")


def address(name: str) -> str:
    """Where a credential's own page is."""
    return f"/credential/{quote(name)}"


def _rest(fleet: Fleet, now: datetime) -> tuple[Html, Html]:
    return _unmanaged(fleet, now), _targets(fleet)


def _unmanaged(fleet: Fleet, now: datetime) -> Html:
    """What nobody rotates or ends any more."""
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
