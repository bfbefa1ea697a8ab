"""What holds in every history: random walks in which each event answers the step that was decided.

A walk is a tape of numbers. Each number picks what happens next: an answer of the world, a crash, an ask, a wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from rotator.rotation import adoption, lost_value, steps, undo
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential, Limits, Retirement
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.pause import pause_on
from rotator.rotation.record import Candidate, HoldReason, Phase, PublishedValue, Record, Token
from rotator.rotation.rotation_request import RotationRequest, live_values, objection
from rotator.rotation.transitions import advance
from tests.unit.rotation.builders import DAY, HOUR, NOW, PLACE, SECOND, STEM, credential, steady

CREDENTIALS = (
    credential(),
    credential(rotating_options={"roles": ["editor"]}),
    credential(limits=Limits(mints_per_rotation=2, mints_per_day=3)),
    credential(target="other"),
    credential(retire=Retirement(after=SECOND)),
)
TAPES = st.lists(st.integers(0, 10**6), max_size=120)


@dataclass
class Walk:
    """A record on its way; `worlds` are the answers the target and Vault may give to each step."""

    credential: Credential = CREDENTIALS[0]
    record: Record = field(default_factory=lambda: Record("l1"))
    now: Any = NOW
    ask: RotationRequest | None = None
    published: int = 0
    reload: bool = False
    expires: bool = False  # a kind whose tokens nobody can revoke: they end by their date
    installs: bool = False  # a kind whose values are made here
    lived: list[tuple[Record, ev.Event, Record]] = field(default_factory=list)

    def live(self, event: ev.Event) -> None:
        before, self.record = self.record, advance(self.record, event)
        self.lived.append((before, event, self.record))

    def step(self) -> steps.Step:
        return next_step(self.credential, self.record, self.now, self.ask)

    def move(self, number: int) -> None:
        """One thing happens."""
        self.now += timedelta(milliseconds=number % 3000)
        if number % 11 == 0:
            self.live(ev.Resumed(self.now, self.now if number % 2 else None))
        elif number % 13 == 0:
            self.ask = RotationRequest(self.now, "ada", emergency=number % 2 == 0)
        elif number % 23 == 0:
            self.request(number)
        elif number % 19 == 0:
            self.obey(number)
        elif number % 29 == 0 and self.record.phase in lost_value.WATCHED and self.record.current:
            self.live(
                ev.Returned(self.now, PLACE) if self.record.lost else ev.Lost(self.now, _LOSSES[number % 2], PLACE)
            )
        elif number % 17 == 0 and self.reload:
            self.credential = CREDENTIALS[number % len(CREDENTIALS)]
        else:
            self.go_on(number)

    def request(self, number: int) -> None:
        """An operator's request is taken up from Vault."""
        live = live_values(self.record)
        emergency, patient = number % 2 == 0, number % 3 == 0
        wanted = OperatorRequest(
            f"r{len(self.lived)}", RequestVerb.ROTATE, self.now, "ada", emergency, patient, live=live
        )
        refused = objection(self.credential, self.record, wanted, self.now)
        self.live(ev.RequestDeclined(self.now, wanted, refused) if refused else ev.RequestTaken(self.now, wanted))

    def obey(self, number: int) -> None:
        """An operator says something; what the rules refuse changes nothing."""
        word = number % 5
        if word == 0:
            self.live(ev.Paused(self.now, "ada", "", self.now + HOUR if number % 3 else None))
        elif word == 1:
            self.live(ev.Unpaused(self.now, "ada"))
        elif word == 2 and not undo.objection(self.credential, self.record, self.now):
            self.live(ev.UndoBegun(self.now, "ada", number % 3 == 0, PLACE, self.now + SECOND))
        elif number % 57 == 0 and self.record.stem:
            self.live(ev.Claimed(self.now, "ada", self.record.lineage + "x"))
        elif word == 3 and not adoption.objection(self.record):
            self.live(ev.Adopted(self.now, "ada", self.found(number), STEM, self.now + self.credential.retire.after))
        elif word == 4:
            self.live(ev.Reaped(self.now, "stray-1", "ada"))

    def found(self, number: int) -> PublishedValue:
        """What somebody else wrote to the consumer path."""
        self.published += 1
        token, policy = Token(f"by-hand-{number}-{self.published}"), self.credential.policy
        rotation, target = self.record.rotation, self.credential.target
        return PublishedValue(token, token.id, rotation, self.published, self.now, PLACE, target, policy, reused=True)

    def go_on(self, number: int) -> None:
        step = self.step()
        if isinstance(step, steps.Wait):
            self.rest(step)
            return
        answers = [*_ANSWERS[type(step)](self, step), ev.Faulted(self.now, type(step).__name__.lower(), "503")]
        if isinstance(step, steps.Escalate | steps.Hold):
            answers.pop()
        self.live(answers[number % len(answers)])

    def rest(self, wait: steps.Wait) -> None:
        if self.record.phase is Phase.HELD:
            self.live(ev.Released(self.now, "ada"))
        elif self.record.phase is Phase.AWAITING and self.record.candidate is None and self.now.minute % 2:
            self.live(_minted(self))
        self.now = max(self.now + HOUR, wait.until or self.now)


