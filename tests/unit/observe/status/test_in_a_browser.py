"""The pages in a real browser, headless: they fit a telephone, renew themselves, and break no policy of theirs.

With ROTATOR_SCREENSHOTS=FOLDER pictures of them are left there, for a person to look at.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import anyio
import pytest

from rotator.observe.health import Fleet
from rotator.observe.status import Patience, StatusResponse, StatusRoutes, Timeline
from rotator.rotation import events as ev
from tests.kit.fleet import FakeView, settled, transition, troubled
from tests.unit.observe.status.loopback import serving, site
from tests.unit.rotation.builders import NOW

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.system,
    pytest.mark.skipif(not BROWSER, reason="no browser: apt-get install chromium"),
]
ONE = "/credential/blog/comments-moderation-service"
PATIENT = Patience(5, 5, 5)
# Served behind our own script: the page's policy allows scripts of its own origin, and nothing else to measure with.
# A headless window is at least 500 wide, so the body is made as narrow as a telephone; the layout for both is one.
MEASURE = b"""
const telephone = 390, unseen = "pre *, .unseen, .skip, thead *";
document.body.style.width = `${telephone}px`;
const left = document.body.getBoundingClientRect().left;
const over = [...document.body.querySelectorAll("*")].filter((each) => !each.matches(unseen))
  .filter((each) => each.getBoundingClientRect().right - left > telephone);
document.body.dataset.over = over.map((each) => each.tagName).join(" ") || "nothing";
document.body.dataset.columns = getComputedStyle(document.querySelector("tr, .facts div")).display;
"""


def stage() -> tuple[StatusRoutes, Fleet, FakeView]:
    """Every trouble there is, and something that happened lately."""
    looked, view, _ = troubled()
    timeline = Timeline()
    blog = view.credentials["blog/comments-moderation-service"]
    for event in (ev.Faulted(NOW, "mint", "HTTP 503 from the target"), ev.Disproved(NOW, "HTTP 401")):
        timeline(transition(blog, settled(), event))
    return site(looked, timeline), looked, view


async def browse(folder: Path, url: str, *arguments: str) -> tuple[str, str]:
    """The document after its scripts ran, and what the browser complained about."""
    always = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")
    command = [str(BROWSER), *always, f"--user-data-dir={folder}", *arguments, url]
    with anyio.fail_after(60):
        ended = await anyio.run_process(command, check=False)
    complaints = [line for line in ended.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line]
    return ended.stdout.decode("utf-8", "replace"), "\n".join(complaints)


@pytest.mark.parametrize("path", ["/", ONE], ids=["all", "one"])
async def test_a_page_fits_a_telephone_without_scrolling_aside_and_breaks_no_policy(path: str, tmp_path: Path) -> None:
    shown, _, _ = stage()

    def measured(asked: str) -> StatusResponse:
        found = shown.answer(asked)
        return StatusResponse(found.status, found.kind, found.body + MEASURE) if asked == "/live.js" else found

    async with serving(measured, PATIENT) as port:
        url = f"http://127.0.0.1:{port}{path}"
        text, complaints = await browse(tmp_path, url, "--window-size=390,1200", "--dump-dom")
    assert re.search(r'data-over="([^"]*)"', text)[1] == "nothing"
    assert re.search(r'data-columns="([^"]*)"', text)[1] == "grid", "the look of a telephone, not that of a desk"
    assert complaints == ""


async def test_a_page_renews_itself_and_says_so(tmp_path: Path) -> None:
    shown, _, view = stage()
    asked: list[str] = []

    def changing(path: str) -> StatusResponse:
        asked.append(path)
        if asked.count("/") == 2:  # the second look finds everything mended
            for name in view.credentials:
                view.put(view.credentials[name], settled())
            view.health.targets.clear()
            view.health.minters.clear()
        return shown.answer(path)

    async with serving(changing, PATIENT) as port:
        url = f"http://127.0.0.1:{port}/"
        text, complaints = await browse(tmp_path, url, "--virtual-time-budget=7000", "--dump-dom")
    assert "All 12 credentials are fine" in text
    assert re.search(r'id="live">live<', text)
    assert complaints == ""


async def test_a_page_is_whole_when_its_script_does_not_come(tmp_path: Path) -> None:
    shown, _, _ = stage()
    async with serving(lambda path: shown.answer("/nowhere" if path == "/live.js" else path), PATIENT) as port:
        text, _ = await browse(tmp_path, f"http://127.0.0.1:{port}/", "--dump-dom")
    assert "4 of 12 credentials need a person" in text
    assert "renewed every 15 seconds" in text


@pytest.mark.skipif("ROTATOR_SCREENSHOTS" not in os.environ, reason="for people: set ROTATOR_SCREENSHOTS=FOLDER")
@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("size", ["1280,1500", "390,3000"])
@pytest.mark.parametrize("path", ["/", ONE, "/credential/payments"])
async def test_pictures_are_taken(path: str, size: str, look: str, tmp_path: Path) -> None:
    folder = Path(os.environ["ROTATOR_SCREENSHOTS"])
    picture = folder / f"{path.rpartition('/')[2] or 'all'}-{size.partition(',')[0]}-{look}.png"
    shown, _, _ = stage()
    scheme = f"--blink-settings=preferredColorScheme={int(look == 'light')}"
    async with serving(shown.answer, PATIENT) as port:
        url = f"http://127.0.0.1:{port}{path}"
        await browse(tmp_path, url, f"--window-size={size}", scheme, f"--screenshot={picture}")
    assert picture.stat().st_size > 10_000
