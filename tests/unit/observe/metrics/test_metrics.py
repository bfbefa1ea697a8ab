"""What Prometheus is told: states from records at each scrape, counters of what happened, labels from settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from rotator.observe.metrics import _STEPS, Metrics
from rotator.rotation import events as ev
from rotator.rotation.change_calendar import Calendar
from rotator.rotation.record import Phase, Record
from rotator.vault.login import LoginEnd
from tests.kit.fleet import FakeView, fleet, named, settled, transition, troubled
from tests.unit.rotation.builders import DAY, NOW, published, record
from tests.unit.rotation.calendars import freeze

BLOG = named("blog")


def scraped(metrics: Metrics) -> dict[str, float]:
    """Every series as it is written, with its value."""
    lines = [line for line in metrics.scrape().decode().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def of(credential: str, name: str, **labels: str) -> str:
    more = "".join(f',{key}="{value}"' for key, value in labels.items())
    return f'rotator_credential_{name}{{credential="{credential}",target="blog"{more}}}'


def single(found: Record | None) -> tuple[Metrics, FakeView]:
    looked, view, _ = fleet((BLOG, found))
    return Metrics(looked, "1.2.3"), view


def test_times_are_seconds_since_the_epoch_of_the_record() -> None:
    metrics, _ = single(settled(NOW))
    said = scraped(metrics)
    assert said[of("blog", "published_timestamp_seconds")] == NOW.timestamp()
    assert said[of("blog", "expiry_timestamp_seconds")] == (NOW + 90 * DAY).timestamp()
    assert said[of("blog", "next_rotation_timestamp_seconds")] == (NOW + 30 * DAY).timestamp()


def test_what_is_not_so_has_no_time() -> None:
    metrics, _ = single(settled(NOW, None))
    for name in ("expiry", "due", "revoke_by", "refused", "held", "awaiting"):
        assert of("blog", f"{name}_timestamp_seconds") not in scraped(metrics)


def test_a_login_that_runs_out_is_told_in_time_and_with_what_is_left() -> None:
    looked, _, _ = fleet((BLOG, settled(NOW)))
    looked.login_end = lambda: LoginEnd("secret-id", looked.clock.now() + 90 * DAY, uses=40)
    metrics = Metrics(looked, "1.2.3")
    assert scraped(metrics)["rotator_login_ending"] == 0
    looked.login_end = lambda: LoginEnd("secret-id", looked.clock.now() + 90 * DAY, uses=1)
    said = scraped(metrics)
    assert said["rotator_login_ending"] == 1
    assert said['rotator_login_uses_left{what="secret-id"}'] == 1
    assert said['rotator_login_expiry_timestamp_seconds{what="secret-id"}'] > NOW.timestamp()


def test_what_waits_for_a_person_says_since_when() -> None:
    metrics, _ = single(record(Phase.AWAITING))
    assert scraped(metrics)[of("blog", "awaiting_timestamp_seconds")] == NOW.timestamp()


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.HELD])
def test_exactly_one_phase_is_true(phase: Phase) -> None:
    metrics, _ = single(record(phase))
    said = scraped(metrics)
    assert [name for name in said if name.startswith("rotator_credential_phase")] == [of("blog", "phase", phase=phase)]
    assert said[of("blog", "phase", phase=phase)] == 1


def test_a_record_that_was_not_read_is_in_no_phase_that_is_known() -> None:
    looked, view, _ = fleet((BLOG, None))
    view.seen.clear()
    said = scraped(Metrics(looked, "1.2.3"))
    assert said[of("blog", "phase", phase="unknown")] == 1
    assert said["rotator_ready"] == 0


def test_a_scrape_follows_the_records_and_never_remembers() -> None:
    metrics, view = single(record(Phase.PUBLISHED, failures=2))
    assert scraped(metrics)[of("blog", "live_predecessors")] == 1
    view.put(BLOG, settled())
    assert of("blog", "live_predecessors") not in scraped(metrics)
    assert of("blog", "consecutive_failures") not in scraped(metrics)
    view.credentials.clear()
    assert not [name for name in scraped(metrics) if 'credential="blog"' in name]


def test_the_process_says_how_it_is() -> None:
    looked, _, clock = fleet((BLOG, settled()))
    metrics = Metrics(looked, "1.2.3", lambda: False, lambda: False)
    said = scraped(metrics)
    assert said['rotator_build_info{version="1.2.3"}'] == 1
    assert (said["rotator_alive"], said["rotator_ready"], said["rotator_vault_reachable"]) == (1, 1, 1)
    assert (said["rotator_settings_refused"], said["rotator_vault_unfit"]) == (0, 0)
    looked.refused, looked.unfit = "rotator.toml:3: no such key", "mount secret: versions vanish after 1h"
    assert (scraped(metrics)["rotator_settings_refused"], scraped(metrics)["rotator_vault_unfit"]) == (1, 1)
    assert (said["rotator_receipts_writable"], said["rotator_receipts_whole"]) == (0, 0)
    clock.move(10_000)
    assert (scraped(metrics)["rotator_alive"], scraped(metrics)["rotator_idle_seconds"]) == (0, 10_000)


def test_transitions_verdicts_and_durations_are_counted() -> None:
    metrics, _ = single(settled())
    metrics(transition(BLOG, settled(), ev.Faulted(NOW, "verify", "no answer"), 2.0))
    metrics(transition(BLOG, settled(), ev.Disproved(NOW, "HTTP 401"), 0.2))
    metrics(transition(BLOG, settled(), ev.Disproved(NOW, "HTTP 401"), 0.2))
    said = scraped(metrics)
    assert said['rotator_transitions_total{event="value.disproved",target="blog"}'] == 2
    assert said['rotator_target_verdicts_total{target="blog",verdict="refused"}'] == 2
    assert said['rotator_target_verdicts_total{target="blog",verdict="unknown"}'] == 1
    assert said['rotator_step_duration_seconds_bucket{le="0.25",step="condemn"}'] == 2
    assert said['rotator_step_duration_seconds_sum{step="verify"}'] == 2


def test_every_event_that_a_step_ends_with_belongs_to_a_step() -> None:
    requests = {ev.RequestTaken, ev.RequestDeclined}
    operators = requests | {ev.Released, ev.Paused, ev.Unpaused, ev.UndoBegun, ev.Adopted, ev.Claimed}
    outside = {ev.Resumed, ev.Faulted, ev.Lost, ev.Returned} | operators  # no step of ours, or it names its own
    assert set(ev.Event.__args__) - outside <= set(_STEPS)


def test_no_word_of_a_target_becomes_a_label() -> None:
    metrics, _ = single(settled())
    metrics(transition(BLOG, settled(), ev.Faulted(NOW, "s0mething-hostile", "very-hostile words")))
    metrics(transition(BLOG, settled(), ev.CandidateRejected(NOW, "very-hostile words")))
    assert b"hostile" not in metrics.scrape()


def test_names_and_units_are_as_prometheus_wants_them() -> None:
    looked, _, _ = troubled()
    metrics = Metrics(looked, "1.2.3", lambda: True)
    metrics(transition(BLOG, settled(), ev.Disproved(NOW, "x")))
    for line in metrics.scrape().decode().splitlines():
        if line.startswith("# TYPE rotator_"):
            _, _, name, kind = line.split()
            assert name.endswith("_total") == (kind == "counter"), name
            assert not re.search(r"_(ms|minutes|hours|days|milliseconds)\b", name)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is absent: apt-get install prometheus")
def test_promtool_finds_nothing_to_lint() -> None:
    looked, _, _ = troubled()
    metrics = Metrics(looked, "1.2.3", lambda: True)
    metrics(transition(BLOG, settled(), ev.Disproved(NOW, "x")))
    ours = b"\n".join(x for x in metrics.scrape().splitlines() if b"process_" not in x) + b"\n"
    ended = subprocess.run(["promtool", "check", "metrics"], input=ours, capture_output=True, timeout=30)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_a_thousand_credentials_are_scraped_within_a_second() -> None:
    import time

    pairs = [(named(f"c{number}"), record(Phase.PUBLISHED, current=published(2, NOW))) for number in range(1000)]
    looked, _, _ = fleet(*pairs)
    metrics = Metrics(looked, "1.2.3")
    began = time.process_time()
    metrics.scrape()
    assert time.process_time() - began < 1.0


def test_what_credentials_that_left_the_settings_have_left_alive_is_counted() -> None:
    metrics, view = single(settled(NOW))
    assert scraped(metrics)["rotator_unmanaged_tokens"] == 0
    view.left = {"gone": record(Phase.PUBLISHED, current=published(8), predecessor=published(7))}
    assert scraped(metrics)["rotator_unmanaged_tokens"] == 2


def test_by_target_times_are_the_earliest_counts_a_sum_and_alerts_the_same() -> None:
    edge = named("edge", target="cdn")
    looked, _, _ = fleet(
        (BLOG, settled(NOW)),
        (named("shop"), settled(NOW - DAY, failures=2)),
        (named("desk"), record(Phase.PUBLISHED, failures=3)),
        (edge, settled(NOW)),
    )
    said = scraped(Metrics(looked, "1.2.3", by_target=True))
    sums = {name.removeprefix("rotator_credential_"): value for name, value in said.items() if "_credential_" in name}
    here, there = '{credential="a credential",target="blog"', '{credential="a credential",target="cdn"'
    assert sums[f"published_timestamp_seconds{here}}}"] == (NOW - DAY).timestamp()
    assert sums[f"published_timestamp_seconds{there}}}"] == NOW.timestamp()
    assert sums[f"consecutive_failures{here}}}"] == 3
    assert sums[f"live_predecessors{here}}}"] == 1
    assert sums[f'phase{here},phase="settled"}}'] == 2
    assert sums[f'phase{here},phase="published"}}'] == 1
    assert sums[f'phase{there},phase="settled"}}'] == 1
    assert not [name for name in sums if name.startswith("rotation{") or "seen" in name]


def test_what_is_told_of_ten_thousand_credentials_has_a_bound() -> None:
    looked, _, _ = fleet(*((named(f"service-{number:05}"), settled(NOW)) for number in range(1000)))
    by_credential, by_target = (len(Metrics(looked, "1", by_target=each).scrape()) for each in (False, True))
    assert by_credential < 500_000
    assert by_target < 20_000


def test_what_waits_for_the_calendar_and_what_did_not_wait() -> None:
    due = replace(BLOG, calendar=Calendar(freezes=(freeze("xmas", -1, 24),)))
    looked, _, _ = fleet((due, record(Phase.SETTLED, current=published(1, NOW - 31 * DAY))))
    said = scraped(Metrics(looked, "1.2.3"))
    assert said[of("blog", "waits_for_window_timestamp_seconds")] == (NOW + DAY).timestamp()
    assert of("blog", "due_timestamp_seconds") not in said
    begun = record(Phase.REQUESTED, in_spite_of="freeze xmas; all the same", requested_at=NOW - DAY)
    earlier = record(Phase.REQUESTED, in_spite_of="freeze xmas; all the same", requested_at=NOW - 9 * DAY)
    looked, _, _ = fleet((BLOG, begun), (named("shop"), earlier))
    assert scraped(Metrics(looked, "1.2.3"))[of("blog", "outside_window_timestamp_seconds")] == (NOW - DAY).timestamp()
    summed = scraped(Metrics(looked, "1.2.3", by_target=True))
    assert summed[of("a credential", "outside_window_timestamp_seconds")] == (NOW - DAY).timestamp()
