"""Whether the settings on disk are others than those in force, found by reading them again and again."""

from __future__ import annotations


class SettingsWatch:
    """Tells once of each content of the files, when two looks in a row have found it: nobody writes any longer."""

    def __init__(self, digest: str) -> None:
        """`digest`: of the files as they were read at the start."""
        self._told = self._last = digest

    def tells(self, found: str, in_force: str) -> bool:
        """Whether the settings are to be read now.

        `found`: the digest of the files; `in_force`: that of the settings in force, empty when others were refused.
        """
        rests, self._last = found == self._last, found
        if not rests or found == self._told:
            return False
        self._told = found
        return found != in_force
