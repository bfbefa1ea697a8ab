"""Owns the first page: the fleet at a glance, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from rotator.fleet import Fleet, Mark, Row, Standing
from rotator.status.frame import NAMES, SHAPES, badge, page
from rotator.status.html import Html, el, join
from rotator.status.spoken import NOTHING, exact, moment, span

_ROWS = 1000  # more would be no glance; the worst come first
_HEADS = ("State", "Credential", "Published", "Next", "Expires", "Predecessor")


def overview(fleet: Fleet, instance: str, version: str) -> bytes:
    """The page."""
    rows, now = fleet.rows(), fleet.clock.now()
    mark, headline = verdict(fleet, rows)
    parts = (_headline(mark, headline), _troubles(fleet), _counts(rows), _table(rows, now), _targets(fleet))
    return page(headline, mark, instance, version, now, *parts)


def verdict(fleet: Fleet, rows: Sequence[Row]) -> tuple[Mark, str]:
    """The one sentence."""
    count = Counter(row.mark for row in rows)
    if silent := fleet.alive():
        return Mark.ACT, f"The daemon is stuck: {silent}"
    if missed := fleet.vault():
        return Mark.ACT, "Starting" if missed == "starting" else "Vault is out of reach"
    if count[Mark.ACT]:
        return Mark.ACT, f"{count[Mark.ACT]} of {_many(len(rows))} {_need(count[Mark.ACT])}"
    if count[Mark.WATCH]:
        return Mark.WATCH, f"{count[Mark.WATCH]} of {_many(len(rows))} to watch, nothing to do yet"
    return Mark.FINE, f"All {_many(len(rows))} are fine" if len(rows) > 1 else f"{_many(len(rows))}, fine"


def _many(count: int) -> str:
    return "1 credential" if count == 1 else f"{count} credentials"


def _need(count: int) -> str:
    return "needs a person" if count == 1 else "need a person"


def _headline(mark: Mark, text: str) -> Html:
    shape = el("span", SHAPES[mark], aria_hidden="true", class_="shape")
    return el("h1", shape, " ", el("span", text, id="verdict", role="status"), class_=f"verdict {mark.value}")


def _troubles(fleet: Fleet) -> Html:
    minters = [f"The minter {each.name} is refused: {each.said}" for each in fleet.minters() if each.said]
    missed = fleet.vault()
    troubles = [*([f"Vault: {missed}"] if missed and missed != "starting" else []), *minters]
    return el("ul", *(el("li", each) for each in troubles), class_="troubles") if troubles else Html("")


def _counts(rows: Sequence[Row]) -> Html:
    count = Counter(row.mark for row in rows)
    tiles = (
        el("li", el("b", str(count[mark])), " ", badge(mark, NAMES[mark]), class_=mark.value if count[mark] else "nil")
        for mark in Mark
    )
    return el("ul", *tiles, class_="counts", aria_label="How many are how")


def _table(rows: Sequence[Row], now: datetime) -> Html:
    if not rows:
        return el("p", "Nothing to show yet.", class_="quiet")
    heads = el("tr", *(el("th", head, scope="col", role="columnheader") for head in _HEADS), role="row")
    body = (_row(row, now) for row in rows[:_ROWS])
    table = el(
        "table",
        el("caption", "Credentials, the worst first", class_="unseen"),
        el("thead", heads, role="rowgroup"),
        el("tbody", *body, role="rowgroup"),
        role="table",
    )
    left = len(rows) - _ROWS
    more = el("p", f"… and {left} more; `rotate status` lists all.", class_="quiet") if left > 0 else ""
    return el("section", el("h2", "Credentials"), table, more)


def _row(row: Row, now: datetime) -> Html:
    said = el("p", row.said, class_="said") if row.said else ""
    name = row.credential.name
    link = el("a", name, href=address(name), id=f"to-{name}")
    cells: tuple[tuple[str, object], ...] = (
        ("State", badge(row.mark, row.word)),
        ("Credential", join(link, el("small", f"on {row.credential.target}"), said)),
        ("Published", moment(row.summary.published_at, now, "never")),
        ("Next", _next(row, now)),
        ("Expires", moment(row.summary.expires_at, now, "never" if row.summary.published_at else NOTHING)),
        ("Predecessor", _predecessor(row, now)),
    )
    return el("tr", *(_cell(head, value) for head, value in cells), class_=row.mark.value, role="row")


def _cell(head: str, value: object) -> Html:
    return el("td", value, data_head=head, role="cell", class_=head.lower())


def _next(row: Row, now: datetime) -> Html:
    if row.record is None or row.summary.phase == "held":
        return el("span", "waits" if row.record else NOTHING, class_="none")
    when = row.summary.next_at
    if when and when > now:
        return moment(when, now)
    return el("span", "now", title=row.summary.next)


def _predecessor(row: Row, now: datetime) -> Html:
    if not row.predecessors:
        return el("span", "none alive", class_="none")
    if row.revoke_by is None:
        return el("span", "1 alive")
    if row.revoke_by < now:
        left = join(el("time", span(now - row.revoke_by), title=exact(row.revoke_by)), " too long")
    else:
        left = join("dead ", moment(row.revoke_by, now), " at the latest")
    return el("span", "1 alive", el("small", left), class_="alive")


def address(name: str) -> str:
    """Where a credential's own page is."""
    return f"/credential/{quote(name)}"


def _targets(fleet: Fleet) -> Html:
    standings = fleet.targets()
    items = (el("li", _target(each)) for each in standings)
    return el("section", el("h2", "Targets"), el("ul", *items, class_="targets")) if standings else Html("")


def _target(each: Standing) -> Html:
    if not each.said:
        return join(badge(Mark.FINE, "answers"), " ", el("b", each.name))
    again = f"called again in {span(timedelta(seconds=each.left))}" if each.left else "being tried"
    return join(badge(Mark.WATCH, "paused"), " ", el("b", each.name), " ", el("span", f"{each.said}; {again}"))
