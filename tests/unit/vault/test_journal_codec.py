"""The journal's document: everything survives the way there and back, and nothing damaged gets through."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.ports import Lease, Refused
from rotator.rotation import record as records
from rotator.rotation.credential import VaultPath
from rotator.rotation.phases import SettledState
from rotator.rotation.record import Held, HoldReason, LostValue, Phase, PublishedValue, Record, Token, Trigger
from rotator.vault.journal_codec import decode, encode
from tests.unit.rotation.reached import reachable

AT = datetime(2026, 3, 1, 12, 30, 15, 123456, UTC)
times = st.datetimes(datetime(1970, 1, 1), datetime(8999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (wanted so)
st.register_type_strategy(timedelta, st.timedeltas(timedelta(days=-9999), timedelta(days=36600)))
st.register_type_strategy(datetime, times)
st.register_type_strategy(VaultPath, st.builds(VaultPath, st.text(), st.text()))


def through_vault(document: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(document))


@given(st.builds(Record), st.builds(Lease, ttl=st.floats(0, 1e6)), st.text())
def test_every_record_and_lease_comes_back_as_it_was(record: Record, lease: Lease, nonce: str) -> None:
    entry = decode("blog", 7, through_vault(encode(record, lease, nonce, {})), AT)
    assert (entry.record, entry.lease, entry.version, entry.server_time) == (record, lease, 7, AT)
    assert entry.foreign == {}


@given(st.builds(Record), st.builds(Lease, ttl=st.floats(0, 1e6)))
def test_every_leaf_is_text(record: Record, lease: Lease) -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]

    assert {type(leaf) for leaf in leaves(encode(record, lease, "n", {}))} == {str}


def test_none_may_be_left_out_because_it_is_the_default_wherever_it_is_allowed() -> None:
    kinds = [
        Record,
        *(kind for kind in vars(records).values() if isinstance(kind, type) and hasattr(kind, "__slots__")),
    ]
    for kind in (kind for kind in kinds if hasattr(kind, "__dataclass_fields__")):
        hints = get_type_hints(kind)
        for field in (field for field in fields(kind) if field.init):
            if type(None) in getattr(hints[field.name], "__args__", ()):
                assert field.default is None, f"{kind.__name__}.{field.name}"
            else:
                assert field.default is not MISSING or field.default_factory is MISSING


def test_a_number_beyond_what_a_float_can_hold_survives() -> None:
    record = Record("7f3a2b", rotation=9007199254740993)
    assert decode("blog", 1, through_vault(encode(record, Lease(), "n", {}))).record == record


def test_unknown_keys_are_kept_and_never_hide_ours() -> None:
    document = encode(Record("7f3a2b"), Lease(), "n", {"later": {"a": 1}, "phase": "held", "nonce": "old"})
    assert document["later"] == {"a": 1}
    assert (document["phase"], document["nonce"]) == ("settled", "n")
    assert decode("blog", 1, document).foreign == {"later": {"a": 1}}


def test_what_is_absent_takes_its_default() -> None:
    entry = decode("blog", 1, {"schema": "1", "lineage": "7f3a2b"})
    assert (entry.record, entry.lease) == (Record("7f3a2b"), Lease())


def test_a_newer_schema_is_refused_for_the_one_reason_an_operator_can_act_on() -> None:
    with pytest.raises(Refused, match=r"newer rotator \(schema 2\): read-only"):
        decode("blog", 1, {"schema": "2", "phase": {"entirely": "different"}})


PUBLISHED = PublishedValue(
    token=Token("t"),
    fingerprint="f",
    rotation=1,
    version=1,
    at=AT,
    place=VaultPath("secret", "a"),
    target="blog",
    policy="1:p",
)
SOUND = through_vault(encode(Record("7f3a2b", current=PUBLISHED, requested_at=AT), Lease("me"), "n", {}))
PROVEN = {
    "phase": "verified",
    "candidate": {"token": {"id": "t2"}, "fingerprint": "p", "slot_version": "2"},
    "verified_at": AT.isoformat(),
    "expected_version": "1",
}
WORD = "canary-typed-by-hand"


@pytest.mark.parametrize(
    ("damage", "key"),
    [
        ({"schema": None}, "schema"),
        ({"schema": 1}, "schema"),
        ({"schema": WORD}, "schema"),
        ({"phase": WORD}, "phase"),
        ({"rotation": WORD}, "rotation"),
        ({"rotation": ["1"]}, "rotation"),
        ({"requested_at": WORD}, "requested_at"),
        ({"requested_at": "2026-03-01T12:00:00"}, "requested_at"),
        ({"mints": WORD}, "mints"),
        ({"mints": ["2026-03-01T12:00:00Z", WORD]}, "mints"),
        ({"mints": ["2026-03-01T12:00:00"]}, "mints"),
        ({"current": WORD}, "current"),
        ({"current": {"fingerprint": WORD}}, "current"),
        ({"current": SOUND["current"] | {"version": WORD}}, "current.version"),
        ({"current": SOUND["current"] | {"place": ["secret"]}}, "current.place"),
        ({"current": SOUND["current"] | {"at": "2026-03-01T12:00:00"}}, "current.at"),
        ({"emergency": WORD}, "emergency"),
        ({"lease": WORD}, "lease"),
        ({"lease": {"seq": WORD}}, "seq"),
        ({"lineage": 7}, "lineage"),
        ({"phase": "\ud800"}, "half a character"),
        ({"schema": "9" * 5000}, "newer rotator"),
        ({"requested_at": "9999-12-31T23:59:59Z"}, "requested_at"),
        ({"requested_at": "0001-01-01T00:00:00Z"}, "requested_at"),
        ({"grace": "P99999999D", **PROVEN}, "grace"),
        ({"lease": {"ttl": "9" * 30}}, "lease.ttl"),
        ({"lease": {"ttl": "-1"}}, "lease.ttl"),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_damage_is_refused_by_the_name_of_its_key_and_without_its_value(damage: dict[str, Any], key: str) -> None:
    with pytest.raises(Refused) as caught:
        decode("blog", 1, SOUND | damage)
    assert key in caught.value.reason
    assert WORD not in caught.value.reason
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_missing_lineage_is_refused() -> None:
    with pytest.raises(Refused, match="`lineage` is missing"):
        decode("blog", 1, {key: value for key, value in SOUND.items() if key != "lineage"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(SOUND)), json_values)
def test_no_hand_edit_of_any_key_ends_in_anything_but_an_entry_or_a_refusal(key: str, value: object) -> None:
    try:
        entry = decode("blog", 1, SOUND | {key: value})
    except Refused:
        return
    assert entry.record is not None
    assert isinstance(entry.record.phase, Phase)
    through_vault(encode(entry.record, entry.lease, "n", entry.foreign))


def test_a_text_that_no_honest_record_holds_is_refused_by_its_key() -> None:
    with pytest.raises(Refused, match="the value of `asked_by` is longer than 16384 characters"):
        decode("blog", 1, SOUND | {"asked_by": "a" * 16_385})
    held = {"reason": "needs_person", "text": "a" * 70_000, "phase": "settled", "at": AT.isoformat()}
    with pytest.raises(Refused, match=r"`held\.text`"):
        decode("blog", 1, SOUND | {"phase": "held", "held": held})


# --- schema 1, which is flat ----------------------------------------------------------------------------------------


def test_records_that_the_rules_reach_are_the_same_through_its_document_and_so_is_the_document() -> None:
    for reached in reachable()[::5]:
        document = through_vault(encode(reached.record, Lease(), "n", {}))
        found = decode("blog", 1, document).record
        assert found == reached.record
        assert encode(found, Lease(), "n", {}) == document


def test_what_a_phase_has_no_room_for_is_forgotten_where_it_means_nothing() -> None:
    left = {"awaiting": "paste", "verified_at": AT.isoformat(), "grace": "PT1H", "ready_at": AT.isoformat()}
    entry = decode("blog", 1, SOUND | left)
    assert entry.record == decode("blog", 1, SOUND).record
    assert not entry.foreign.keys() & left


@pytest.mark.parametrize("phase", ["settled", "requested", "published"])
def test_a_candidate_where_none_can_be_is_swept(phase: str) -> None:
    found = decode("blog", 1, SOUND | {"phase": phase, "candidate": PROVEN["candidate"]}).record
    assert found is not None
    assert (found.phase, found.candidate, found.strays, found.slot_full) == (phase, None, True, True)


def test_a_target_that_refuses_what_is_published_does_so_although_nothing_is_to_come() -> None:
    found = decode("blog", 1, SOUND | {"cut_over_at": AT.isoformat()}).record
    assert found is not None
    assert found.refused_at == AT
    begun = decode("blog", 1, SOUND | {"phase": "requested", "cut_over_at": AT.isoformat()}).record
    assert begun is not None
    assert (begun.refused_at, begun.cut_over_at) == (None, AT)


HOLD = {"reason": "needs_person", "text": "look", "phase": "settled", "at": AT.isoformat()}


IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "held, and nobody knows why": ({"phase": "held"}, "its `phase` is held, and `held` is missing"),
    "a hold beside another phase": ({"held": HOLD}, "its `phase` is settled, and `held` is there"),
    "a hold below a hold": ({"phase": "held", "held": HOLD | {"phase": "held"}}, "the value of `held.phase`"),
    "proven, and nothing in hand": (PROVEN | {"candidate": None}, "the value of `candidate`"),
    "staged, and nothing in hand": ({"phase": "staged"}, "`candidate` is missing"),
    "proven, over no version": (
        {key: each for key, each in PROVEN.items() if key != "expected_version"},
        "`expected_version` is missing",
    ),
    "awaited, since nobody knows when": ({"phase": "awaiting", "awaiting": "paste"}, "`awaiting_since` is missing"),
    "taken back by nobody": ({"phase": "undoing"}, "`undo` is missing"),
    "published, and nothing is": ({"phase": "published", "current": None}, "and `current` is missing"),
}


@pytest.mark.parametrize(("damage", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_is_refused_by_what_is_wrong(damage: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused) as caught:
        decode("blog", 1, SOUND | damage)
    assert said in caught.value.reason


# --- beside the first release ---------------------------------------------------------------------------------------


def test_words_that_the_first_release_does_not_know_are_read_by_it_as_others_and_here_as_they_are() -> None:
    two = Held(HoldReason.TWO_VAULTS, "two", AT, SettledState())
    for record in (Record("7f3a2b", why=Trigger.LOST), Record("7f3a2b", why=Trigger.LOST, state=two)):
        document = through_vault(encode(record, Lease(), "n", {}))
        assert document["why"] == "missing"
        assert document.get("held", {}).get("reason") in (None, "needs_person")
        assert decode("blog", 1, document).record == record
    begun = document | {"why": "aged"}  # by the first release, which keeps the key that it does not know
    found = decode("blog", 1, begun).record
    assert found is not None
    assert found.why is Trigger.AGED


def test_what_the_first_release_let_grow_old_is_not_believed() -> None:
    lost = LostValue(HoldReason.DELETED, VaultPath("secret", "a"), AT)
    record = Record("7f3a2b", current=PUBLISHED, lost=lost, grace_from=AT, requested_told=AT, emergency_mints=(AT,))
    record = replace(record, in_spite_of="freeze xmas")
    document = through_vault(encode(record, Lease(seq=4), "n", {}))
    assert decode("blog", 1, document).record == record
    found = decode("blog", 2, document | {"lease": {"holder": "old", "seq": "5", "ttl": "30.0"}}).record
    assert found == replace(record, lost=None, grace_from=None, requested_told=None, in_spite_of="")
