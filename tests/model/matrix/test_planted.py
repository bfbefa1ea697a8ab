"""Planted bugs: each is a mistake somebody could make in the engine, and a cell of the matrix must find it."""

from __future__ import annotations

from rotator.providers.oauth.registration import Registration, _Held
from rotator.rotation import decide, procedures, steps
from rotator.rotation import events as ev
from rotator.rotation.procedures import install, publish, retire
from rotator.rotation.procedures.calls import ReadConsumer, RevokeToken
from tests.kit import promises
from tests.model.matrix.faults import Cell, Trouble
from tests.model.matrix.kinds import Kind
from tests.model.matrix.run import perform as play
from tests.model.matrix.stories import STORIES
from tests.model.matrix.wire import Point


def broken(kind: Kind, step: str, call: str, trouble: Trouble, name: str = "a rotation", nth: int = 1) -> str:
    """What breaks in this cell."""
    story = next(each for each in STORIES if each.kind is kind and each.name == name)
    return play(story, Cell(Point(step, call, nth), trouble)).broken


def verify_and_publish(seen, record, step):
    """No `verified` record: the proof is followed by the write at once."""
    event = yield from publish.verify(seen, record, step)
    if not isinstance(event, ev.Verified):
        return event
    return (yield from publish.publish(seen, record, steps.Publish(event.expected_version, reprove=False)))


def test_no_authorisation_record_before_publishing_is_caught(monkeypatch):
    assert not broken(Kind.NAMED, "Verify", "verify", Trouble.OVERTAKEN)
    monkeypatch.setitem(procedures._PROCEDURES, steps.Verify, verify_and_publish)
    assert broken(Kind.NAMED, "Verify", "verify", Trouble.OVERTAKEN).startswith("I4")


def test_no_clean_up_after_a_mint_without_an_answer_is_caught(monkeypatch):
    def burn(seen, record, step):
        yield from ()
        return ev.Burned(seen.at, (), step.give_up)

    def nothing(seen, record, tokens):
        yield from ()
        return ()

    monkeypatch.setitem(procedures._PROCEDURES, steps.Burn, burn)
    monkeypatch.setattr(retire, "reap", nothing)
    # the job that would mend it in an hour
    monkeypatch.setattr("tests.model.matrix.world.World.sweep", lambda world: None)
    assert broken(Kind.NAMED, "Mint", "mint", Trouble.LOST_AFTER).startswith("I3")


def test_minting_again_without_a_look_is_caught(monkeypatch):
    monkeypatch.setattr(decide, "_requested", lambda wanted, record, *_: steps.Mint(record.mint_name))
    assert broken(Kind.NAMED, "Mint", "mint", Trouble.LOST_BEFORE).startswith("I4")


def test_an_old_value_that_is_not_put_back_is_caught(monkeypatch):
    def burned(seen, record, step):
        yield from ()
        return ev.Burned(seen.at, (), step.give_up)

    monkeypatch.setattr(install, "put_back", burned)
    assert broken(Kind.ONE_SLOT, "Verify", "verify", Trouble.FORBIDDEN).startswith("I3")
    monkeypatch.setattr(promises, "claims", lambda *_: ())  # who takes the record's word finds it a moment later
    assert broken(Kind.ONE_SLOT, "Verify", "verify", Trouble.FORBIDDEN).startswith("I1")


def test_a_retirement_that_does_not_look_what_consumers_read_is_caught(monkeypatch):
    def revoke(seen, record, step):
        yield from RevokeToken(record.target, record.current.token)
        return ev.Retired(seen.at, "asked for")

    monkeypatch.setitem(procedures._PROCEDURES, steps.Revoke, revoke)
    assert broken(Kind.NAMED, "Revoke", "write journal", Trouble.STOP).startswith("I4")


def test_a_pause_that_ignores_retry_after_is_caught(monkeypatch):
    faulted = ev.Faulted

    monkeypatch.setattr(
        "rotator.rotation.observation.Observation.faulted",
        lambda seen, step, reason, retry_after=None, **_: faulted(seen.at, step, reason),
    )
    assert broken(Kind.NAMED, "Revoke", "revoke", Trouble.BUSY).startswith("429")


def test_a_registration_token_that_is_not_written_down_at_once_is_caught(monkeypatch):
    async def keep(registration, held, fresh, kept):
        return _Held(held.document, fresh)

    assert not broken(Kind.REGISTERED, "Install", "get client", Trouble.LOST_BEFORE, nth=2)
    monkeypatch.setattr(Registration, "_keep", keep)
    assert broken(Kind.REGISTERED, "Install", "get client", Trouble.LOST_BEFORE, nth=2).startswith("I3")


def ends_by_value(name: str) -> str:
    """What breaks in a story of a target that ends tokens by their value, without a further fault."""
    return play(next(each for each in STORIES if each.kind is Kind.BY_VALUE and each.name == name)).broken


def test_a_server_that_is_believed_when_it_says_yes_is_caught(monkeypatch):
    def believed(*_):
        yield from ()
        return True, "the server says so"

    monkeypatch.setattr(retire, "_is_dead", believed)
    assert ends_by_value("a server ends nothing").startswith("I2")


def test_showing_the_published_value_to_end_its_predecessor_is_caught(monkeypatch):
    def newest(seen, *_, **__):
        doc = yield from ReadConsumer(seen.credential.place)
        return doc.secret(seen.credential.key)

    monkeypatch.setattr(retire, "published_value", newest)
    assert ends_by_value("a rotation").startswith("I4")
