"""The option `window`, the sections [freezes.NAME], and what cannot hold together with them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rotator.rotation.change_calendar import ALWAYS, Calendar
from rotator.settings import load
from tests.unit.settings.files import SOUND, faults, write

NIGHT = 'window = {days = ["mon-fri"], from = "22:00", to = "04:00", timezone = "Europe/Berlin"}\n'
XMAS = """\
[freezes.xmas]
from = 2026-12-18T18:00:00+01:00
until = 2027-01-04T06:00:00+01:00
why = "year-end trading"
"""


def calendar(directory: Path, text: str, name: str = "web") -> Calendar:
    return load(write(directory, text)).credentials[name].calendar


def test_without_any_a_rotation_may_always_begin(tmp_path: Path) -> None:
    assert calendar(tmp_path, SOUND) is ALWAYS


def test_a_window_is_read_with_its_days_times_and_zone(tmp_path: Path) -> None:
    assert str(calendar(tmp_path, SOUND + NIGHT).window) == "mon-fri 22:00-04:00 Europe/Berlin"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('{days = ["sat", "sun"]}', "sat-sun 00:00-24:00 UTC"),
        ('{from = "01:00", to = "05:30"}', "daily 01:00-05:30 UTC"),
        ('{days = ["fri-mon"], from = "20:00"}', "mon,fri-sun 20:00-24:00 UTC"),
        ('[{days = ["mon"]}, {days = ["wed"]}]', "mon 00:00-24:00 UTC, wed 00:00-24:00 UTC"),
    ],
)
def test_what_is_left_out_is_every_day_the_whole_day_and_utc(said: str, meant: str, tmp_path: Path) -> None:
    assert str(calendar(tmp_path, f"{SOUND}window = {said}\n").window) == meant


def test_the_nearest_window_counts(tmp_path: Path) -> None:
    """The credential's own, else its target's, else that of [defaults]; `always` takes the others away."""
    at_target = SOUND.replace('url = "https', 'window = {days = ["sat"]}\nurl = "https')
    defaults = '[defaults]\nwindow = {days = ["sun"]}\n'
    assert str(calendar(tmp_path, SOUND + defaults).window).startswith("sun")
    assert str(calendar(tmp_path, at_target + defaults).window).startswith("sat")
    assert str(calendar(tmp_path, at_target + NIGHT + defaults).window).startswith("mon-fri")
    assert calendar(tmp_path, f'{at_target}window = "always"\n{defaults}') is ALWAYS
    freed = at_target.replace('window = {days = ["sat"]}', 'window = "always"')
    assert calendar(tmp_path, freed + defaults) is ALWAYS


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('"nightly"', "cannot be a string"),
        ("[]", "is empty"),
        ('{days = "mon"}', "must be a list such as"),
        ('{days = ["moon"]}', "`moon` is no weekday"),
        ("{days = []}", "must be a list such as"),
        ('{from = "25:00"}', "`from` must be a time such as"),
        ("{from = 22}", "`from` must be a time such as"),
        ('{from = "10:00", to = "10:00"}', "are the same"),
        ('{from = "24:00"}', "are the same"),
        ('{timezone = "Europe/Berlim"}', "did you mean `Europe/Berlin`"),
        ('{form = "10:00"}', "did you mean `from`"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused_with_the_remedy(said: str, why: str, tmp_path: Path) -> None:
    [fault] = faults(write(tmp_path, f"{SOUND}window = {said}\n"))
    assert fault.key == "credentials.web.window"
    assert why in fault.text


def test_a_freeze_covers_everything_or_what_carries_its_labels(tmp_path: Path) -> None:
    [freeze] = calendar(tmp_path, SOUND + XMAS).freezes
    assert (freeze.name, freeze.why) == ("xmas", "year-end trading")
    assert (freeze.begins, freeze.until) == (
        datetime(2026, 12, 18, 17, tzinfo=UTC),
        datetime(2027, 1, 4, 5, tzinfo=UTC),
    )
    shop = XMAS + 'labels = {team = "shop"}\n'
    assert calendar(tmp_path, SOUND + shop) is ALWAYS
    assert calendar(tmp_path, SOUND + 'labels = {team = "shop"}\n' + shop).freezes != ()
    assert load(write(tmp_path, SOUND + shop)).freezes != ()


@pytest.mark.parametrize(
    ("old", "new", "key", "why"),
    [
        ("from = 2026-12-18T18:00:00+01:00", "from = 2026-12-18T18:00:00", "from", "with its offset"),
        ("from = 2026-12-18T18:00:00+01:00", 'from = "soon"', "from", "with its offset"),
        ("from = 2026-12-18T18:00:00+01:00", "from = 0001-01-01T00:00:00+01:00", "from", "is beyond"),
        ("until = 2027-01-04T06:00:00+01:00", 'until = "2026-12-01T00:00:00Z"', "until", "is not after `from`"),
        ("until = 2027-01-04T06:00:00+01:00", "", "", "`until` is missing"),
        ('why = "year-end trading"', "", "", "`why` is missing"),
        ('why = "year-end trading"', f'why = "{"x" * 201}"', "why", "up to 200 characters"),
        ('why = "year-end trading"', 'why = "x"\nlabel = {}', "label", "unknown key; did you mean `labels`"),
    ],
)
def test_a_freeze_that_cannot_be_meant_is_refused(old: str, new: str, key: str, why: str, tmp_path: Path) -> None:
    [fault] = faults(write(tmp_path, SOUND + XMAS.replace(old, new)))
    assert fault.key == f"freezes.xmas.{key}".rstrip(".")
    assert why in fault.text


def test_times_that_cannot_hold_together_are_refused_with_their_numbers(tmp_path: Path) -> None:
    text = f'{SOUND}every = "5d"\nlifetime = "8d"\nretire = {{after = "12h"}}\n{NIGHT}'
    [fault] = faults(write(tmp_path, text))
    assert fault.key == "credentials.web.window"
    assert fault.text == (
        "the value would expire while still needed: every 5d + window closed (mon-fri 22:00-04:00 Europe/Berlin)"
        " 2d19h + retries 1h + retire.after 12h + proof 5m = 8d8h5m, which must be less than lifetime 8d;"
        ' with window = "always" it waits for none'
    )
    assert faults(write(tmp_path, text.replace('"8d"', '"9d"'))) == ()


def test_a_window_that_closes_before_what_failed_is_tried_again_counts_twice(tmp_path: Path) -> None:
    short = '\nwindow = {days = ["sun"], from = "02:00", to = "02:30"}\n'
    text = f'{SOUND}every = "10d"\nlifetime = "20d"{short}'
    [fault] = faults(write(tmp_path, text))
    assert "twice as it is short, 13d23h" in fault.text


def test_a_window_of_the_target_is_reported_where_the_credential_can_be_mended(tmp_path: Path) -> None:
    at_target = SOUND.replace('url = "https', 'window = {days = ["sun"]}\nurl = "https')
    [fault] = faults(write(tmp_path, f'{at_target}every = "2d"\nlifetime = "7d"\n'))
    assert fault.key == "credentials.web.every"
    assert "window closed (sun 00:00-24:00 UTC) 6d" in fault.text


def test_a_window_shorter_than_the_daemon_needs_is_refused(tmp_path: Path) -> None:
    slow = f'[daemon]\ntick = "10s"\n{SOUND}window = {{from = "02:00", to = "02:01"}}\n'
    [fault] = faults(write(tmp_path, slow))
    assert "is open for 1m at times, which is less than 10 ticks of 10s" in fault.text


def test_a_fire_of_cron_soon_after_an_opening_counts(tmp_path: Path) -> None:
    """What was due on Friday waits until Sunday, and two hours after that the next is due."""
    text = f'{SOUND}cron = "0 2 * * 0,5"\nwindow = {{days = ["sun"]}}\nretire = {{after = "3h"}}\n'
    [fault] = faults(write(tmp_path, text))
    assert fault.text == (
        "the predecessor may stay for 3h (retire.after), but the next rotation can come after 2h, where the one before"
        " had to wait for its window: shorten it, or rotate less often"
    )
