"""What every page has: head, headline, foot, and the badge that says how a credential is doing."""

from __future__ import annotations

from datetime import datetime

from rotator.observe.fleet import Severity
from rotator.observe.status.html import Html, el, join
from rotator.observe.status.times import exact

SHAPES = {Severity.ACT: "■", Severity.WATCH: "▲", Severity.FINE: "●"}
NAMES = {Severity.ACT: "need a person", Severity.WATCH: "to watch", Severity.FINE: "fine"}
_REFRESH = "15"  # seconds, for browsers without scripts


def badge(mark: Severity, word: str) -> Html:
    """The state of one credential: a shape, a colour and a word, each enough by itself."""
    shape = el("span", SHAPES[mark], aria_hidden="true", class_="shape")
    return el("span", shape, " ", word, class_=f"badge {mark.value}")


def page(title: str, mark: Severity, instance: str, version: str, now: datetime, *main: object) -> bytes:
    """A whole page. The tab's title begins with the shape, so that it can be read from a row of tabs."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="robots", content="noindex"),
        el("noscript", el("meta", http_equiv="refresh", content=_REFRESH)),
        el("title", f"{SHAPES[mark]} {title}"),
        el("link", rel="icon", href="/icon.svg", type="image/svg+xml"),
        el("link", rel="stylesheet", href="/page.css"),
        el("script", src="/live.js", defer=True),
    )
    top = el("header", el("a", "rotator", href="/", class_="home"), el("span", instance, class_="instance"))
    foot = el(
        "footer",
        el("span", "As of ", el("time", exact(now), datetime=now.isoformat(timespec="seconds")), id="as-of"),
        el("span", "renewed every 15 seconds", id="live"),
        el("span", f"rotator {version}"),
    )
    skip = el("a", "Skip to the content", href="#main", class_="skip")
    body = el("body", skip, top, el("main", *main, id="main", tabindex="-1"), foot)
    return join(Html("<!doctype html>"), el("html", head, body, lang="en")).encode()


def facts(*pairs: tuple[str, object]) -> Html:
    """Names and values; empty values are left out."""
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in pairs if value), class_="facts")
