"""Owns the order of events: first values, an emergency, the schedule, a kill -9 at the worst instant, the proof.

How each is done is stage.py's; what must be true at the end, proof.py's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

from rotator.demo.lines import Face
from rotator.demo.proof import Killed, claims, evidence
from rotator.demo.stage import CREDENTIALS, GRACE, LEASE, ShowError, Stage
from rotator.engine.lease import TAKE_OVER
from rotator.rotation import why
from rotator.rotation.record import Phase
from rotator.sandbox.wheel import binary
from rotator.sandbox.world import World
from rotator.settings import load

_LEAKED, _DOOMED = "deploy-bot", "backup"
_SCHEDULED = tuple(name for name, own in CREDENTIALS.items() if "fraction" in own)
_CLEARANCE = timedelta(seconds=3)


def perform(face: Face, verdict: Callable[[bool], object], *, keep: bool) -> None:
    """The whole show; `verdict` is told whether every claim held. With `keep`, goes on until interrupted.

    Raises ShowError with words when it cannot go on, OpenBaoError when there is no server to start.
    """
    binary()
    face.act("rotate demo: real tokens, rotated before your eyes", "Everything runs on this machine's loopback.")
    with World() as world:
        stage = Stage(world, face)
        face.say(f"Vault: a real OpenBao server       {world.bao.address}")
        face.say(f"Target: a sandbox Halo CMS 2.26.0  {world.halo.url}")
        face.say(f"Settings of the daemon             {stage.settings}")
        with stage.lit():
            _first_values(stage)
            _emergency(stage)
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
    face.act("1  First values", "The daemon starts; five credentials have nothing published yet.")
    stage.slow_down()
    face.say("Halo is made to take 0.4 s for each call, so that the eye can follow.")
    stage.daemon.start()
    stage.until(stage.daemon.readied.is_set, "the daemon is ready")
    stage.until_settled()
    stage.consumer.start()
    face.say(f"From now on a consumer reads {len(CREDENTIALS)} paths in Vault and uses what it finds on Halo.")
    face.snapshot()


def _emergency(stage: Stage) -> None:
    stage.face.act("2  A token has leaked", f"No grace: the old token of {_LEAKED} must die within seconds.")
    stage.close_up.add(_LEAKED)
    asked = stage.rotate("now", _LEAKED, "--emergency")
    stage.until(lambda: asked.poll() is not None, "rotate now came to its verdict")
    asked.communicate()
    stage.face.say(f"`rotate now` ends with exit {asked.returncode}: done, predecessor proven dead.")
    if asked.returncode != 0:
        raise ShowError("rotate now --emergency did not succeed")
    stage.face.snapshot()


def _schedule(stage: Stage) -> None:
    stage.face.act(
        "3  By schedule", f"Three credentials rotate every few seconds; grace for predecessors is {GRACE} s."
    )
    stage.until_settled(*_SCHEDULED[:2], rotation=2)
    stage.face.snapshot()


def _kill(stage: Stage) -> Killed:
    face = stage.face
    face.act(
        "4  kill -9 between mint and stage: the worst instant there is",
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
    for name in _SCHEDULED:
        record = stage.view.record(name)
        due = why.next_due(stage.watch.settings.credentials[name], record)
        if record.phase not in (Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED) or due is None or due < soon:
            return False
    return True


def _victim(stage: Stage) -> Killed:
    """Whose mint was cut off: the journal names it, Halo has it, and no field of the record knows it."""
    view = stage.look()
    alive = {token.name for token in view.tokens if token.alive}
    for name in (_DOOMED, *CREDENTIALS):
        record = view.record(name)
        if record.phase is Phase.REQUESTED and record.mint_name in alive:
            return Killed(name, record.mint_name, record.rotation)
    raise ShowError("the kill came at the wrong instant: no mint was cut off")


def _recover(stage: Stage, killed: Killed) -> None:
    face = stage.face
    face.act(
        "5  Started again", "The journal names the mint that was cut off. First, the dead daemon's lease must run out."
    )
    stage.daemon.start()
    stage.until(stage.daemon.readied.is_set, "the daemon is ready again")
    end = time.monotonic() + LEASE * TAKE_OVER

    def countdown() -> str:
        left = end - time.monotonic()
        soon = f"{ceil(left)} s to go" if left > 0 else "it is over"
        return f"lease of the dead daemon ({LEASE} s, and a quarter for slow clocks): {soon}"

    stage.note = countdown
    stage.until(lambda: (killed.name, "mint.lost") in stage.heard, "the lost mint is found")
    stage.note = str
    stage.until_settled(killed.name, rotation=killed.rotation)
    face.say("Nothing was left behind, and the consumer has not noticed.")
    face.snapshot()


def _calm(stage: Stage) -> None:
    """Slower schedules by a reload, so that the proof does not run after a moving target."""
    stage.write_settings(every="1m")
    stage.watch.settings = load(str(stage.settings))
    stage.daemon.reload()
    stage.speed_up()
    stage.until_settled()


def prove(stage: Stage, killed: Killed) -> bool:
    """Show the evidence and every claim; whether all of them held."""
    face = stage.face
    face.act("Proof", "Asked for by this demo itself, in Vault and on Halo; the daemon's word counts for nothing.")
    view = stage.watch.look()
    for line in evidence(stage, view, killed):
        face.say(line)
    face.say()
    held = True
    for claim in claims(stage, view, killed):
        face.claim(claim.text, held=claim.held)
        held = held and claim.held
    return held


def _farewell(stage: Stage, *, keep: bool) -> None:
    face = stage.face
    if not keep:
        face.act("Next")
        face.say("rotate demo --keep     the same, and it stays up for you to play with")
        face.say("rotate --help          all commands")
        face.say("config/rotator.toml    every setting, commented")
        return
    face.act("It stays up", "Scheduled credentials now rotate once a minute. In another terminal:")
    face.say(f"  export ROTATOR_CONFIG={stage.settings} PATH=$PATH:{Path(sys.executable).parent}")
    for words in ("status", "explain backup", "now newsletter --wait", "now --all --emergency", "strays"):
        face.say(f"  rotate {words}")
    face.say("kill -9 the daemon, at any instant: it is started again after a moment.")
    face.say("Ctrl-C ends everything and cleans up.")
    while True:
        time.sleep(2)
        if not stage.daemon.pid:
            stage.daemon.start()
