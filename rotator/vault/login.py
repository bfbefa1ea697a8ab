"""Logging in to Vault: one function per auth method, the pause after a failure, and when what we log in with ends.

A source is read at every login, in a worker thread, so that a replaced file is noticed. session.py keeps the token
alive.
"""

from __future__ import annotations

import base64
import json
import math
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from rotator.ports import Clock, Fault, Refused, StoreRefused, Transient
from rotator.rotation.secret import Secret
from rotator.vault.hvac_adapter import Answered, PolicyDenied, VaultResponse

_SHARE = 10  # "soon" is the last tenth of its life: a kubelet replaces its tokens at four fifths
_SOONEST = timedelta(days=14)
_FEW = 3  # further logins
_MARK = secrets.token_bytes(32)  # marks are compared within one process
_ELSE = "or nothing is mounted at [vault.auth] mount, or the namespace is another"
_DENIED = {
    "token": "it has ended or was revoked, or its policy does not let it look itself up",
    "approle": (
        "too many wrong tries have locked this role out for a while, for good secret-ids, too (`bao read"
        f" sys/locked-users` names it, `bao write -f sys/locked-users/ACCESSOR/unlock/ROLE_ID` ends that), {_ELSE}"
    ),
    # Vault answers all of these with the same 403. In the order in which to check:
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
LOGIN_PAUSE = 5.0  # seconds until a failed login is tried again, however many requests wait
MISSED_PAUSE = 1.0  # the same without an answer: a raft cluster has its next leader in a second or two
REFUSED_PAUSE = 900.0  # after a refusal by Vault, unless the secret changed: further tries lock others out, too
Mark = Callable[[], Awaitable[object]]  # see `Login.mark`


@dataclass(frozen=True, slots=True)
class LoginEnd:
    """The end of what we log in with. `uses`: logins left, None for no limit. `unknown`: why the end is not known."""

    what: str
    ends: datetime | None = None
    began: datetime | None = None
    uses: int | None = None
    unknown: str = ""

    @property
    def soon_from(self) -> datetime | None:
        """The time from which a person should act."""
        if self.ends is None:
            return None
        life = self.ends - self.began if self.began and self.began < self.ends else _SOONEST
        return self.ends - min(life / _SHARE, _SOONEST)

    def is_near(self, now: datetime) -> bool:
        """Whether a person should replace it now."""
        soon = self.soon_from
        return (soon is not None and now >= soon) or (self.uses is not None and self.uses < _FEW)

    def __str__(self) -> str:
        parts = [f"ends {self.ends:%F %T}Z"] if self.ends else []
        if self.uses is not None:
            more = "one more login" if self.uses == 1 else f"{self.uses} more logins"
            parts.append(f"is good for {more}" if self.uses else "was used for the last time")
        if self.unknown:
            return f"our {self.what}: when it ends is not known, {self.unknown}"
        return f"our {self.what} {' and '.join(parts) or 'has no end that Vault tells'}"


def of_jwt(token: Secret) -> LoginEnd:
    """The times in a JWT. Vault checks its signature."""
    try:
        payload = token.reveal().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        ends, began = (
            datetime.fromtimestamp(claims[key], UTC) if isinstance(claims.get(key), int | float) else None
            for key in ("exp", "iat")
        )
    except (ValueError, IndexError, AttributeError, OverflowError, OSError, RecursionError):
        return LoginEnd("JWT", unknown="it is no JWT that we can read")
    return LoginEnd("JWT", ends, began)


def of_certificate(path: str) -> LoginEnd:
    """The first certificate in a PEM file."""
    try:
        found = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError):
        return LoginEnd("client certificate", unknown="its file cannot be read")
    return LoginEnd("client certificate", found.not_valid_after_utc, found.not_valid_before_utc)


def instant(told: object) -> datetime | None:
    """A time as Vault writes it; year 1 means none. Python keeps six digits of a second."""
    try:
        read = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return read if read is not None and read.tzinfo and read.year > 1 else None


class LoginRefused(StoreRefused):
    """Vault refused what we log in with: repeating the same login can only do harm."""


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
    """A login method. `ask` makes the requests on an hvac client; `repeatable`: each login gives a new token.

    `end` finds, with a logged-in client, when the secret of the login ends. `holds` is that secret as it is now: as
    long as it is the same, a refusal stands.
    """

    method: str
    ask: Callable[[Any], LoginGrant] = field(repr=False)
    repeatable: bool = True
    end: Callable[[Any, LoginGrant], LoginEnd | None] = field(default=lambda client, grant: None, repr=False)
    holds: Callable[[], object] = field(default=lambda: None, repr=False)

    def mark(self) -> object:
        """A digest of what the login would use now, to be compared; no secret can be read from it."""
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
        except StoreRefused as fault:  # the words of the source, not of Vault
            raise StoreRefused(f"no {self.method} login: {fault.reason}") from None
        except Answered as fault:
            raise LoginRefused(f"Vault refuses our {self.method} login: {fault.reason}") from None
        except Refused as fault:  # no refusal by Vault: a proxy's answer, or a file of ours
            raise StoreRefused(f"no {self.method} login: {fault.reason}") from None
        except Fault:
            raise
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
            raise StoreRefused(f"the {self.method} login has no usable credential ({type(error).__name__})") from None


def token(source: Source) -> Login:
    """A token that was made elsewhere. We look it up and never revoke it."""

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
    """When the secret-id ends. The policy must allow asking. One that is used up no longer exists (204)."""
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


@dataclass(frozen=True, slots=True)
class _Failed:
    fault: Fault
    until: float  # monotonic
    with_what: object
    looked: float  # monotonic: when that was compared last


class LoginPause:
    """The last failed login, and until when it is not tried again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: _Failed | None = None

    def failed(self, fault: Fault, with_what: object) -> None:
        """A login made `with_what` has failed."""
        now = self._clock.monotonic()
        if isinstance(fault, LoginRefused):
            usual = REFUSED_PAUSE
        else:
            usual = MISSED_PAUSE if isinstance(fault, Transient) else LOGIN_PAUSE
        self._failed = _Failed(fault, now + max(usual, fault.retry_after or 0.0), with_what, now)

    def forgive(self) -> None:
        """Forget a refusal: a person says that its cause is mended."""
        self._failed = None

    async def standing(self, mark: Mark) -> None:
        """Raises the last failure again while it stands."""
        failed, now = self._failed, self._clock.monotonic()
        if failed is None or now >= failed.until or await self._is_another(failed, now, mark):
            return
        raise type(failed.fault)(failed.fault.reason, retry_after=min(failed.until - now, LOGIN_PAUSE))

    async def _is_another(self, failed: _Failed, now: float, mark: Mark) -> bool:
        """Whether the secret of the login has changed since Vault refused it; checked every few seconds."""
        if not isinstance(failed.fault, LoginRefused) or now - failed.looked < LOGIN_PAUSE:
            return False
        self._failed = _Failed(failed.fault, failed.until, failed.with_what, now)
        return await mark() != failed.with_what
