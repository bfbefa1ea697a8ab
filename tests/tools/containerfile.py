"""Reading the Containerfile: its instructions, continued lines joined, comments left out."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).parents[2] / "config" / "container" / "Containerfile"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, in order."""
    text = "\n".join(line for line in FILE.read_text().splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in text.splitlines()) if word]


def image() -> dict[str, str]:
    """What the final stage sets, by instruction; the last one counts."""
    listed = instructions()
    last = max(number for number, (word, _) in enumerate(listed) if word == "FROM")
    return dict(listed[last:])
