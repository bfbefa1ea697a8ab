"""New settings for a running daemon: read, or refused with every fault."""

from __future__ import annotations

from functools import partial
from typing import Any

from rotator.host.exit_codes import Exit
from rotator.host.threads import Threads
from rotator.observe.logs import log
from rotator.rotation.wording import counted
from rotator.settings import Settings, SettingsError, load


async def read_again(path: str | None) -> Settings | list[str]:
    """The settings as they are on disk, or the faults for which they are refused, in words. Raises nothing."""
    try:
        return await Threads("settings", 1).run(partial(load, path))  # a drive that hangs must not hold up a stop
    except SettingsError as error:
        for fault in error.faults:
            log.warn("settings.refused", file=fault.file, line=fault.line, key=fault.key, reason=fault.text)
        return [str(fault) for fault in error.faults]
    except Exception as bug:  # noqa: BLE001 (whatever is in the file, the old settings stay in force)
        log.tell("settings.refused", "error", file=path or "", exc_info=bug)
        return [f"a bug, the log has it: {type(bug).__name__}"]


def verdict(faults: list[str], credentials: int) -> dict[str, Any]:
    """What came of it, for who asked."""
    if faults:
        said = "refused: the settings before stay in force, and the next start will fail until this is mended"
        return {"faults": faults, "said": said, "exit": Exit.SETTINGS}
    return {"said": f"reloaded: {counted(credentials, 'credential')}", "exit": Exit.DONE}
