"""What refusals of a client's proof mean: by comparison with how its server refuses an invalid one."""

from __future__ import annotations

from rotator.ports import Refused, Rejected, Transient, Unknown, Verdict
from rotator.providers.oauth import server_checks
from rotator.providers.oauth.config import ClientOptions
from rotator.providers.oauth.token_endpoint import FINAL, UNKNOWN, ClientDenied, Words
from rotator.providers.refusals import Strangers, Throttle


class InvalidProofs:
    """How one server refuses them, by client."""

    def __init__(self, server: server_checks.ControlServer) -> None:
        """No call is made."""
        self._server = server
        self._strangers: Strangers[Words] = Strangers(server.clock.monotonic)
        self._shown = Throttle(server.clock.monotonic)

    async def control(self, client: ClientOptions) -> None:
        """The negative control. Raises as `server_checks.control`."""
        if refusal := await server_checks.control(self._server, client):
            self._strangers.controlled(client.client_id, refusal.words)

    async def accepted(self, client: ClientOptions) -> None:
        """A proof by this client has just been accepted: so the answer to an invalid proof now comes from the server.

        Raises Transient; Refused when a stranger is accepted, too.
        """
        await self._strangers.accepted(client.client_id, lambda: self._refusal(client))

    async def _refusal(self, client: ClientOptions) -> Words:
        return (await server_checks.refusal_of_a_stranger(self._server, client)).words

    def dead(self, client: ClientOptions, refusal: ClientDenied) -> bool:
        """Whether the server refuses this proof as it refuses an invalid one.

        The words differ: for a key that is not in the set Hydra 2.3.0 says invalid_request, Spring Authorization Server
        1.4.1 invalid_client. A refusal without a registered word may be a gateway's.
        """
        known = self._strangers.answer(client.client_id)
        return refusal.error in UNKNOWN or (bool(refusal.error) and refusal.words == known)

    async def reread(self, client: ClientOptions, left: str) -> bool:
        """Present a key that is in no set, so that the server reads the set again, which the key `left` has left.

        Keycloak 26.4.0 and node oidc-provider 9.13.3 read it for a key that they miss, and take one that has left until
        then. Whether it was shown: it is seldom, as nobody knows what a server makes of refused logins. Raises
        Transient, Refused.
        """
        if not self._shown.due(client.client_id, left):
            return False
        await self._refusal(client)
        return True

    async def rejected(self, client: ClientOptions, refusal: ClientDenied) -> Verdict:
        """The verdict on a refused candidate: final, unless the server may not know it yet.

        An invalid proof is presented at the same moment, because the server may have other trouble at another one.
        """
        try:
            final = refusal.error in FINAL and await self._refusal(client) != refusal.words
        except (Transient, Refused) as fault:
            return Unknown(fault.reason, fault.retry_after)
        return Rejected(refusal.reason, final=final)
