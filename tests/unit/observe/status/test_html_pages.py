"""What is found where: probes, document, pages. Whatever others wrote is escaped, and nothing asked for is repeated."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from importlib import resources

import pytest

from rotator.observe.health import Fleet
from rotator.observe.status import StatusRoutes, Timeline
from rotator.observe.status.html import Html, el, relative, span
from rotator.observe.status.html_pages import _KEPT
from rotator.rotation import events as ev
from rotator.rotation.record import Failure, HoldReason, Phase
from rotator.rotation.secret import Secret
from tests.kit.fleet import FakeNeighbour, fleet, named, settled, transition, troubled
from tests.kit.records import OnHold
from tests.unit.observe.status.loopback import get, serving, site
from tests.unit.rotation.builders import NOW, published, record

BLOG = named("search/indexer")
PAGES = ["/", "/credential/payments", "/credential/search/indexer", "/credential/search%2Findexer", "/nowhere"]
VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """Every element in order; raises AssertionError when one is not closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self._open.pop() == tag


def page(looked: Fleet | StatusRoutes, path: str = "/") -> str:
    found = (looked if isinstance(looked, StatusRoutes) else site(looked)).answer(path)
    assert found.kind.startswith("text/html")
    return found.body.decode()


def probe(looked: Fleet, path: str) -> tuple[int, str]:
    found = site(looked).answer(path)
    return found.status, found.body.decode()


def test_the_probes_say_yes_or_why_not() -> None:
    looked, view, clock = fleet((BLOG, settled()))
    assert (probe(looked, "/livez"), probe(looked, "/readyz")) == ((200, "alive\n"), (200, "ready\n"))
    hold = OnHold(HoldReason.DELETED, "deleted by somebody", Phase.SETTLED, NOW)
    view.put(BLOG, record(Phase.HELD, held=hold))
    clock.move(10_000)
    assert probe(looked, "/livez") == (503, "no visit ended for 10000 s\n")
    assert probe(looked, "/readyz") == (200, "ready\n")
    held = "search/indexer: held: deleted by somebody (deleted_by_operator)"
    assert probe(looked, "/healthz") == (503, f"not alive: no visit ended for 10000 s\n{held}\n")


def test_a_long_list_of_reasons_is_cut() -> None:
    held = record(Phase.HELD, held=OnHold(HoldReason.DELETED, "deleted by somebody", Phase.SETTLED, NOW))
    looked, _, _ = fleet(*((named(f"c{number:02}"), held) for number in range(25)))
    assert probe(looked, "/healthz")[1].splitlines()[-1] == "and 5 more"


def test_the_document_has_what_the_page_has() -> None:
    looked, _, _ = troubled()
    found = site(looked).answer("/status.json")
    said = json.loads(found.body)
    assert (found.kind, said["ready"], said["alive"], said["instance"]) == ("application/json", False, True, "host-a")
    assert {each["name"] for each in said["credentials"]} == set(looked.view.credentials)
    [grace] = [each for each in said["credentials"] if each["name"] == "blog/comments-moderation-service"]
    assert grace["revoke_by"] == "2026-03-01T12:40:00+00:00"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound_and_takes_nothing_from_elsewhere(path: str) -> None:
    outline = Outline(page(troubled()[0], path))
    for tag, attributes in outline.elements:
        assert tag not in ("style", "iframe", "form", "object", "img", "button", "input")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src"):
            assert (attributes.get(name) or "/").startswith(("/", "#"))
    assert [tag for tag, _ in outline.elements].count("h1") == 1
    assert dict(outline.elements)["html"] == {"lang": "en"}


def test_what_others_wrote_is_escaped() -> None:
    hostile = '<img src=x onerror="alert(1)">&'
    hold = OnHold(HoldReason.FOREIGN_WRITE, hostile, Phase.VERIFIED, NOW)
    timeline = Timeline()
    timeline(transition(BLOG, settled(), ev.Faulted(NOW, "mint", hostile)))
    looked, view, _ = fleet((BLOG, record(Phase.HELD, held=hold, failure=Failure("mint", hostile, NOW))))
    view.health.vault = FakeNeighbour(1, hostile)
    shown = site(looked, timeline)
    for path in ("/", "/credential/search/indexer"):
        assert "<img" not in page(shown, path)
        assert "&lt;img src=x" in page(shown, path)


@pytest.mark.parametrize(
    "path", ["/<script>", "/credential/<script>", "/?<script>", "/credential/%3Cscript%3E", "/%00"]
)
def test_nothing_asked_for_is_repeated(path: str) -> None:
    found = site(fleet((BLOG, settled()))[0]).answer(path)
    assert found.status == (200 if path.startswith("/?") else 404)
    assert b"<script>" not in found.body
    assert b"cript%3E" not in found.body


