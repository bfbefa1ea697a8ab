"""The order of events: first values, an emergency, one slot and two, the schedule, a kill -9, the proof.

How each is done is stage.py's; what must be true at the end, proof.py's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rotator.rotation import triggers
from rotator.rotation.record import Phase
from tests.sandbox.demo.cast import (
    APPLICATIONS,
    CALM,
    GRACE,
    KEY_SET,
    LIVELY,
    NAMES,
    ONE_SLOT,
    OVERLAPPING,
    RENEWED,
    TOKEN_LIFE,
)
from tests.sandbox.demo.lines import Face
from tests.sandbox.demo.proof import Killed, ask, claims, evidence
from tests.sandbox.demo.stage import ShowError, Stage
from tests.sandbox.environment import World
from tests.sandbox.openbao_binary import binary, server_name

_LEAKED, _DOOMED = "deploy-bot", "backup"
_CLEARANCE = timedelta(seconds=3)


def perform(face: Face, verdict: Callable[[bool], object], *, keep: bool) -> None:
    """The whole show; `verdict` is told whether every claim held. With `keep`, goes on until interrupted.

    Raises ShowError with words when it cannot go on, OpenBaoError when there is no server to start.
    """
    binary()
    face.act("make demo: real tokens and keys, rotated before your eyes", "Everything runs on this machine's loopback.")
    with World(applications=APPLICATIONS, token_life=TOKEN_LIFE) as world:
        assert world.desk
        stage = Stage(world, world.desk, face)
        face.say(f"{f'Vault: a real {server_name()} server':<36}{world.bao.address}")
        face.say(f"A blog: a sandbox Halo CMS 2.26.0   {world.halo.url}")
        face.say(f"A service desk: a sandbox HaloITSM  {world.desk.url}")
        face.say(f"Settings of the daemon              {stage.settings}")
        with stage.lit():
            _first_values(stage)
            _emergency(stage)
            _one_slot(stage)
            _overlap(stage)
            _schedule(stage)
            killed = _kill(stage)
            _recover(stage, killed)
            _calm(stage)
            if not keep:
                stage.darken()
            verdict(prove(stage, killed))
            _farewell(stage, keep=keep)


def _first_values(stage: Stage) -> None:
    face = stage.face
    face.act("1  First values", "The daemon starts; eight credentials have nothing published yet.")
    stage.slow_down()
    face.say("Halo CMS is made to take 0.4 s for each call, so that the eye can follow.")
    stage.daemon.start()
    stage.until(stage.daemon.readied.is_set, "the daemon is ready")
    stage.until_settled()
    stage.consumer.start()
    face.say(f"From now on a consumer reads {len(NAMES)} paths in Vault and uses what it finds there on its target.")
    face.snapshot()


def _emergency(stage: Stage) -> None:
    stage.face.act("2  A token has leaked", f"No grace: the old token of {_LEAKED} must die within seconds.")
    stage.close_up.add(_LEAKED)
    stage.done("now", _LEAKED, "--emergency")
    stage.face.snapshot()


def _one_slot(stage: Stage) -> None:
    face, consumer = stage.face, stage.consumer
    face.act(
        "3  One slot: a hard cut-over",
        "The desk knows one client secret per application: a new one ends the old one, whoever makes it.",
        "All that can be done is to be quick. The consumer now uses this secret as often as it can.",
    )
    stage.close_up.add(ONE_SLOT)
    with consumer.closely(ONE_SLOT):
        stage.done("now", ONE_SLOT)
    face.say(f"The consumer was refused {len(consumer.cut_off)} times, within {consumer.apart:.2g} s, and never since.")
    face.snapshot()


def _overlap(stage: Stage) -> None:
    stage.face.act(
        "4  Two slots, and a set of keys: the old value lives on",
        "An application has two API keys, which take turns; a key set holds any number of public keys.",
    )
    stage.close_up.update((OVERLAPPING, KEY_SET))
    stage.done("now", OVERLAPPING, KEY_SET, "--wait")
    stage.face.snapshot()


def _schedule(stage: Stage) -> None:
    spent = LIVELY[RENEWED]["fraction"]
    stage.face.act(
        "5  By schedule",
        f"Two blog tokens rotate every few seconds; grace for predecessors is {GRACE} s.",
        f"The desk's access tokens live for {TOKEN_LIFE:.0f} s; each is renewed when {spent:.0%} of that are over.",
    )
    stage.until_settled(*LIVELY, rotation=2)
    stage.face.snapshot()


def _kill(stage: Stage) -> Killed:
    face = stage.face
    face.act(
        "6  kill -9 between mint and stage: the worst instant there is",
        "Halo is told to make the next token, and to keep its answer back.",
    )
    stage.close_up.add(_DOOMED)
    stage.until(lambda: _clear(stage), "a moment without a scheduled mint")
    stage.speed_up()
    hold = stage.world.halo.fault(kind="hold", method="POST", path="personalaccesstokens$")
    stage.slow_down()
    asked = stage.rotate("now", _DOOMED)
    stage.until(lambda: stage.struck(hold), "Halo holds the answer of a mint", every=0.02)
    pid = stage.daemon.kill()
    stage.clear_fault(hold)
    asked.communicate(timeout=15)
    killed = _victim(stage)
    face.tell(killed.name, f"kill -9 {pid}", "error")
    face.say("Halo has made the token; the daemon died before it heard. Nobody knows the value.")
    face.say(f"`rotate now` lost its daemon and does not guess: exit {asked.returncode}, undecided.")
    time.sleep(2)
    face.snapshot()
    return killed


def _clear(stage: Stage) -> bool:
    """Whether nothing will be minted by schedule in the next moments."""
    soon = datetime.now(UTC) + _CLEARANCE
    for name in LIVELY:
        record = stage.view.record(name)
        due = triggers.next_due(stage.watch.settings.credentials[name], record)
        if record.phase not in (Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED) or due is None or due < soon:
            return False
    return True


def _victim(stage: Stage) -> Killed:
    """Whose mint was cut off: the journal names it, Halo has it, and no field of the record knows it."""
    view = stage.look()
    alive = {token.name for token in view.tokens if token.alive}
    for name in (_DOOMED, *NAMES):
        record = view.record(name)
        if record.phase is Phase.REQUESTED and record.mint_name in alive:
            return Killed(name, record.mint_name, record.rotation)
    raise ShowError("the kill came at the wrong instant: no mint was cut off")


def _recover(stage: Stage, killed: Killed) -> None:
    face = stage.face
    face.act(
        "7  Started again",
        "The journal names the mint that was cut off. Its daemon has ended on this host, so the next goes on at once.",
    )
    stage.reschedule({**LIVELY, RENEWED: CALM[RENEWED]})  # its last predecessor has to be dead before the proof
    stage.daemon.start()
    stage.until(stage.daemon.readied.is_set, "the daemon is ready again")
    stage.until(lambda: (killed.name, "mint.lost") in stage.heard, "the lost mint is found")
    stage.until_settled(killed.name, rotation=killed.rotation)
    face.say("Nothing was left behind, and the consumer has not noticed.")
    face.snapshot()


def _calm(stage: Stage) -> None:
    """Slower schedules, so that the proof does not run after a moving target."""
    stage.reschedule(CALM)
    stage.speed_up()
    stage.until_settled()
    stage.note = lambda: "the access token before the present one lives to its end: nobody can revoke it"
    stage.until(lambda: all(stage.view.alive(name) == 1 for name in NAMES) and _clear(stage), "one value each")
    stage.note = str


def prove(stage: Stage, killed: Killed) -> bool:
    """Show the evidence and every claim; whether all of them held."""
    face = stage.face
    face.act(
        "Proof", "Asked for by this demo itself, in Vault and on both targets; the daemon's word counts for nothing."
    )
    view, history = stage.watch.look(), ask(stage)
    for line in evidence(stage, view, history, killed):
        face.say(line)
    face.say()
    held = True
    for claim in claims(stage, view, history, killed):
        face.claim(claim.text, held=claim.held)
        held = held and claim.held
    return held


def _farewell(stage: Stage, *, keep: bool) -> None:
    face = stage.face
    if not keep:
        face.act("Next")
        face.say("make demo KEEP=1       the same, and it stays up for you to play with")
        face.say("rotate --help          all commands")
        face.say("config/rotator.toml    every setting, commented")
        return
    face.act("It stays up", "Blog tokens now rotate once a minute, the access token as it must. In another terminal:")
    face.say(f"  export ROTATOR_CONFIG={stage.settings} PATH=$PATH:{Path(sys.executable).parent}")
    for words in (
        "status",
        "explain backup",
        "now newsletter --wait",
        "now backup import-secret --emergency",
        "strays",
    ):
        face.say(f"  rotate {words}")
    face.say("kill -9 the daemon, at any instant: it is started again after a moment.")
    face.say("Ctrl-C ends everything and cleans up.")
    while True:
        time.sleep(2)
        if not stage.daemon.pid:
            stage.daemon.start()