def _request(walk: Walk, step: steps.Request) -> Iterator[ev.Event]:
    policy = walk.credential.policy
    yield ev.Requested(
        walk.now, step.why, step.detail, step.asked_by, step.emergency, STEM, PLACE, walk.credential.target, policy
    )
    yield ev.PutOnHold(walk.now, HoldReason.FOREIGN_WRITE, "not ours")


def _minted(walk: Walk) -> ev.Staged:
    name = walk.record.mint_name
    life = DAY if walk.expires else 90 * DAY
    token = Token(name.removeprefix(STEM), name, expires_at=walk.now + life)
    pending = walk.installs and walk.record.phase is not Phase.AWAITING
    return ev.Staged(walk.now, Candidate(token, f"print of {name}", walk.record.slot_version + 1, pending))


def _restore(walk: Walk, step: steps.Restore) -> Iterator[ev.Event]:
    old = walk.record.predecessor
    assert old
    yield ev.Restored(walk.now, Candidate(old.token, old.fingerprint, 0))
    yield ev.UndoFailed(walk.now, "deleted at the target")


def _mint(walk: Walk, step: steps.Mint) -> Iterator[ev.Event]:
    yield _minted(walk)
    yield ev.MintLost(walk.now, "not staged")
    yield ev.MintRefused(walk.now, "quota")
    yield ev.Awaited(walk.now, "press the button")


def _look(walk: Walk, step: steps.Look) -> Iterator[ev.Event]:
    yield ev.NotMinted(walk.now, step.resend)
    yield _minted(walk)
    yield ev.MintLost(walk.now, "no secret")


def _install(walk: Walk, step: steps.Install) -> Iterator[ev.Event]:
    assert walk.record.candidate
    cut = walk.now if walk.published % 2 else None
    yield ev.Installed(walk.now, walk.record.candidate.token, walk.now + SECOND, cut)
    yield ev.Awaited(walk.now, "paste the key")
    yield ev.CandidateRejected(walk.now, "not installed")
    yield ev.PutOnHold(walk.now, HoldReason.FOREIGN_WRITE, "not ours")


def _poll(walk: Walk, step: steps.Poll) -> Iterator[ev.Event]:
    if walk.record.candidate is None:
        yield ev.NotMinted(walk.now, resend=True)
        yield ev.Reminded(walk.now, "press the button")
        return
    yield ev.Verified(walk.now, walk.published)
    yield ev.Installed(walk.now, walk.record.candidate.token, walk.now)
    yield ev.Reminded(walk.now, "paste the key") if step.remind else ev.Polled(walk.now, walk.now + HOUR, "401")


def _verify(walk: Walk, step: steps.Verify) -> Iterator[ev.Event]:
    yield ev.Verified(walk.now, walk.published)
    yield ev.CandidateRejected(walk.now, "401")
    yield ev.PutOnHold(walk.now, HoldReason.DELETED, "gone")


def _publish(walk: Walk, step: steps.Publish) -> Iterator[ev.Event]:
    walk.published += 1
    yield ev.Published(walk.now, walk.published, walk.now + walk.credential.retire.after)
    yield ev.Overtaken(walk.now, walk.published)
    yield ev.CandidateRejected(walk.now, "401")
    yield ev.PutOnHold(walk.now, HoldReason.FOREIGN_WRITE, "not ours")


def _fence(walk: Walk, step: steps.Fence) -> Iterator[ev.Event]:
    walk.published += 1
    yield ev.Fenced(walk.now, walk.published)
    yield ev.Published(walk.now, walk.published, walk.now + walk.credential.retire.after)


def _condemn(walk: Walk, step: steps.Condemn) -> Iterator[ev.Event]:
    if walk.expires:
        assert walk.record.predecessor
        yield ev.LeftToExpire(walk.now, walk.record.predecessor.token.expires_at or walk.now)
        return
    yield ev.Condemned(walk.now, "quiet")
    yield ev.Deferred(walk.now, walk.now + HOUR, "in use")
    yield ev.Disproved(walk.now, "401")
    yield ev.PutOnHold(walk.now, HoldReason.STILL_USED, "in use")


