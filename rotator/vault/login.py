"""The ways to get a Vault token: one small function per auth method. Keeping the token alive is session.py's.

A source is called at every login, in a worker thread, so that a replaced file is noticed.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rotator.ports import Fault, Refused, StoreRefused
from rotator.rotation.secret import Secret
from rotator.vault.answer import Answered, PolicyDenied, VaultResponse
from rotator.vault.login_expiry import LoginEnd, instant, of_certificate, of_jwt

_MARK = secrets.token_bytes(32)  # marks are compared within one process
_ELSE = "or nothing is mounted at [vault.auth] mount, or the namespace is another"
_DENIED = {
    "token": "it has ended or was revoked, or its policy does not let it look itself up",
    "approle": (
        "too many wrong tries have locked this role out for a while, for good secret-ids, too (`bao read"
        f" sys/locked-users` names it, `bao write -f sys/locked-users/ACCESSOR/unlock/ROLE_ID` ends that), {_ELSE}"
    ),
    # Vault answers one and the same 403 to all of these. In the order in which to look:
    "kubernetes": (
        "Vault does not tell which of these it is: the pod's token is bad or has ended; its audience is not the role's;"
        " its service account or namespace is not bound to the role; Vault's own account may not review tokens"
        f" (system:auth-delegator); Vault cannot reach the API server. Look in this order; {_ELSE}"
    ),
    "jwt": f"the JWT is not accepted, {_ELSE}",
    "cert": f"the client certificate is not accepted, {_ELSE}",
}
_TOKEN = re.compile(r"[!-~]+")
Source = Callable[[], Secret]
_ROLE = re.compile(r"[\w.-]+")
_CENTURY = 100 * 366 * 86400.0  # seconds
SHORTEST_LIFE = 600.0  # seconds a token must live when we cannot get another one


class LoginRefused(StoreRefused):
    """Vault has judged what we log in with, and wants it not: the same try again can only do harm."""


@dataclass(frozen=True, slots=True)
class LoginGrant:
    """A token and how long it lives. `ttl` in seconds, 0: for ever. `uses` 0: without limit.

    `index`: the storage index at the login, "" where the server sends none, None where nothing was written for it.
    """

    token: Secret
    ttl: float
    renewable: bool = False
    uses: int = 0
    index: str | None = None
    role: str = ""  # the name of the AppRole


@dataclass(frozen=True, slots=True)
class Login:
    """A way in. `ask` makes the requests on a tokenless hvac client; `repeatable`: asking again gives a new token.

    `end` says, with a client that is logged in, when what it is made with ends. `holds` is what it would be made with
    now: as long as that is the same, a refusal stays one.
    """

    method: str
    ask: Callable[[Any], LoginGrant] = field(repr=False)
    repeatable: bool = True
    end: Callable[[Any, LoginGrant], LoginEnd | None] = field(default=lambda client, grant: None, repr=False)
    holds: Callable[[], object] = field(default=lambda: None, repr=False)

    def mark(self) -> object:
        """What it would be made with now, to be compared; no secret can be read out of it."""
        try:
            found = self.holds()
        except (Fault, OSError, ValueError) as fault:
            return type(fault).__name__
        return found.fingerprint(_MARK) if isinstance(found, Secret) else found

    def __call__(self, client: Any) -> LoginGrant:
        """Log in, in the caller's thread. Raises Transient, or StoreRefused naming the method.

        A token that we could not replace must be one to work with: without a limit of uses, and not about to end.
        """
        grant = self._asked(client)
        if self.repeatable and grant.uses:
            raise StoreRefused(
                f"no {self.method} login: its role gives tokens of {grant.uses} uses, which our workers would share and"
                " use up within a second; set token_num_uses to 0 on the role"
            )
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

    def _asked(self, client: Any) -> LoginGrant:
        try:
            return self.ask(client)
        except PolicyDenied:
            raise LoginRefused(f"Vault refuses our {self.method} login (403): {_DENIED[self.method]}") from None
        except StoreRefused as fault:  # not Vault's words: the source's, which names its place
            raise StoreRefused(f"no {self.method} login: {fault.reason}") from None
        except Answered as fault:
            raise LoginRefused(f"Vault refuses our {self.method} login: {fault.reason}") from None
        except Refused as fault:  # nobody's refusal: a proxy's words, a file of ours
            raise StoreRefused(f"no {self.method} login: {fault.reason}") from None
        except Fault:
            raise
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
            raise StoreRefused(f"the {self.method} login has no usable credential ({type(error).__name__})") from None


def token(source: Source) -> Login:
    """A token made by somebody else. It is looked up, not created, and never revoked by us."""

    def ask(client: Any) -> LoginGrant:
        ours = source()
        client.adapter.token = ours  # this client is not shared yet
        about = client.auth.token.lookup_self().section("data")
        return LoginGrant(ours, seconds(about["ttl"]), bool(about.get("renewable")), int(about.get("num_uses") or 0))

    return Login("token", ask, repeatable=False, end=_token_end, holds=source)


def _token_end(client: Any, grant: LoginGrant) -> LoginEnd:
    """A token that we renew ends at its explicit_max_ttl, any other at its own date."""
    about = client.auth.token.lookup_self().section("data")
    began = datetime.fromtimestamp(float(about.get("creation_time") or 0), UTC)
    ends = instant(about.get("expire_time"))
    if about.get("renewable"):
        most = float(about.get("explicit_max_ttl") or 0)
        ends = began + timedelta(seconds=most) if most else None
    return LoginEnd("token", ends, began)


def approle(role_id: Source, secret_id: Source, mount: str = "approle") -> Login:
    """AppRole; the role id is treated as a secret, too."""
    return Login(
        "approle",
        lambda client: _granted(
            client.auth.approle.login(role_id(), secret_id=secret_id(), mount_point=mount, use_token=False)
        ),
        end=lambda client, grant: _secret_id_end(client, grant, mount, secret_id()),
        holds=secret_id,
    )


def _secret_id_end(client: Any, grant: LoginGrant, mount: str, secret_id: Secret) -> LoginEnd:
    """Vault tells it to who knows the secret-id and may ask. One that is used up is not there any more (204)."""
    if not _ROLE.fullmatch(grant.role):
        return LoginEnd("secret-id", unknown="Vault does not name our role")
    path = f"/v1/auth/{mount}/role/{grant.role}/secret-id/lookup"
    try:
        about = client.adapter.post(path, json={"secret_id": secret_id}).section("data")
    except PolicyDenied:
        return LoginEnd("secret-id", unknown=f"as our policy lacks update on auth/{mount}/role/+/secret-id/lookup")
    if not about:
        return LoginEnd("secret-id", uses=0)
    uses = about.get("secret_id_num_uses")
    ends, began = instant(about.get("expiration_time")), instant(about.get("creation_time"))
    return LoginEnd("secret-id", ends, began, uses if isinstance(uses, int) and uses > 0 else None)


def kubernetes(role: str, jwt: Source, mount: str = "kubernetes") -> Login:
    """The pod's projected service account token; the file is read anew each time, because the kubelet replaces it."""
    return Login(
        "kubernetes",
        lambda client: _granted(client.auth.kubernetes.login(role, jwt(), mount_point=mount, use_token=False)),
        end=lambda client, grant: of_jwt(jwt()),
        holds=jwt,
    )


