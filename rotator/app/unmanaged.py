"""What credentials that left the settings have left alive: looked up, told once each, and shown by every display."""

from __future__ import annotations

from rotator.app.actor import App
from rotator.engine.token_survey import left_behind
from rotator.observe.logs import log
from rotator.ports import Fault
from rotator.rotation.ownership import unmanaged

_PATIENCE, _AGAIN = 60.0, 0.5  # seconds


async def note_unmanaged(app: App) -> None:
    """Look again; what is new is told in the log. Without an answer of Vault's, what was known stays.

    It begins when every credential was seen: one of them may have taken over what another left.
    """
    worker_pool, patience = app.worker_pool, app.clock.monotonic() + _PATIENCE
    while any(name not in worker_pool.seen and name not in worker_pool.broken for name in app.settings.credentials):
        if app.clock.monotonic() > patience:
            return
        await app.clock.sleep(_AGAIN)
    try:
        left, unreadable = await left_behind(app.journal, app.settings.credentials)
    except Fault as fault:  # a policy that lets nobody list the journal, or no Vault: the next look may do better
        log.warn("unmanaged.missed", said=fault.reason)
        return
    for name, reason in unreadable.items():
        log.warn("unmanaged.missed", credential=name, said=reason)
    records, now = [seen.record for seen in worker_pool.seen.values() if seen.record], app.clock.now()
    places = {each.place: each.retire.after for each in app.settings.credentials.values()}
    before = {each.token for each in unmanaged(worker_pool.left, records, now, places)}
    worker_pool.left = left
    for each in unmanaged(left, records, now, places):
        if each.token not in before:
            said = f"it left the settings; {each.token} at {each.path} lives on, and nobody rotates it"
            told = {"credential": each.credential, "target": each.target, "token": each.token}
            log.warn("credential.unmanaged", **told, said=f"{said}; {each.next}")
