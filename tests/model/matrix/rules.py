"""What every cell must come to: rules in order, the first that fits decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.model.matrix.faults import Cell, Trouble
from tests.model.matrix.kinds import Kind
from tests.model.matrix.stories import Story
from tests.model.matrix.world import TOKEN_LOST

GOES_ON, AGAIN, VISIT_AGAIN, ANOTHER = "goes on", "step again", "visit again", "another goes on"
ATTEMPT, ROTATION, LEFT_OVER = "next attempt", "next rotation", "next rotation, one left over"
FOREIGN, DELETED, PERSON = "held: foreign_write", "held: deleted_by_operator", "held: needs_person"
KEPT, WAITS = "not taken back", "waits longer"
T = Trouble
TOKEN = TOKEN_LOST


@dataclass(frozen=True, slots=True)
class Rule:
    """`outcome`, wherever all that is given fits; `why`: what a reader may ask."""

    outcome: str
    why: str
    troubles: frozenset[Trouble] = frozenset()
    calls: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    stories: frozenset[str] = frozenset()
    points: frozenset[str] = frozenset()

    def fits(self, story: Story, cell: Cell) -> bool:
        """What is left empty fits all."""
        asked: tuple[tuple[frozenset[Any], Any], ...] = (
            (self.troubles, cell.trouble),
            (self.calls, cell.point.call),
            (self.steps, cell.point.step),
            (self.kinds, story.kind),
            (self.stories, story.name),
            (self.points, str(cell.point)),
        )
        return all(not wanted or found in wanted for wanted, found in asked)


def _rule(outcome: str, why: str, *troubles: Trouble, **where: str) -> Rule:
    """`where`: names apart by `|`, of calls, steps, kinds, stories or points."""
    return Rule(outcome, why, frozenset(troubles), **{key: frozenset(text.split("|")) for key, text in where.items()})  # type: ignore[arg-type]  # a kind is its text


OLD, UNDO, REFUSED = "read consumer, an older version", "an undo", "a candidate is refused"
GONE, URGENT, BY_HAND = "a verified candidate is gone", "an emergency in the grace", "a person enters the value"
AGED, DEAF, TOGETHER = "a proof grows old", "a server ends nothing", "a server ends all tokens"
UNPUBLISHED = f"{GONE}|{AGED}"  # stories in which a Publish ends without a publication
JOURNAL = "read journal|write journal"
TOKEN_DOCUMENT = "read registration|write registration"
NEXT_TOKEN = "Install: write registration (2)|Revoke: write registration (2)"
TOLD = "Install: get client|Install: put client|Install: get client (2)"
LAST_LOOK = "Revoke: get client (3)"
SEEN = f"Install: get client (2)|{LAST_LOOK}"
NO_ANSWER = (T.LOST_BEFORE, T.LOST_AFTER, T.LATE, T.GARBAGE, T.BROKEN, T.BUSY)
NO = (T.REFUSED, T.FORBIDDEN)
UNTRACED = "the visit that broke may have told the old value without a trace: the next one waits for that"

RULES: tuple[Rule, ...] = (
    # a registration access token, which each update replaces (RFC 7592)
    _rule(
        TOKEN,
        "the answer had the next token, and nobody else has it",
        T.LOST_AFTER,
        T.GARBAGE,
        T.KILL_AFTER,
        calls="put client",
    ),
    _rule(TOKEN, "the next token died with the process that was to write it", T.KILL_BEFORE, points=NEXT_TOKEN),
    _rule(TOKEN, "what changes the registration is gone", T.WIPED, T.FOREIGN, calls=TOKEN_DOCUMENT),
    _rule(TOKEN, "what changes the registration is gone", T.DELETED, calls="read registration"),
    _rule(GOES_ON, "a deletion moves no version: the write brings the token back", T.DELETED, calls=TOKEN_DOCUMENT),
    _rule(GOES_ON, "the next token is written over the new version, beside their key", T.LOST_CAS, points=NEXT_TOKEN),
    _rule(AGAIN, "no update is sent that could not be noted", T.LOST_CAS, calls="write registration"),
    _rule(ATTEMPT, "told, but its value cannot be read back to be proven", T.WIPED, points=TOLD),
    _rule(
        ROTATION,
        "a token that was called refused at the last look is told with the next change",
        T.MINTER,
        points=LAST_LOOK,
    ),
    _rule(GOES_ON, "what the set has by now is proven at the token endpoint", *NO, points=SEEN),
    # the look at what consumers find, and at what is renewed
    _rule(VISIT_AGAIN, "the next visit looks again", *NO_ANSWER, *NO, points="Visit: read consumer"),
    _rule(GOES_ON, "nothing is decided by it", T.AHEAD, T.STOPPED, T.OVERTAKEN, points="Visit: read consumer"),
    _rule(ROTATION, "the rotation before is over", T.EMERGENCY, points="Visit: read consumer"),
    _rule(AGAIN, "a target that wants to be called later is not told to mint", T.BUSY, points="Request: verify"),
    _rule(GOES_ON, "whether a good value is renewed is only told", *NO_ANSWER, *NO, points="Request: verify"),
    # what people do to the journal
    _rule(FOREIGN, "a value without a record is a stranger's", T.WIPED, calls=JOURNAL),
    _rule(
        GOES_ON, "a deletion moves no version: the next write brings the journal back", T.DELETED, calls="write journal"
    ),
    _rule(VISIT_AGAIN, "read-only until a person brings the journal back", T.DELETED, T.FOREIGN, calls="read journal"),
    _rule(
        ANOTHER,
        "check-and-set is lost; the next visit reads what is there",
        T.FOREIGN,
        T.LOST_CAS,
        calls="write journal",
    ),
    # what people do to the staged slot
    _rule(
        PERSON,
        "what they entered cannot be read back: they are to enter the old value again",
        T.WIPED,
        T.DELETED,
        T.FOREIGN,
        calls="read staged",
        steps="Poll",
    ),
    _rule(
        GOES_ON,
        "nothing in the slot is counted on at this point",
        T.WIPED,
        T.DELETED,
        T.FOREIGN,
        calls="read staged",
        steps="Look|Sweep",
    ),
    _rule(
        GOES_ON,
        "the slot was empty, or the attempt fails anyway",
        T.WIPED,
        T.DELETED,
        T.FOREIGN,
        calls="read staged",
        stories=f"{GONE}|{REFUSED}",
    ),
    _rule(
        ATTEMPT, "the staged value is gone: burned, and made anew", T.WIPED, T.DELETED, T.FOREIGN, calls="read staged"
    ),
    _rule(
        GOES_ON,
        "the slot is written for the next attempt, whatever it held",
        T.WIPED,
        T.DELETED,
        T.FOREIGN,
        T.LOST_CAS,
        calls="write staged",
    ),
    _rule(GOES_ON, "it was to be emptied anyway", T.WIPED, T.DELETED, T.FOREIGN, calls="destroy staged"),
    _rule(
        ATTEMPT,
        "installed, but its value cannot be read back to be proven",
        T.WIPED,
        calls="install",
        kinds=f"{Kind.TWO_SLOTS}|{Kind.PERSON}",
    ),
    _rule(
        ATTEMPT,
        "the person finds no value to enter, or it was refused once before",
        T.WIPED,
        calls="verify",
        steps="Poll",
    ),
    # what people do to the consumer path
    _rule(
        FOREIGN,
        "the undo is given up; released to be written over, the retirement it came from ends the value before",
        T.WIPED,
        points=f"Restore: read consumer|Restore: {OLD}|Verify: {OLD}|Publish: {OLD}",
    ),
    _rule(
        FOREIGN,
        "released to be written over, the predecessor ends; the next rotation writes a new value",
        T.WIPED,
        calls="read consumer",
        steps="Condemn|Revoke",
    ),
    _rule(
        FOREIGN,
        "the old value cannot be put back: released, a new one is due at once",
        T.WIPED,
        calls=f"read consumer|write consumer|{OLD}",
        steps="Fence|Burn",
        kinds=Kind.ONE_SLOT,
    ),
    _rule(DELETED, "seen by the look, or by the next one", T.WIPED, calls=f"read consumer|write consumer|{OLD}"),
    _rule(
        FOREIGN,
        "the old value cannot be put back",
        T.DELETED,
        calls=f"{OLD}|write consumer",
        steps="Fence|Burn",
        kinds=Kind.ONE_SLOT,
    ),
    _rule(
        FOREIGN,
        "the old value cannot be put back",
        T.DELETED,
        calls="verify",
        steps="Verify",
        stories=REFUSED,
        kinds=Kind.ONE_SLOT,
    ),
    _rule(
        ROTATION,
        "the only value that ends the predecessor was deleted: left to its date, and the next rotation comes first",
        T.DELETED,
        points="Publish: write consumer",
        kinds=Kind.BY_VALUE,
        stories="a rotation",
    ),
    _rule(
        GOES_ON, "a deletion after the look moves no version: nothing can fence it", T.DELETED, calls="write consumer"
    ),
    _rule(GOES_ON, "the look was before it", T.DELETED, calls=OLD, steps="Publish"),
    _rule(
        DELETED, "nothing of it is looked at before the next rotation", T.DELETED, steps="Condemn", kinds=Kind.EXPIRING
    ),
    _rule(
        FOREIGN,
        "what was published is not there: the predecessor lives until that is cleared up",
        T.DELETED,
        calls=f"read consumer|verify|inspect|{OLD}",
        steps="Condemn",
    ),
    _rule(
        FOREIGN,
        "what was published is not there: the predecessor lives until that is cleared up",
        T.DELETED,
        calls="read consumer",
        steps="Revoke",
    ),
    _rule(
        FOREIGN,
        "the revocation is tried again, and what was published is not there by then",
        T.DELETED,
        calls=f"{OLD}|revoke|is_dead|verify",
        steps="Revoke",
        stories=f"{DEAF}|{TOGETHER}",
    ),
    _rule(
        FOREIGN,
        "the undo is given up, and the retirement it came from sees it",
        T.DELETED,
        calls=f"read consumer|{OLD}",
        steps="Restore",
    ),
    _rule(DELETED, "seen by the next look, which may be the next rotation's", T.DELETED),
    _rule(FOREIGN, "never written over: seen by the next look, which may be the next rotation's", T.FOREIGN),
    _rule(GOES_ON, "nothing in the slot is counted on at this point", T.WIPED),
    _rule(
        AGAIN,
        "somebody else's key came in between: look, then write over the new version",
        T.LOST_CAS,
        calls="write consumer",
    ),
    # the target
    _rule(ATTEMPT, "an earlier mint of ours, or a stranger's token: burned, next attempt", T.DUPLICATE),
    _rule(
        ROTATION,
        "nothing was made and nothing will be: given up, begun again after a pause",
        *NO,
        T.MINTER,
        calls="mint",
    ),
    _rule(
        ATTEMPT,
        "a token may live under the name: its value is lost, burned",
        T.LOST_AFTER,
        T.LATE,
        T.GARBAGE,
        calls="mint",
        kinds=Kind.NAMED,
    ),
    _rule(
        GOES_ON,
        "the person had entered it already",
        T.LOST_AFTER,
        T.GARBAGE,
        T.KILL_AFTER,
        T.OVERTAKEN,
        calls="install",
        kinds=Kind.PERSON,
    ),
    _rule(AGAIN, "what was put back must be accepted", *NO, points="Burn: verify (2)"),
    _rule(GOES_ON, "not accepted: the old value is put back, and proven", *NO, calls="verify", steps="Burn"),
    _rule(AGAIN, "what must serve again is put back until it does", *NO, calls="install", steps="Burn"),
    _rule(ATTEMPT, "the target does not take it", *NO, calls="install"),
    _rule(KEPT, "it cannot be brought back", *NO, calls="restore"),
    _rule(KEPT, "the value before is not accepted: what is published stays", *NO, calls="verify", stories=UNDO),
    _rule(
        LEFT_OVER,
        "refused for good, replaced; where nothing can be listed its slot is not ended",
        *NO,
        calls="verify",
        steps="Condemn",
        kinds=Kind.TWO_SLOTS,
    ),
    _rule(GOES_ON, "a new value is on its way already", *NO, calls="verify", stories=URGENT),
    _rule(ROTATION, "what is published is refused: a new one is due at once", *NO, calls="verify", steps="Condemn"),
    _rule(
        GOES_ON,
        "it is refused anyway, or proven again",
        *NO,
        calls="verify",
        steps="Poll|Verify",
        stories=f"{REFUSED}|{BY_HAND}",
    ),
    _rule(ATTEMPT, "refused for good: burned", *NO, calls="verify", steps="Verify|Publish"),
    # Vault
    _rule(ATTEMPT, "the value could not be made durable: burned", *NO_ANSWER, *NO, calls="write staged"),
    _rule(GOES_ON, "the target's word is proof enough", T.LAGGING),
    _rule(
        ATTEMPT,
        "the mint was answered, and its value could not be staged",
        T.SEALED,
        calls="mint|write staged",
        kinds=Kind.NAMED,
    ),
    _rule(
        AGAIN,
        UNTRACED,
        *(T.LOST_BEFORE, T.LATE, T.BROKEN, T.BUSY, *NO),
        calls="write journal",
        steps="Burn",
        stories=REFUSED,
        kinds=Kind.ONE_SLOT,
    ),
    _rule(AGAIN, UNTRACED, T.SEALED, steps="Burn", stories=REFUSED, kinds=Kind.ONE_SLOT),
    _rule(
        AGAIN,
        UNTRACED,
        T.LOST_AFTER,
        T.GARBAGE,
        calls="write journal",
        steps="Fence",
        stories=GONE,
        kinds=Kind.ONE_SLOT,
    ),
    _rule(VISIT_AGAIN, "read-only until it is open again", T.SEALED),
    # processes
    _rule(
        ATTEMPT, "the value died with the process: burned", T.KILL_AFTER, T.OVERTAKEN, calls="mint", kinds=Kind.NAMED
    ),
    _rule(
        ATTEMPT,
        "the value died with the process: burned",
        T.KILL_BEFORE,
        T.STOPPED,
        calls="write staged",
        kinds=Kind.NAMED,
    ),
    _rule(
        ROTATION,
        "its late value stays in the private slot; the next rotation empties it",
        T.STOPPED,
        calls="mint|write staged",
        kinds=f"{Kind.EXPIRING}|{Kind.ONE_SLOT}",
    ),
    _rule(
        ROTATION,
        "its late value stays in the private slot; the next rotation empties it",
        T.OVERTAKEN,
        calls="mint",
        kinds=f"{Kind.EXPIRING}|{Kind.ONE_SLOT}",
    ),
    _rule(GOES_ON, "nobody holds the lease: the other one has done it all", T.STOPPED, calls="read journal"),
    _rule(
        ANOTHER,
        "this write only says that the candidate is gone, or proven anew",
        T.OVERTAKEN,
        calls="write journal",
        steps="Publish",
        stories=UNPUBLISHED,
    ),
    _rule(GOES_ON, "the lease was let go of with this write", T.OVERTAKEN, calls="write journal", steps="Sweep|Hold"),
    _rule(
        GOES_ON,
        "the lease was let go of with this write",
        T.OVERTAKEN,
        calls="write journal",
        steps="Publish",
        kinds=f"{Kind.NAMED}|{Kind.TWO_SLOTS}|{Kind.BY_VALUE}",
    ),
    _rule(
        GOES_ON,
        "the lease was let go of with this write",
        T.OVERTAKEN,
        calls="write journal",
        steps="Revoke",
        kinds=Kind.EXPIRING,
    ),
    _rule(
        ANOTHER,
        "by check-and-set, or by a look at what is there",
        T.KILL_BEFORE,
        T.KILL_AFTER,
        T.STOPPED,
        T.OVERTAKEN,
        T.STOP,
    ),
    # clocks: nothing is over before both clocks say so, or before it was watched for its whole length
    _rule(
        AGAIN,
        "a refusal counts once the target has had its time, by both clocks",
        T.BACK,
        calls="read staged|verify",
        steps="Verify",
        kinds=f"{Kind.NAMED}|{Kind.TWO_SLOTS}",
        stories=REFUSED,
    ),
    _rule(WAITS, "later predecessors are left to their dates, by both clocks", T.BACK, stories=TOGETHER),
    _rule(GOES_ON, "no grace is to come any more, and an emergency has none", T.AHEAD, T.BACK, stories=URGENT),
    _rule(GOES_ON, "no grace is to come any more", T.AHEAD, steps="Condemn|Revoke|Sweep"),
    _rule(GOES_ON, "stamped by the clock as it was", T.AHEAD, calls="write journal", steps="Publish"),
    _rule(WAITS, "the end by expiry is awaited by both clocks", T.BACK, steps="Condemn|Sweep", kinds=Kind.EXPIRING),
    _rule(GOES_ON, "no grace is to come any more", T.BACK, calls="write journal", steps="Condemn"),
    _rule(GOES_ON, "no grace is to come any more", T.BACK, steps="Revoke|Sweep"),
    _rule(GOES_ON, "the visit that ends what has expired", T.AHEAD, T.BACK, calls="write journal", steps="Visit"),
    _rule(
        AGAIN,
        "not accepted yet: it is asked again until both clocks say that the settle time is over",
        T.BACK,
        calls="write journal",
        steps="Verify",
        stories=REFUSED,
        kinds=f"{Kind.NAMED}|{Kind.TWO_SLOTS}",
    ),
    _rule(
        WAITS,
        "nobody comes before both clocks say that the grace is over; a daemon would come and have watched it",
        T.BACK,
        kinds=f"{Kind.NAMED}|{Kind.EXPIRING}",
    ),
    _rule(WAITS, "the same: the look that was to end it has begun", T.BACK, steps="Condemn"),
    _rule(GOES_ON, "a grace that was watched for its whole length is over, whatever a clock says", T.AHEAD, T.BACK),
    # people
    _rule(GOES_ON, "an emergency does not wait, and here nothing is ended by us", T.PAUSE, stories=URGENT),
    _rule(GOES_ON, "what ends by its date is not ended by us", T.PAUSE, kinds=Kind.EXPIRING),
    _rule(GOES_ON, "the end is under way", T.PAUSE, steps="Revoke|Sweep"),
    _rule(WAITS, "nothing begins and nothing ends before the pause is over", T.PAUSE),
    _rule(
        GOES_ON,
        "the next rotation, which is wanted anyway, is the first to know the new settings",
        T.RELOAD,
        stories=URGENT,
    ),
    _rule(GOES_ON, "a new value follows anyway", T.RELOAD, T.EMERGENCY, stories=TOGETHER),
    _rule(GOES_ON, "nothing was begun under the old settings", T.RELOAD, steps="Hold"),
    _rule(GOES_ON, "nothing was begun under the old settings", T.RELOAD, calls="read journal", steps="Visit"),
    _rule(ROTATION, "what was begun ends under its old settings; the new path is due at once", T.RELOAD),
    _rule(GOES_ON, "it is one already", T.EMERGENCY, stories=URGENT),
    _rule(ROTATION, "what an undo puts back is not the new value that was asked for", T.EMERGENCY, stories=UNDO),
    _rule(ROTATION, "it was published before it was asked for", T.EMERGENCY, steps="Condemn|Revoke|Sweep"),
    _rule(GOES_ON, "the rotation under way is the one: no grace", T.EMERGENCY, stories=GONE),
    _rule(GOES_ON, "the rotation under way is the one: no grace", T.EMERGENCY, steps="Publish", stories=AGED),
    _rule(
        ROTATION, "it was published before it was asked for", T.EMERGENCY, calls="write journal", steps="Publish|Visit"
    ),
    _rule(GOES_ON, "the rotation under way is the one: no grace", T.EMERGENCY),
    # faults that pass
    _rule(VISIT_AGAIN, "no visit without a journal", *NO_ANSWER, *NO, calls=JOURNAL),
    _rule(AGAIN, "the same step, after its pause", *NO_ANSWER, *NO, T.MINTER),
)


def expected(story: Story, cell: Cell) -> Rule:
    """The rule that decides this cell."""
    found = next((rule for rule in RULES if rule.fits(story, cell)), None)
    assert found, f"no rule for {story.name}, {story.kind}: {cell}"
    return found