def _revoke(walk: Walk, step: steps.Revoke) -> Iterator[ev.Event]:
    old = walk.record.predecessor
    assert old
    yield ev.Retired(walk.now, "refused")
    if old.token.expires_at:
        yield ev.LeftToExpire(walk.now, old.token.expires_at, "its revocation is refused")
    yield ev.LeftToPerson(walk.now, "click on Revoke")
    yield ev.PutOnHold(walk.now, HoldReason.FOREIGN_WRITE, "put back")


def _look_whether_ended(walk: Walk, step: steps.LookWhetherEnded) -> Iterator[ev.Event]:
    yield ev.Ended(walk.now, step.token, "refused")
    yield ev.NotEnded(walk.now, step.token)


_LOSSES = (HoldReason.FOREIGN_WRITE, HoldReason.DELETED)

# the first answer of each step is the good one
_ANSWERS: dict[type[steps.Act], Callable[[Walk, Any], Iterator[ev.Event]]] = {
    steps.Request: _request,
    steps.Escalate: lambda walk, step: iter([ev.Escalated(walk.now, step.asked_by)]),
    steps.Mint: _mint,
    steps.Restore: _restore,
    steps.Look: _look,
    steps.Install: _install,
    steps.Poll: _poll,
    steps.Verify: _verify,
    steps.Publish: _publish,
    steps.Fence: _fence,
    steps.Condemn: _condemn,
    steps.Revoke: _revoke,
    steps.Reopen: lambda walk, step: iter([ev.Reopened(walk.now, step.token)]),
    steps.LookWhetherEnded: _look_whether_ended,
    steps.Burn: lambda walk, step: iter([ev.Burned(walk.now, (), step.give_up)]),
    steps.Sweep: lambda walk, step: iter([ev.Swept(walk.now, ())]),
    steps.Hold: lambda walk, step: iter([ev.PutOnHold(walk.now, step.reason, step.text)]),
}


def walked(tape: list[int], *, reload: bool = False) -> Walk:
    credential = CREDENTIALS[sum(tape) % 3]  # those of one target
    walk = Walk(reload=reload, credential=credential, expires=sum(tape) % 4 == 0, installs=sum(tape) % 2 == 1)
    for number in tape:
        walk.move(number)
    return walk


@steady
@given(TAPES)
def test_every_reachable_record_has_a_next_step_and_words_for_it(tape: list[int]) -> None:
    walk = walked(tape, reload=True)
    assert isinstance(walk.step(), steps.Step)
    assert all(walk.record.phase in Phase and text for text in explain(walk.credential, walk.record, walk.now))


@steady
@given(TAPES)
def test_only_staging_or_an_operator_adds_a_live_token_and_only_one(tape: list[int]) -> None:
    for before, event, after in walked(tape, reload=True).lived:
        assert after.live <= before.live + isinstance(event, ev.Staged | ev.UndoBegun | ev.Adopted)


@steady
@given(TAPES)
def test_numbers_never_go_back_and_no_name_is_used_by_two_tokens(tape: list[int]) -> None:
    walk = walked(tape, reload=True)
    for before, _, after in walk.lived:
        assert (before.rotation, before.attempt) <= (after.rotation, after.attempt)
    names = [event.candidate.token.name for _, event, _ in walk.lived if isinstance(event, ev.Staged)]
    assert len(names) == len(set(names))


@steady
@given(TAPES)
def test_minting_is_bounded_per_rotation_and_per_day(tape: list[int]) -> None:
    walk = walked(tape)
    limits = walk.credential.limits
    for before, event, after in walk.lived:
        assert after.sends <= limits.mints_per_rotation
        for mints, mints_before in (
            (after.mints, before.mints),
            (after.emergency_mints, before.emergency_mints),
        ):
            authorised = len(mints) > len(mints_before) or after.sent_at != before.sent_at
            assert not authorised or sum(at > event.at - DAY for at in mints) <= limits.mints_per_day


@steady
@given(TAPES)
def test_an_emergency_that_was_taken_up_is_over_only_when_every_value_that_was_live_is_dead(tape: list[int]) -> None:
    for before, _, after in walked(tape, reload=True).lived:
        if before.asked and before.asked.emergency and after.asked is None:
            in_vain = {each.value.token.id for each in after.left if each.leaked and not each.again}
            assert not set(live_values(after)) & set(before.asked.live) - in_vain


@steady
@given(TAPES)
def test_what_was_asked_for_stays_asked_for_until_it_is_published_or_given_up(tape: list[int]) -> None:
    for before, event, after in walked(tape, reload=True).lived:
        if before.asked and not before.asked.emergency and after.asked is None:
            published = after.current and after.current.at >= before.asked.at
            assert published or after.given_up > before.given_up or isinstance(event, ev.UndoBegun)


