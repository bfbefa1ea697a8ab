"""Owns the ways to get a Vault token: one small function per auth method. Keeping the token alive is session.py's.

A source is called at every login, in a worker thread, so that a replaced file is noticed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rotator.ports import Fault, Refused, StoreRefused
from rotator.rotation.secret import Secret
from rotator.vault.adapter import Answer, Denied

_TOKEN = re.compile(r"[!-~]+")
Source = Callable[[], Secret]
_CENTURY = 100 * 366 * 86400.0  # seconds
SHORTEST_LIFE = 600.0  # seconds a token must live when we cannot get another one


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and how long it lives. `ttl` in seconds, 0: for ever. `uses` 0: without limit.

    `index`: the storage index at the login, "" where the server sends none, None where nothing was written for it.
    """

    token: Secret
    ttl: float
    renewable: bool = False
    uses: int = 0
    index: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A way in. `ask` makes the requests on a tokenless hvac client; `repeatable`: asking again gives a new token."""

    method: str
    ask: Callable[[Any], Grant] = field(repr=False)
    repeatable: bool = True

    def __call__(self, client: Any) -> Grant:
        """Log in, in the caller's thread. Raises Transient, or StoreRefused naming the method.

        A token that we could not replace must be one to work with: without a limit of uses, and not about to end.
        """
        grant = self._asked(client)
        if not self.repeatable and grant.uses:
            raise StoreRefused(
                f"our Vault token has only {grant.uses} uses left; give one without num_uses, or a login"
            )
        if not self.repeatable and 0 < grant.ttl < SHORTEST_LIFE:
            raise StoreRefused(
                f"our Vault token ends in {math.ceil(grant.ttl)} s and we have no way to get another; "
                f"give one that lives at least {SHORTEST_LIFE:.0f} s, or a login"
            )
        return grant

    def _asked(self, client: Any) -> Grant:
        try:
            return self.ask(client)
        except Denied:
            raise StoreRefused(f"Vault refuses our {self.method} login (403)") from None
        except StoreRefused as fault:  # not Vault's words: the source's, which names its place
            raise StoreRefused(f"no {self.method} login: {fault.reason}") from None
        except Refused as fault:
            raise StoreRefused(f"Vault refuses our {self.method} login: {fault.reason}") from None
        except Fault:
            raise
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
            raise StoreRefused(f"the {self.method} login has no usable credential ({type(error).__name__})") from None


def token(source: Source) -> Login:
    """A token made by somebody else. It is looked up, not created, and never revoked by us."""

    def ask(client: Any) -> Grant:
        ours = source()
        client.adapter.token = ours  # this client is not shared yet
        about = client.auth.token.lookup_self().section("data")
        return Grant(ours, seconds(about["ttl"]), bool(about.get("renewable")), int(about.get("num_uses") or 0))

    return Login("token", ask, repeatable=False)


def approle(role_id: Source, secret_id: Source, mount: str = "approle") -> Login:
    """AppRole; the role id is treated as a secret, too."""
    return Login(
        "approle",
        lambda client: _granted(
            client.auth.approle.login(role_id(), secret_id=secret_id(), mount_point=mount, use_token=False)
        ),
    )


def kubernetes(role: str, jwt: Source, mount: str = "kubernetes") -> Login:
    """The pod's projected service account token; the file is read anew each time, because the kubelet replaces it."""
    return Login(
        "kubernetes",
        lambda client: _granted(client.auth.kubernetes.login(role, jwt(), mount_point=mount, use_token=False)),
    )


def jwt(role: str, assertion: Source, mount: str = "jwt") -> Login:
    """A signed JWT of any issuer that Vault trusts (CI jobs, workload identity)."""
    return Login(
        "jwt", lambda client: _granted(client.auth.jwt.jwt_login(role, assertion(), use_token=False, path=mount))
    )


def certificate(role: str = "", mount: str = "cert") -> Login:
    """The TLS client certificate of the connection (`VaultConnection.client_cert`)."""
    return Login("cert", lambda client: _granted(client.auth.cert.login(name=role, mount_point=mount, use_token=False)))


def seconds(value: Any) -> float:
    """A life as Vault tells it, 0: for ever; at most a century. Raises ValueError, TypeError or OverflowError."""
    life = float(value)
    if not life >= 0:
        raise ValueError("a life is not less than nothing")
    return min(life, _CENTURY)


def _granted(answer: Answer) -> Grant:
    """What an auth method's answer grants. OpenBao 2.7.2 and Vault put num_uses beside the token."""
    auth = answer.section("auth")
    if not _TOKEN.fullmatch(auth["client_token"]):
        raise ValueError("a token that fits no header")
    return Grant(
        Secret(auth["client_token"]),
        seconds(auth["lease_duration"]),
        bool(auth.get("renewable")),
        int(auth.get("num_uses") or 0),
        answer.headers.get("X-Vault-Index") or "",
    )
