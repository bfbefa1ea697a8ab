"""The calls that credentials ask of a target: refused with the numbers where they do not fit, and shown by `plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotator.cli import rotate
from tests.unit.settings.files import SOUND, faults, write

MANY = "".join(f'[credentials.web-{number}]\ntarget = "blog"\npath = "apps/{number}"\n' for number in range(40))


def limited(calls: int) -> str:
    return SOUND.replace('kind = "halo-cms"\n', f'kind = "halo-cms"\ncalls = {calls}\nperiod = "1h"\n') + MANY


def test_more_calls_than_a_target_allows_are_refused_at_its_line_with_the_numbers(tmp_path: Path) -> None:
    (fault,) = faults(write(tmp_path, limited(100)))
    assert (fault.line, fault.key) == (9, "targets.blog.calls")
    assert fault.text == (
        "allows 100 calls an hour, but 41 credentials there need at least 165: 0 for rotations, 164 for probes, 1 for"
        " listings; raise it, lengthen [daemon] probe, or rotate less often"
    )


@pytest.mark.parametrize("more", ["", '[daemon]\nprobe = "6h"\n'])
def test_they_fit_when_they_are_fewer_or_more_is_allowed(more: str, tmp_path: Path) -> None:
    assert not faults(write(tmp_path, limited(20 if more else 400) + more))


def test_plan_shows_the_calls_of_each_target_by_what_they_are_for(tmp_path: Path) -> None:
    path = write(tmp_path, limited(400))
    ended = CliRunner().invoke(rotate, ["-c", str(path), "plan", "--calls"])
    assert ended.exit_code == 0
    heads, row, *_ = ended.output.splitlines()
    assert heads.split("  ")[0] == "TARGET"
    assert row.split() == ["blog", "41", "0.3", "164.0", "1.0", "165.3", "400.0", "82"]
    (told,) = json.loads(CliRunner().invoke(rotate, ["-c", str(path), "plan", "--calls", "--json"]).output)
    assert (told["target"], told["credentials"], told["probes"]) == ("blog", 41, 164.0)
