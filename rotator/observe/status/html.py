"""HTML for the pages: elements with escaped text, times in words, and the frame of every page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from html import escape

from rotator.observe.health import Severity
from rotator.rotation.wording import visible

NOTHING = "–"  # noqa: RUF001 (a dash is meant)
_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
SHAPES = {Severity.ACT: "■", Severity.WATCH: "▲", Severity.FINE: "●"}
NAMES = {Severity.ACT: "need a person", Severity.WATCH: "to watch", Severity.FINE: "fine"}
_REFRESH = "15"  # seconds, for browsers without scripts


class Html(str):
    """Text that is already markup."""

    __slots__ = ()


def el(name: str, /, *inside: object, **attributes: str | bool | None) -> Html:
    """An element. None, False and empty parts are left out; `class_` is written `class`, `_` is written `-`."""
    said = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in ("link", "meta", "br"):
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{_text(inside)}</{name}>")


def join(*parts: object) -> Html:
    """Parts one after the other."""
    return Html(_text(parts))


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(visible(value))}"'


def _text(parts: Iterable[object]) -> str:
    return "".join(
        part if isinstance(part, Html) else escape(visible(str(part)))
        for part in parts
        if part is not None and part is not False
    )


def span(length: timedelta) -> str:
    """A duration in at most two units; from ten of the larger unit on, in one."""
    seconds = int(length.total_seconds())
    for size, unit, smaller, small in _UNITS:
        if seconds >= size:
            count, rest = seconds // size, seconds % size // smaller
            return f"{count} {unit} {rest} {small}" if rest and count < 10 else f"{count} {unit}"
    return f"{seconds} s"


def relative(when: datetime, now: datetime) -> str:
    """How long ago the time was, or how soon it comes."""
    if when > now:
        return f"in {span(when - now)}"
    return f"{span(now - when)} ago" if now - when >= timedelta(seconds=1) else "now"


def exact(when: datetime) -> str:
    """The time itself, UTC."""
    return f"{when.astimezone(UTC):%F %T} UTC"


def moment(when: datetime | None, now: datetime, otherwise: str = NOTHING) -> Html:
    """An element with the relative time, and the exact time as tooltip."""
    if when is None:
        return el("span", otherwise, class_="none")
    stamp = when.astimezone(UTC).isoformat(timespec="seconds")
    return el("time", relative(when, now), datetime=stamp, title=exact(when))


def badge(mark: Severity, word: str) -> Html:
    """The state of one credential: a shape, a colour and a word, each enough by itself."""
    shape = el("span", SHAPES[mark], aria_hidden="true", class_="shape")
    return el("span", shape, " ", word, class_=f"badge {mark.value}")


def page(title: str, mark: Severity, instance: str, version: str, now: datetime, *main: object) -> bytes:
    """A whole page. The title begins with the shape, so that it shows in a row of tabs."""
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
    """A list of names and values; empty values are left out."""
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in pairs if value), class_="facts")
