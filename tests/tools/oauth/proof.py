"""The sentences that a whole run proves, the chapters that stand for each, and the verdict on each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class Figures:
    """What the chapters counted; several of them at once."""

    credentials: int = 0  # that were rotated under consumers
    rotations: int = 0
    uses: int = 0
    inside: int = 0  # refused, in cut-overs that were told before
    outside: int = 0  # refused otherwise
    cut_over: float = 0.0  # seconds, the longest
    ended: int = 0  # predecessors that were shown to the server, and asked about
    dead: int = 0  # of these
    leaks: dict[str, float] = field(default_factory=dict)  # seconds until the value was dead
    kills: int = 0
    asked: int = 0  # of these, a person
    kill_uses: int = 0
    kill_inside: int = 0  # refused where a refresh ends what is published, or a person makes the client anew
    kill_outside: int = 0
    kill_gap: float = 0.0  # seconds, the longest
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def rotated(self, rotations: int, uses: int, refused: int, gap: float, *, told: bool) -> None:
        """One credential under its consumer. `told`: of its cut-overs, before."""
        with self.lock:
            self.credentials += 1
            self.rotations += rotations
            self.uses += uses
            self.inside += refused if told else 0
            self.outside += 0 if told else refused
            self.cut_over = max(self.cut_over, gap)

    def shown(self, old: int, dead: int) -> None:
        """So many predecessors, and so many of them dead."""
        with self.lock:
            self.ended += old
            self.dead += dead

    def killed(self, kills: int, asked: int, uses: int, refused: int, outside: int, gap: float) -> None:
        """One lane."""
        with self.lock:
            self.kills += kills
            self.asked += asked
            self.kill_uses += uses
            self.kill_inside += refused - outside
            self.kill_outside += outside
            self.kill_gap = max(self.kill_gap, gap)


@dataclass(frozen=True)
class Sentence:
    """`chapters`: the beginning of their titles; `figures`: what they counted; `holds`: whether that is enough."""

    says: str
    chapters: str
    figures: Callable[[Figures], str] = lambda _: ""
    holds: Callable[[Figures], bool] = lambda _: True


def _leaks(found: Figures) -> str:
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.leaks.items())


SENTENCES = (
    Sentence("every grant and method that the server offers", "offered"),
    Sentence(
        "ten rotations of each credential",
        "rotated: ",
        lambda found: f"{found.rotations} of {found.credentials} credentials",
        lambda found: found.rotations >= 10 * found.credentials > 0,
    ),
    Sentence(
        "no use refused outside of cut-overs that were told before",
        "rotated: ",
        lambda found: (
            f"{found.uses} uses, {found.outside} refused outside, {found.inside} inside, the longest cut-over"
            f" {found.cut_over:.2f} s"
        ),
        lambda found: found.uses > 0 == found.outside,
    ),
    Sentence(
        "every revoked predecessor is proven dead",
        "rotated: ",
        lambda found: f"{found.dead} of {found.ended}",
        lambda found: found.dead == found.ended > 0,
    ),
    Sentence("what leaked is dead, and how soon", "leaked: ", _leaks),
    Sentence(
        "kill -9 at every call once",
        "killed: ",
        lambda found: (
            f"{found.kills} kills, {found.kills - found.asked} went on alone, {found.asked} asked a person;"
            f" {found.kill_uses} uses, {found.kill_outside} refused, {found.kill_inside} in told cut-overs, the longest"
            f" {found.kill_gap:.2f} s"
        ),
        lambda found: found.kills > 0 == found.kill_outside,
    ),
    Sentence("a lost answer of a revocation", "lost: the answer of a revocation"),
    Sentence("a lost answer of a registration PUT", "lost: the answer of a registration PUT"),
    Sentence("a lost answer of a refresh", "lost: the answer of a refresh"),
    Sentence("a discovery document that lies is told, never believed", "a lie in discovery: "),
    Sentence("200 to every revocation is told, never believed", "every revocation answered"),
    Sentence("a refused revocation is told, and made up for by the next emergency", "every revocation refused"),
    Sentence("one that ends the whole family is told, and not asked again", "one revoked, all ended"),
)


def judged(told: Mapping[str, tuple[bool, str]], found: Figures, left: Mapping[str, str]) -> tuple[bool, list[str]]:
    """Whether all hold, and a line for each. `told`: by title, whether the chapter held, and its words; `left`: by the
    beginning of a chapter's title, why there is none on this server."""
    sound, lines = True, []
    for each in SENTENCES:
        chapters = {title: words for title, words in told.items() if title.startswith(each.chapters)}
        broken = [title for title, (held, _) in chapters.items() if not held]
        if not chapters and each.chapters in left:
            lines.append(f"  -       {each.says}: {left[each.chapters]}")
            continue
        mark = "BROKE" if broken or not each.holds(found) else "held" if chapters else "UNTRIED"
        sound &= mark == "held"
        figures = each.figures(found) or (next(iter(chapters.values()))[1] if len(chapters) == 1 else "")
        said = figures or f"{len(chapters) - len(broken)} of {len(chapters)}"
        besides = f" (not: {', '.join(broken)})" if broken else ""
        lines.append(f"  {mark:<8}{each.says}: {said}{besides}")
    return sound, lines
