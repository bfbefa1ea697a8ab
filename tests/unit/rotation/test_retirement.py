"""When a predecessor may go. Unknown is not unused, and grace is never cut short but by an emergency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.rotation.credential import AtDeadline, Retirement
from rotator.rotation.retirement import Go, NotYet, StillUsed, Use, earliest, judge
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, steady

PLAIN = Retirement(after=HOUR)
QUIET = Retirement(after=HOUR, quiet=15 * MINUTE, deadline=DAY)
HOLD = Retirement(after=HOUR, quiet=15 * MINUTE, deadline=DAY, at_deadline=AtDeadline.HOLD)
ENDLESS = Retirement(after=HOUR, quiet=15 * MINUTE)
SILENT, UNKNOWN = Use(reported=False), Use(reported=True)


def used(since_publication) -> Use:
    return Use(reported=True, last=NOW + since_publication)


# rule, time since publication, use of the predecessor, judgement
TABLE = {
    "in grace it stays": (PLAIN, HOUR - SECOND, SILENT, NotYet(NOW + HOUR, "in grace")),
    "after grace it goes": (PLAIN, HOUR, SILENT, Go("successor proven, 1:00:00 since publication")),
    "in grace it stays however quiet it is": (QUIET, HOUR - SECOND, used(-DAY), NotYet(NOW + HOUR, "in grace")),
    "a target without last use falls back to grace": (
        QUIET,
        HOUR,
        SILENT,
        Go("successor proven, 1:00:00 since publication"),
    ),
    "without a quiet rule a use does not matter": (
        PLAIN,
        HOUR,
        used(HOUR),
        Go("successor proven, 1:00:00 since publication"),
    ),
    "quiet for long enough it goes, and the evidence says so": (
        QUIET,
        HOUR,
        used(45 * MINUTE),
        Go("successor proven, 1:00:00 since publication, last used 2026-03-01 12:45:00Z"),
    ),
    "used a moment ago it stays until it has been quiet": (
        QUIET,
        HOUR,
        used(50 * MINUTE),
        NotYet(NOW + 65 * MINUTE, "last used 2026-03-01 12:50:00Z"),
    ),
    "a use may have gone unnoted since: quiet counts from the end of that time": (
        QUIET,
        HOUR,
        Use(reported=True, last=NOW + 44 * MINUTE + SECOND, step=MINUTE),
        NotYet(NOW + HOUR + SECOND, "last used 2026-03-01 12:44:01Z"),
    ),
    "quiet since the last use that may have gone unnoted it goes": (
        QUIET,
        HOUR,
        Use(reported=True, last=NOW + 44 * MINUTE, step=MINUTE),
        Go("successor proven, 1:00:00 since publication, last used 2026-03-01 12:44:00Z"),
    ),
    "unknown last use is not unused: look again in a minute": (
        QUIET,
        HOUR,
        UNKNOWN,
        NotYet(NOW + 61 * MINUTE, "last use unknown"),
    ),
    "without a deadline unknown stays unknown": (
        ENDLESS,
        300 * DAY,
        UNKNOWN,
        NotYet(NOW + 300 * DAY + MINUTE, "last use unknown"),
    ),
    "it is not looked at later than the deadline": (
        QUIET,
        DAY - 5 * MINUTE,
        used(DAY - 6 * MINUTE),
        NotYet(NOW + DAY, "last used 2026-03-02 11:54:00Z"),
    ),
    "at the deadline it goes though in use, and the evidence says so": (
        QUIET,
        DAY,
        used(DAY),
        Go("successor proven, deadline 2026-03-02 12:00:00Z is over, last used 2026-03-02 12:00:00Z"),
    ),
    "at the deadline it goes though its use is unknown": (
        QUIET,
        DAY,
        UNKNOWN,
        Go("successor proven, deadline 2026-03-02 12:00:00Z is over, last use unknown"),
    ),
    "where settings say hold, a person decides at the deadline": (
        HOLD,
        DAY,
        used(DAY),
        StillUsed("predecessor last used 2026-03-02 12:00:00Z, deadline 2026-03-02 12:00:00Z is over"),
    ),
    "where settings say hold, before the deadline it stays": (
        HOLD,
        DAY - SECOND,
        used(DAY - SECOND),
        NotYet(NOW + DAY, "last used 2026-03-02 11:59:59Z"),
    ),
    "where settings say hold, a quiet one goes all the same": (
        HOLD,
        2 * DAY,
        used(DAY),
        Go("successor proven, 1:00:00 since publication, last used 2026-03-02 12:00:00Z"),
    ),
}


@pytest.mark.parametrize(("policy", "later", "use", "judgement"), TABLE.values(), ids=TABLE)
def test_judge(policy, later, use, judgement) -> None:
    assert judge(policy, NOW, NOW + later, use, emergency=False) == judgement


def test_a_consumer_that_goes_on_using_it_is_not_cut_off_however_rarely_that_is_noted() -> None:
    """Every two seconds, and noted once a minute, as Halo CMS does: it is never quiet for a minute."""
    policy, noted = Retirement(after=MINUTE, quiet=MINUTE, deadline=HOUR), NOW
    for second in range(0, 3600, 2):
        now = NOW + second * SECOND
        noted = now if now - noted >= MINUTE else noted
        found = judge(policy, NOW, now + SECOND, Use(reported=True, last=noted, step=MINUTE), emergency=False)
        assert isinstance(found, NotYet), now


@pytest.mark.parametrize("use", [SILENT, UNKNOWN, used(SECOND)])
def test_in_an_emergency_it_goes_at_once_whatever_its_use(use: Use) -> None:
    assert judge(HOLD, NOW, NOW, use, emergency=True) == Go("emergency: successor proven")


def test_there_is_nothing_to_judge_before_grace_is_over_except_in_an_emergency() -> None:
    assert earliest(QUIET, NOW, emergency=False) == NOW + HOUR
    assert earliest(QUIET, NOW, emergency=True) == NOW


def test_a_promised_grace_is_kept_when_settings_have_a_shorter_one_since() -> None:
    promised = NOW + 2 * HOUR
    assert earliest(PLAIN, NOW, emergency=False, promised=promised) == promised
    assert judge(PLAIN, NOW, NOW + HOUR, SILENT, emergency=False, promised=promised) == NotYet(promised, "in grace")
    assert isinstance(judge(PLAIN, NOW, promised, SILENT, emergency=False, promised=promised), Go)


def test_a_promised_grace_is_prolonged_when_settings_have_a_longer_one_since() -> None:
    assert earliest(PLAIN, NOW, emergency=False, promised=NOW + MINUTE) == NOW + HOUR


minutes = st.integers(0, 3000).map(lambda n: n * MINUTE)
policies = st.builds(Retirement, after=minutes, quiet=st.none() | minutes, deadline=st.none() | minutes)
uses = st.builds(lambda reported, last: Use(reported, last), st.booleans(), st.none() | minutes.map(lambda x: NOW + x))


@steady
@given(policies, minutes, uses)
def test_nothing_goes_in_grace_and_a_later_look_is_always_later(policy, later, use) -> None:
    judgement = judge(policy, NOW, NOW + later, use, emergency=False)
    if isinstance(judgement, NotYet):
        assert judgement.until > NOW + later
    else:
        assert later >= policy.after


@steady
@given(policies.filter(lambda x: x.deadline is not None), uses)
def test_whatever_its_use_it_goes_once_grace_and_deadline_are_over(policy, use) -> None:
    now = NOW + max(policy.after, policy.deadline)
    assert isinstance(judge(policy, NOW, now, use, emergency=False), Go)
