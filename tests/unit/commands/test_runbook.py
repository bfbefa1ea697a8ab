"""The runbook is whole: a section per alert, and every command in it is one that there is, with those options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rotator.cli import rotate
from rotator.rotation.record import HoldReason

HOUSE = Path(__file__).parents[3]
RUNBOOK = (HOUSE / "config" / "runbook.md").read_text()
RULES = (HOUSE / "config" / "prometheus" / "rules.yml").read_text()
ALERTS = re.findall(r"^      - alert: (\w+)$", RULES, re.MULTILINE)
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
PAPERS = [
    *("README.md", "SECURITY.md", "config/runbook.md", "config/operations.md", "config/prometheus/rules.yml"),
    *(path.relative_to(HOUSE).as_posix() for path in sorted((HOUSE / "config" / "examples").glob("*.toml"))),
    "rotator/commands/scaffold/__init__.py",
]


def test_there_is_a_section_for_each_alert_in_the_same_order_and_no_other() -> None:
    assert list(SECTIONS) == ALERTS


@pytest.mark.parametrize("alert", ALERTS)
def test_a_section_says_what_it_means_what_to_check_and_what_to_type(alert: str) -> None:
    meaning, check, typed = (SECTIONS[alert].find(f"**What {each}.**") for each in ("it means", "to check", "to type"))
    assert 0 <= meaning < check < typed
    (block,) = re.findall(r"^```sh\n(.+?)^```$", SECTIONS[alert][typed:], re.MULTILINE | re.DOTALL)
    assert all(shlex.split(line, comments=True) for line in block.splitlines())


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_points_to_its_section(alert: str) -> None:
    rule = RULES.partition(f"- alert: {alert}\n")[2].partition("- alert:")[0]
    assert f"runbook_url: 'config/runbook.md#{alert.lower()}'" in rule


def test_each_reason_for_a_hold_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", RUNBOOK, re.MULTILINE)
    assert sorted(rows) == sorted(reason.value for reason in HoldReason)


def spoken(text: str) -> Iterator[str]:
    """Every command line of ours in a text: in blocks, in inline code, in annotations, in comments of settings."""
    text = re.sub(r"\\\n#?\s*", "", re.sub(r"\{\{.*?\}\}", "NAME", text))  # a line that goes on is one
    lines = [
        line
        for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    lines += re.findall(r"`([^`\n]+)`", text)
    lines += re.findall(r"^ +type: '(.+)'$", text, re.MULTILINE)
    lines += re.findall(r"^# {2,}(.+?)(?: {2,}\(.*)?$", text, re.MULTILINE)
    for line in lines:
        for part in re.split(r"\||&&|;|\bthen\b", line):
            if not re.search(r"\brotate |-m rotator ", part):
                continue
            words = shlex.split(part.replace("…", "").replace("'", ""), comments=True)
            for name in ("rotate", "rotator"):
                starts = words[:1] == [name] == ["rotate"] or (name in words and words[words.index(name) - 1] == "-m")
                if starts and len(words) > words.index(name) + 1:
                    yield shlex.join(words[words.index(name) + 1 :])
                    break


def understand(words: list[str], command: click.Command = rotate, parent: click.Context | None = None) -> None:
    """Raises UsageError when the program would not understand this. FILE and the like are there."""
    if not isinstance(command, click.Group):
        command.make_context("rotate", words, parent=parent)
        return
    context = click.Context(command, parent=parent, info_name="rotate")
    _, (name, *rest), _ = command.make_parser(context).parse_args(words)
    inner = command.get_command(context, name)
    if inner is None:
        raise click.UsageError(f"no command {name}")
    understand(rest, inner, context)


def there(words: str) -> list[str]:
    return [__file__ if word.endswith(".jsonl") or word == "FILE" else word for word in shlex.split(words)]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_command_in_a_paper_is_one_that_there_is(paper: str) -> None:
    text = (HOUSE / paper).read_text()
    found = sorted({line for line in spoken(text) if not line.startswith("-m ")})
    for line in found:
        try:
            understand(there(line))
        except click.UsageError as fault:
            pytest.fail(f"{paper}: rotate {line}: {fault.format_message()}")
    if paper.endswith(".md") and paper != "SECURITY.md":
        assert len(found) >= 5


@pytest.mark.parametrize(
    "wrong", ["nwo NAME", "now NAME --urgent", "explain", "status --json=1", "receipts prove FILE"]
)
def test_a_command_that_there_is_not_would_be_found(wrong: str) -> None:
    with pytest.raises(click.UsageError):
        understand(there(wrong))


def test_commands_are_found_wherever_they_stand() -> None:
    text = (
        "Do `rotate explain NAME`; `rotate` alone is no command.\n"
        "```sh\nrotate now x --wait   # and wait\nx | y && rotate plan; python -I -m rotator status --json\n```\n"
        "          type: 'rotate check; then rotate release {{ $labels.credential }}'\n#   rotate due\n"
    )
    assert sorted(spoken(text)) == sorted(
        ["explain NAME", "now x --wait", "plan", "status --json", "check", "release NAME", "due"]
    )


def test_links_between_the_papers_lead_somewhere() -> None:
    for paper in [name for name in PAPERS if name.endswith(".md")]:
        here = HOUSE / paper
        for link in re.findall(r"\]\(([^)#]+)", here.read_text()):
            assert (here.parent / link).exists(), f"{paper}: {link}"


def test_what_is_typed_on_a_host_has_its_row_for_a_cluster() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| `kubectl ", RUNBOOK, re.MULTILINE)
    typed = "".join(SECTIONS.values())
    for program in ("systemctl", "journalctl -u rotator", "curl -s http", "df -h /var/lib"):
        assert program in typed
        for line in set(re.findall(rf"{program}\S*(?: (?:-s HUP )?[a-z]+)?", typed)):
            assert any(row.startswith(line.split("//")[0].rstrip()) for row in rows), line
