"""Whether a server's word on its access tokens (RFC 7662) is worth anything, and what it says of one.

As with a probe, an answer tells something by comparison alone: an invented token must be inactive, and one that the
probe accepts at this moment must be active.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import uuid4

from rotator.ports import Refused
from rotator.rotation.secret import Secret

Ask = Callable[[Secret], Awaitable[bool]]  # the field `active` of the answer about a value; raises Transient, Refused


async def active(ask: Ask, value: Secret, living: Secret) -> bool:
    """Whether the server says that a value is active. `living`: one that the probe has just accepted.

    Raises Transient; Refused when the server's word is worth nothing.
    """
    await _controlled(ask, living)
    return await ask(value)


def invented() -> Secret:
    """A token that nobody has."""
    return Secret(f"{uuid4()}-{uuid4()}")


async def unbelievable(ask: Ask) -> None:
    """The negative control. Raises Refused where an invented token is called active, Transient."""
    if await ask(invented()):
        raise Refused("the introspection endpoint calls a token active that nobody has, so its word is worth nothing")


async def _controlled(ask: Ask, living: Secret) -> None:
    """The control of an introspection. Raises Refused when it tells nothing, Transient."""
    await unbelievable(ask)
    if not await ask(living):
        raise Refused(
            "the introspection endpoint calls a token inactive that the probe accepts, so its word is worth nothing",
            remedy="may this client ask for its own tokens there?",
        )
