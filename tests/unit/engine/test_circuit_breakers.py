"""Circuit breakers: pauses double, one failing credential is no outage, and a refused minter stays refused."""

from __future__ import annotations

import pytest

from rotator.engine.circuit_breakers import CircuitBreaker, CircuitBreakers

Told = list[tuple[str, str, float]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def health(told: Told) -> CircuitBreakers:
    return CircuitBreakers(lambda *words: told.append(words))


def trip(breaker: CircuitBreaker, now: float) -> float:
    """Three different credentials meet trouble; returns the pause."""
    for who in ("a", "b", "c"):
        breaker.faulted(now, who, "no answer")
    return breaker.left(now)


def test_one_credential_in_trouble_again_and_again_does_not_pause_its_target(health: CircuitBreakers) -> None:
    breaker = health.target("blog")
    for now in range(100):
        breaker.faulted(float(now), "bot", "its probe answers 500")
    assert breaker.left(100.0) == 0


def test_a_success_in_between_forgets_what_was_before(health: CircuitBreakers) -> None:
    breaker = health.target("blog")
    for who in ("a", "b"):
        breaker.faulted(1.0, who, "no answer")
    breaker.worked(2.0)
    breaker.faulted(3.0, "c", "no answer")
    assert breaker.left(3.0) == 0


def test_pauses_double_up_to_half_a_minute(health: CircuitBreakers) -> None:
    breaker, now, pauses = health.target("blog"), 0.0, []
    for _ in range(7):
        pauses.append(trip(breaker, now))
        now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_a_thousand_pauses_later_the_arithmetic_still_holds(health: CircuitBreakers) -> None:
    breaker = health.target("blog")
    for turn in range(2000):
        trip(breaker, turn * 31.0)
    assert breaker.left(1999 * 31.0) == 30


def test_many_calls_that_fail_together_are_one_trouble(health: CircuitBreakers) -> None:
    for who in range(8):
        health.vault.faulted(5.0, str(who), "sealed", patience=1)
    assert health.vault.left(5.0) == 1


def test_an_answer_during_a_pause_proves_nothing_and_one_after_it_ends_the_trouble(health: CircuitBreakers) -> None:
    breaker = health.target("blog")
    trip(breaker, 0.0)
    breaker.worked(0.5)
    assert breaker.left(0.5) == 0.5
    breaker.worked(1.5)
    assert trip(breaker, 2.0) == 1


def test_a_refused_minter_is_left_alone_for_a_minute_and_longer_each_time(health: CircuitBreakers) -> None:
    breaker, now, pauses = health.minter("blog"), 0.0, []
    for _ in range(6):
        breaker.faulted(now, "bot", "the minter's token is refused")
        pauses.append(breaker.left(now))
        now += pauses[-1]
    assert pauses == [60, 120, 240, 480, 900, 900]


def test_a_target_that_works_without_its_minter_does_not_bring_the_minter_back(health: CircuitBreakers) -> None:
    health.minter("blog").faulted(0.0, "bot", "refused")
    health.target("blog").worked(1.0)
    health.vault.worked(1.0)
    assert health.pause("blog", "blog", 1.0) == (59.0, "refused")


def test_the_worst_of_vault_target_and_minter_decides_and_gives_its_reason(health: CircuitBreakers) -> None:
    health.vault.faulted(0.0, "bot", "sealed", patience=1)
    trip(health.target("blog"), 0.0)
    trip(health.target("blog"), 1.0)
    assert health.pause("blog", "blog", 1.5) == (1.5, "no answer")
    assert health.pause("shop", "shop", 0.5) == (0.5, "sealed")
    assert health.pause("shop", "shop", 1.0)[0] == 0


def test_trouble_is_told_once_and_so_is_its_end(health: CircuitBreakers, told: Told) -> None:
    for now in (0.0, 1.0, 3.0):
        trip(health.target("blog"), now)
    health.target("blog").worked(10.0)
    health.target("blog").worked(11.0)
    assert told == [("target blog", "no answer", 1.0), ("target blog", "", 0.0)]


def test_a_persons_word_ends_every_pause_but_vaults(health: CircuitBreakers) -> None:
    trip(health.target("blog"), 0.0)
    health.minter("blog").faulted(0.0, "bot", "refused")
    health.vault.faulted(0.0, "bot", "sealed", patience=1)
    health.forgive()
    assert health.pause("blog", "blog", 0.0) == (1.0, "sealed")
