"""Documents below `<prefix>/node`: the one that commands share, one per daemon, and the end of those nobody writes."""

from __future__ import annotations

from datetime import timedelta

from rotator.rotation.credential import VaultPath
from rotator.vault.kv import Kv

COMMANDS = "_commands"  # what every process calls itself that is no daemon: their write is a barrier, and nothing else
GONE = timedelta(days=1)  # without a heartbeat
MOST = 500  # documents that are removed in one go


async def remove_gone(kv: Kv) -> tuple[str, ...]:
    """Remove the documents of daemons that have been silent for a day, by Vault's clock. Returns their names.

    Raises StoreRefused under a policy that lacks it. A daemon that comes back writes its document anew.
    """
    removed: list[str] = []
    folder = VaultPath(kv.node.mount, kv.node.path.rpartition("/")[0])
    for name in await kv.list(folder):
        place = VaultPath(folder.mount, f"{folder.path}/{name}")
        if name.endswith("/") or name == COMMANDS or place == kv.node or len(removed) >= MOST:
            continue
        written, now = (await kv.read(place)).written_at, kv.session.server_time
        if written and now and now - written > GONE:
            await kv.forget(place)
            removed.append(name)
    return tuple(removed)
