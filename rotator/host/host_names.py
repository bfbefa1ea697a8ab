"""Names of hosts looked up in threads of their own: one for each name, shared by all who ask for it meanwhile.

The loop's own look-ups share one small pool: a few names whose servers do not answer (40 s each) would keep every
other host from being found.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from ipaddress import ip_address
from typing import Any

from rotator.host.threads import Threads

_NAMES = 4  # looked up at once for one target; it has one or two


class Names:
    """The look-ups of one target."""

    def __init__(self) -> None:
        self._threads = Threads("look-ups of names", _NAMES, _NAMES)
        self._asked: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def find(self, host: str) -> tuple[str, ...]:
        """Its addresses, the best first. Raises OSError (socket.gaierror), Transient when there is no thread.

        Whoever is cancelled leaves the look-up to those who still wait, or to the next one who asks.
        """
        if _numeric(host):
            return (host,)
        answer = self._asked.get(host)
        if answer is None:
            answer = self._asked[host] = self._threads.start(partial(_addresses, host))
            answer.add_done_callback(partial(self._done, host))
        return await asyncio.shield(answer)

    def _done(self, host: str, answer: asyncio.Future[Any]) -> None:
        del self._asked[host]
        if not answer.cancelled():
            answer.exception()  # perhaps nobody waits for it any more


def _addresses(host: str) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
