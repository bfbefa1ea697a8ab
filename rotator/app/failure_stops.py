"""Stops what begins at a target where too many rotations failed: an entry in the document of the fleet, for all."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial

from rotator.app.composition import Actor
from rotator.engine.reconciler import Transition
from rotator.observe import logs
from rotator.ports import Conflict
from rotator.rotation.failure_rate import Place, stops_to_make
from rotator.rotation.pause import FleetPauses, resumed_at, with_stop
from rotator.rotation.record import Record

_AGAIN = timedelta(seconds=30)  # between two looks while this process sees nothing fail: others do


_TURNS = 5


class FailureStops:
    """The looks of one daemon: soon after a rotation has failed here, and now and then."""

    _soon = 0  # looks to take at the next turns: what was seen is known once its reconcile has ended
    _again = datetime.min.replace(tzinfo=UTC)

    def observe(self, transition: Transition) -> None:
        """Look soon if it is a failure."""
        before, after = transition.before, transition.after
        if after.given_up > before.given_up or (after.refused_at and not before.refused_at):
            self._soon = _TURNS

    async def look(self, actor: Actor) -> None:
        """Write a stop where one is due and none is on yet, tell it and give a receipt. Raises Fault."""
        now = actor.clock.now()
        if actor.settings.daemon.read_only or not (self._soon or now >= self._again):
            return
        self._soon, self._again = max(0, self._soon - 1), now + _AGAIN
        records = defaultdict[Place, list[Record]](list)
        for name, seen in actor.worker_pool.seen.items():
            if seen.record is not None and (credential := actor.settings.credentials.get(name)):
                records[credential.target, credential.kind].append(seen.record)
        shares = {name: target.stop_above for name, target in actor.settings.targets.items()}
        wanted = stops_to_make(records, now, resumed_at(actor.pauses, now), shares)

        def change(pauses: FleetPauses, place: Place, said: str) -> FleetPauses:
            fresh = resumed_at(pauses, now)  # another process may have resumed it since we looked
            again = stops_to_make({place: records[place]}, now, fresh, shares)
            return with_stop(pauses, *place, now, said) if again else pauses

        for place, said in wanted.items():
            if with_stop(actor.pauses, *place, now, said) == actor.pauses:
                continue
            before = actor.pauses
            try:
                after = await actor.fleet.change(partial(change, place=place, said=said))
            except Conflict:  # another process writes the same just now: the next look shows it
                continue
            actor.observe(after)
            if after != before:
                target, kind = place
                remedy = f"mend what fails, then rotate resume --target {target}"
                logs.tell("target.stopped", "error", target=target, kind=kind, said=said, remedy=remedy)
                await actor.record_fleet(now, "target.stopped", "rotator", f"{target}, {kind}: {said}")
