"""What a hook is told: which moments a transition is, the facts of it, and no secret in any of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rotator.observe.hooks.facts import _MOMENTS, gather, moments
from rotator.rotation.messages import _WORDS
from rotator.settings import HookMoment
from tests.kit.fleet import settled
from tests.unit.observe.hooks import transitions as they
from tests.unit.vault.worlds import canary


@pytest.mark.parametrize(
    ("transition", "meant"),
    [
        (they.requested(), {HookMoment.REQUESTED}),
        (they.publication(), {HookMoment.PUBLISHED}),
        (they.retirement(), {HookMoment.RETIRED}),
        (they.left(), {HookMoment.AWAITING}),
        (they.ended(), {HookMoment.RETIRED}),
        (they.settling(), {HookMoment.SETTLED}),
        (they.hold(), {HookMoment.HELD}),
        (they.surrender(), {HookMoment.FAILED}),
        (they.fault(), {HookMoment.FAULTED}),
        (they.fault(failures=4), {HookMoment.FAULTED, HookMoment.FAILED}),
        (they.fault(failures=5), {HookMoment.FAULTED}),
        (they.fault(person=True), {HookMoment.FAULTED, HookMoment.AWAITING}),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else type(value.event).__name__,
)
def test_a_transition_means(transition, meant) -> None:
    assert moments(transition) == meant


def test_every_moment_comes_from_some_transition_and_every_name_is_one_that_telling_knows() -> None:
    assert set(_MOMENTS.values()) | {HookMoment.FAILED} == set(HookMoment)
    assert set(_MOMENTS) <= {name for name, *_ in _WORDS.values()}


def test_the_document_says_who_what_and_where() -> None:
    document = json.loads(gather(they.publication(), HookMoment.PUBLISHED).body)
    assert (document["type"], document["timestamp"]) == ("value.published", "2026-03-01T12:00:00.000+00:00")
    expected = {
        "event": "published",
        "credential": "blog",
        "target": "blog",
        "place": "secret/apps/blog",
        "labels": {"team": "web"},
        "rotation": 3,
        "provider_id": "t3.1",
        "fingerprint": "print-3.1",
        "version": 7,
    }
    assert expected.items() <= document["data"].items()


@pytest.mark.parametrize("transition", [they.retirement(), they.left(), they.ended()])
def test_the_end_of_a_value_is_about_that_value(transition) -> None:
    (moment,) = moments(transition)
    told = json.loads(gather(transition, moment).body)["data"]
    assert (told["provider_id"], told["fingerprint"]) == ("t2.1", "print-2.1")


def test_the_environment_holds_names_only() -> None:
    names = gather(they.publication(), HookMoment.PUBLISHED).names
    assert set(names) == {
        f"ROTATOR_{key}"
        for key in ("ID", "EVENT", "CREDENTIAL", "TARGET", "PLACE", "ROTATION", "PROVIDER_ID", "FINGERPRINT")
    }
    assert (names["ROTATOR_EVENT"], names["ROTATOR_ROTATION"]) == ("published", "3")


def test_the_number_is_that_of_the_transition() -> None:
    first, again = (gather(they.publication(), HookMoment.PUBLISHED).id for _ in range(2))
    other = gather(they.retirement(), HookMoment.RETIRED).id
    assert first == again != other


def test_a_secret_in_a_reason_is_blotted_out_and_control_signs_reach_no_environment() -> None:
    secret = canary("facts")
    leaking = they.fault(f"the target said {secret.reveal()}\n\0twice")
    held = replace(leaking, after=replace(settled(), asked_by=f"ada {secret.reveal()}\0"))
    for transition in (leaking, held):
        facts = gather(transition, HookMoment.FAULTED)
        assert secret.reveal() not in facts.body.decode() + str(facts.names)
        assert "[redacted]" in facts.body.decode()
        assert all(value.isprintable() for value in facts.names.values())