def jwt(role: str, assertion: Source, mount: str = "jwt") -> Login:
    """A signed JWT of any issuer that Vault trusts (CI jobs, workload identity)."""
    return Login(
        "jwt",
        lambda client: _granted(client.auth.jwt.jwt_login(role, assertion(), use_token=False, path=mount)),
        end=lambda client, grant: of_jwt(assertion()),
        holds=assertion,
    )


def certificate(role: str = "", mount: str = "cert", file: str = "") -> Login:
    """The TLS client certificate of the connection (`VaultConnection.client_cert`), read from `file`."""
    return Login(
        "cert",
        lambda client: _granted(client.auth.cert.login(name=role, mount_point=mount, use_token=False)),
        end=lambda client, grant: of_certificate(file),
        holds=lambda: Path(file).stat().st_mtime_ns,
    )


def seconds(value: Any) -> float:
    """A life as Vault tells it, 0: for ever; at most a century. Raises ValueError, TypeError or OverflowError."""
    life = float(value)
    if not life >= 0:
        raise ValueError("a life is not less than nothing")
    return min(life, _CENTURY)


def _granted(answer: VaultResponse) -> LoginGrant:
    """What an auth method's answer grants. OpenBao 2.7.2 and Vault put num_uses beside the token."""
    if answer.status == 404:
        raise Answered("there is no such namespace, or no such auth method in it: see [vault] and [vault.auth]")
    auth = answer.section("auth")
    if auth.get("mfa_requirement"):
        raise Answered("it wants a second factor (MFA), which no daemon has: exempt this role from it")
    if not _TOKEN.fullmatch(auth["client_token"]):
        raise ValueError("a token that fits no header")
    return LoginGrant(
        Secret(auth["client_token"]),
        seconds(auth["lease_duration"]),
        bool(auth.get("renewable")),
        int(auth.get("num_uses") or 0),
        answer.headers.get("X-Vault-Index") or "",
        str(answer.section("auth", "metadata").get("role_name") or ""),
    )