@steady
@given(TAPES)
def test_what_is_published_changes_by_publishing_only_and_a_predecessor_ends_by_retiring_only(tape: list[int]) -> None:
    for before, event, after in walked(tape, reload=True).lived:
        if after.current != before.current:
            assert isinstance(event, ev.Published | ev.Adopted)
        if before.undo and isinstance(event, ev.Published):
            assert after.current.token == before.predecessor.token
            assert after.predecessor == before.current
            continue
        if before.predecessor and after.predecessor != before.predecessor:
            if before.ends_at:
                assert isinstance(event, ev.Retired | ev.Published | ev.RequestTaken | ev.Reopened)
                assert not isinstance(event, ev.Retired) or event.at >= before.ends_at
            else:
                assert isinstance(event, ev.Retired | ev.LeftToPerson | ev.LeftToExpire)
                assert before.phase is Phase.CONDEMNED


@steady
@given(TAPES)
def test_what_is_left_to_a_person_stays_known_until_it_is_dead_or_published_again(tape: list[int]) -> None:
    for before, event, after in walked(tape, reload=True).lived:
        gone = {each.value.token.id for each in before.unended} - {each.value.token.id for each in after.unended}
        if gone and isinstance(event, ev.Published | ev.Adopted):
            assert after.current
            assert {each.value.fingerprint for each in before.unended if each.value.token.id in gone} == {
                after.current.fingerprint
            }
        elif gone:
            assert isinstance(event, ev.Ended)
            assert gone == {event.token}


@steady
@given(TAPES)
def test_what_is_left_to_its_date_stays_known_until_it_is_dead_or_published_again(tape: list[int]) -> None:
    for before, event, after in walked(tape, reload=True).lived:
        for each in before.left:
            here = each.value.token.id in {x.token.id for x in after.published}
            assert here or (isinstance(event, ev.Ended) and event.token == each.value.token.id)
        if isinstance(event, ev.LeftToExpire) and event.reason:
            assert before.predecessor in [x.value for x in after.left]


@steady
@given(TAPES)
def test_a_candidate_exists_exactly_where_a_phase_needs_one(tape: list[int]) -> None:
    for _, _, after in walked(tape, reload=True).lived:
        phase = after.held.state.phase if after.held else after.phase
        assert (after.phase is Phase.HELD) is (after.held is not None)
        if phase in (Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED):
            assert after.candidate
        if phase in (Phase.INSTALLED, Phase.VERIFIED):
            assert not after.candidate.pending
        if phase in (Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED):
            assert after.candidate is None


@steady
@given(TAPES)
def test_grace_is_never_cut_short_except_in_an_emergency(tape: list[int]) -> None:
    for before, event, _ in walked(tape, reload=True).lived:
        if isinstance(event, ev.Condemned) and not before.emergency:
            assert event.at >= before.grace_ends


@steady
@given(TAPES)
def test_nothing_begins_and_nothing_ends_while_it_is_paused_except_in_an_emergency(tape: list[int]) -> None:
    for before, event, after in walked(tape, reload=True).lived:
        if pause_on(credential(), before, event.at) and isinstance(event, ev.Requested | ev.Condemned | ev.Retired):
            dead_by_its_date = isinstance(event, ev.Retired) and before.ends_at is not None
            assert before.emergency or after.emergency or dead_by_its_date


@steady
@given(TAPES)
def test_what_an_undo_goes_back_to_is_never_burned(tape: list[int]) -> None:
    for before, event, _ in walked(tape, reload=True).lived:
        assert not (before.undo and isinstance(event, ev.Burned))
        assert not (before.undo and before.phase is Phase.REJECTED)


def at_rest(walk: Walk) -> bool:
    record = walk.record
    pausing = record.retry_at is not None and record.retry_at > walk.now
    return record.phase is Phase.SETTLED and not pausing and isinstance(walk.step(), steps.Wait)


@steady
@given(TAPES)
def test_once_the_world_answers_well_every_history_ends_settled_with_one_live_token(tape: list[int]) -> None:
    walk = walked(tape)
    walk.live(ev.Unpaused(walk.now, "ada"))
    for _ in range(60):
        walk.now += DAY if walk.record.phase is Phase.HELD else SECOND  # a person looks once a day, and releases
        if at_rest(walk):
            break
        walk.go_on(0)
    assert walk.record.phase is Phase.SETTLED
    assert walk.record.live == 1 + (walk.record.ends_at is not None) + len(walk.record.left)
    assert not any(each.again for each in walk.record.left)
    assert walk.record.ends_at is None or walk.record.ends_at > walk.now
    assert not walk.record.slot_full


def test_the_walks_come_through_every_phase_and_every_event() -> None:
    lived = [x for seed in range(40) for x in walked([seed * 7919 * n % 99991 for n in range(1, 150)]).lived]
    assert {after.phase for _, _, after in lived} == set(Phase)
    assert {type(event) for _, event, _ in lived} == set(get_args(ev.Event))