async def _headers(path: str) -> dict[str, str]:
    async with serving(site(fleet((BLOG, settled()))[0]).answer) as port:
        return (await get(port, path)).headers


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/nowhere", "/livez", "/metrics", "/status.json", "/page.css", "/live.js"])
async def test_every_answer_carries_a_strict_policy(path: str) -> None:
    headers = await _headers(path)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


@pytest.mark.parametrize(
    ("found", "headline"),
    [
        ([("a", settled())], "1 credential, fine"),
        ([("a", settled()), ("b", settled())], "All 2 credentials are fine"),
        ([("a", settled()), ("b", None)], "1 of 2 credentials to watch, nothing to do yet"),
        ([("a", settled(refused_at=NOW)), ("b", None)], "1 of 2 credentials needs a person"),
        ([("a", settled(refused_at=NOW)), ("b", settled(refused_at=NOW))], "2 of 2 credentials need a person"),
    ],
)
def test_the_headline_says_it_in_one_sentence(found: list, headline: str) -> None:
    text = page(fleet(*((named(name), each) for name, each in found))[0])
    assert re.search(r'id="verdict" role="status">([^<]*)<', text)[1] == headline


def test_without_vault_the_headline_says_so() -> None:
    looked, view, _ = fleet((BLOG, settled()))
    view.health.vault = FakeNeighbour(1, "HTTP 503: sealed")
    assert "Vault is out of reach" in page(looked)
    looked.hide("HTTP 503: sealed")
    assert "HTTP 503: sealed" in page(looked)


def test_every_state_is_told_by_a_word_and_a_shape_not_by_colour_alone() -> None:
    text = page(troubled()[0])
    for row in re.findall(r"<tr class.*?</tr>", text):
        assert re.search(r'class="badge \w+"><span aria-hidden="true" class="shape">[■▲●]</span> [a-z]', row)


def test_a_predecessor_is_shown_with_its_last_moment() -> None:
    text = page(troubled()[0])
    assert re.search(r"1 alive<small>expected dead <time[^>]*>in 40 min</time>", text)
    assert re.search(r"1 alive<small><time[^>]*>1 d 23 h</time> too long", text)


def test_a_thousand_and_one_credentials_are_no_glance() -> None:
    text = page(fleet(*((named(f"c{number:04}"), settled()) for number in range(1001)))[0])
    assert text.count("<tr class") == 1000
    assert "and 1 more" in text


def test_without_scripts_a_page_renews_itself() -> None:
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in page(troubled()[0])


def test_the_timeline_is_short_the_newest_first_and_shows_no_secret() -> None:
    value = Secret("a-value-that-nobody-may-see-9876543210")
    timeline = Timeline()
    for number in range(_KEPT + 5):
        timeline(transition(BLOG, settled(), ev.Faulted(NOW, "mint", f"number {number} {value.reveal()}")))
    moments = timeline.of("search/indexer")
    assert (len(moments), moments[0].said) == (_KEPT, f"mint: number {_KEPT + 4} [redacted]")
    text = page(site(fleet((BLOG, settled()))[0], timeline), "/credential/search/indexer")
    assert "nobody-may-see" not in text
    assert text.count('<li class="warning">') == _KEPT


def test_markup_is_made_of_markup_only() -> None:
    assert el("p", "<b>", Html("<i>"), None, False, 0, class_='"') == '<p class="&quot;">&lt;b&gt;<i>0</p>'


@pytest.mark.parametrize(
    ("seconds", "spoken"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (95, "1 min 35 s"),
        (7300, "2 h 1 min"),
        (40_000, "11 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_times_are_spoken_in_two_units_at_most(seconds: int, spoken: str) -> None:
    assert span(timedelta(seconds=seconds)) == spoken
    assert relative(NOW + timedelta(seconds=seconds), NOW) == (f"in {spoken}" if seconds else "now")


def test_what_left_the_settings_and_lives_on_is_on_the_page_and_in_the_document() -> None:
    looked, view, _ = fleet((BLOG, settled()))
    assert "Unmanaged" not in page(looked)
    view.left = {"gone": record(Phase.SETTLED, current=published(7))}
    assert "gone" in page(looked)
    assert "rotate strays --reap --unclaimed t7.1" in page(looked)
    [row] = json.loads(site(looked).answer("/status.json").body)["unmanaged"]
    assert (row["credential"], row["token"], row["do"]) == ("gone", "t7.1", "rotate strays --reap --unclaimed t7.1")


def test_no_style_changes_the_letters_of_a_path_or_a_name() -> None:
    assert b"text-transform" not in (resources.files("rotator.observe.status") / "page.css").read_bytes()
