"""What a target's handle of a token must look like to be of use. Pure."""

from __future__ import annotations

import re

from rotator.rotation.record import Token

LONGEST = 512  # characters; it stands in addresses, log lines and journal documents
_WORD = re.compile(rf"[!-~]{{1,{LONGEST}}}")


def unfit(token: Token) -> str:
    """Why a handle that a target gave, or Vault held, cannot be used; empty: it can."""
    if not _WORD.fullmatch(token.id):
        return f"the id of the token is no word of 1 to {LONGEST} printable ASCII characters"
    if token.serial and not _WORD.fullmatch(token.serial):
        return f"the serial of the token is no word of up to {LONGEST} printable ASCII characters"
    if len(token.name) > LONGEST or not token.name.isprintable():
        return f"the name of the token is longer than {LONGEST} characters, or not printable"
    return ""
