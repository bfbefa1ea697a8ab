"""The truth of a sandbox HaloITSM: tenant, applications, grants, rules. HTTP is left to `routes`.

Every method is synchronous; time is the `clock` argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID, uuid5

from rotator.rotation.secret import Secret
from tests.sandbox.cms.times import utc_now
from tests.sandbox.itsm.applications import Application, digest
from tests.sandbox.itsm.assertions import Assertions, subject
from tests.sandbox.itsm.grants import SCOPES, Grants
from tests.sandbox.itsm.refreshes import Refreshes
from tests.sandbox.itsm.refusals import Refusal
from tests.sandbox.itsm.registrations import Registrations
from tests.sandbox.itsm.rules import PRESETS, Rules
from tests.sandbox.itsm.throttle import Throttle

_SPACE = UUID("b3a5c2f0-5a57-4a6f-9d0c-6f1c2b8f7a11")  # names become the same ids in every run


class ItsmModel:
    """A HaloITSM. `token_life` in seconds; `rules` is a preset's name or the rules themselves."""

    def __init__(
        self,
        rules: Rules | str = "halo",
        *,
        tenant: str = "sandbox",
        clock: Callable[[], datetime] = utc_now,
        token_life: float = 3600.0,
        calls: int = 300,
        period: float = 300.0,
    ) -> None:
        """Raises KeyError for an unknown preset. `calls` in `period` seconds are allowed; 0: any number."""
        self.rules = PRESETS[rules] if isinstance(rules, str) else rules
        self.tenant = tenant
        self.clock = clock
        self.token_life = timedelta(seconds=token_life)
        self.grants = Grants(clock)
        self.refreshes = Refreshes(clock)
        self.registrations = Registrations()
        self.users: dict[str, str] = {}  # digests of passwords, by name
        self.assertions = Assertions(clock)
        self.throttle = Throttle(clock, calls, period)
        self.applications: dict[str, Application] = {}  # by id
        self.agents: dict[int, str] = {}
        self.refuses_with = 401  # what the resource server answers to a value that it does not know: 401, 403 or 400
        self.trusts_names = False  # nobody looks at certificates, as behind a gateway that forgets to
        self.lone_me = 200  # what /api/Agent/me says to a machine identity without an agent: 200, 403 or 404
        self.keeps_unsent = True  # a POST without roles or scopes leaves them alone
        self.keeps_versions = True  # a POST with an old concurrencyToken is a conflict
        self.key_header = "authorization"  # where an API key goes, in lower case; as a bearer, if it is this one
        self.discovery = False  # whether it has a discovery document ...
        self.says: dict[str, object] = {}  # ... and what that says besides the truth, or instead of it; None: nothing
        self.url = ""
        self._numbers = count(1)

    def add_agent(self, name: str) -> int:
        """A person or technical agent; returns its id."""
        number = len(self.agents) + 1
        self.agents[number] = name
        return number

    def add_application(
        self,
        name: str,
        *,
        secret: Secret | None = None,
        public_key: str = "",
        kid: str = "",
        signs_by_secret: bool = False,
        certificate: str = "",
        subject: str = "",
        jwks: Callable[[], str] | None = None,
        scopes: tuple[str, ...] = ("all",),
        agent: int | None = None,
        roles: tuple[str, ...] = ("sys-all-permissions",),
        issuer: str = "",
        system: bool = False,
    ) -> Application:
        """A new API application; its client id is made from the name. With a key, the assertion is demanded."""
        made = Application(
            id=str(next(self._numbers)),
            client_id=str(uuid5(_SPACE, name)),
            name=name,
            created=self.clock(),
            secret=digest(secret.reveal()) if secret else "",
            scopes=scopes,
            agent=agent,
            roles=roles,
            certificate=certificate,
            subject=subject,
            shared_secret=secret.reveal() if secret and signs_by_secret else "",
            demands_assertion=bool(public_key or jwks or signs_by_secret),
            public_key=public_key,
            kid=kid,
            jwks=jwks,
            issuer=issuer,
            system=system,
        )
        self.applications[made.id] = made
        return made

    def add_user(self, name: str, password: Secret) -> None:
        """Somebody who logs in with a password, for the grant of that name."""
        self.users[name] = digest(password.reveal())

    def authorise(self, application: Application) -> Secret:
        """As if a person had consented in a browser: a refresh token that begins a family."""
        return Secret(self.refreshes.issue(application.client_id, frozenset(application.scopes)))

    def client(self, client_id: str) -> Application | None:
        """The active application of a client id."""
        return next((x for x in self.applications.values() if x.client_id == client_id and not x.inactive), None)

    def names(self) -> dict[str, str]:
        """What an audience may call this server."""
        return {"token_url": f"{self.url}/auth/token", "auth_url": f"{self.url}/auth", "issuer": self.url}

    def metadata(self) -> dict[str, object]:
        """What it says of itself (RFC 8414)."""
        told: dict[str, object] = {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/auth/token",
            "jwks_uri": f"{self.url}/auth/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(self.rules.algorithms),
            "grant_types_supported": ["client_credentials", "password", "refresh_token"],
            "scopes_supported": sorted(SCOPES),
        }
        return {name: each for name, each in (told | self.says).items() if each is not None}

    def change(self, **rules: object) -> None:
        """Switch single rules."""
        self.rules = replace(self.rules, **rules)  # type: ignore[arg-type]  # names and types are those of Rules

    def accepts_assertion(self, value: Secret) -> bool:
        """Whether exactly this assertion would be taken now. Asking is no use."""
        text = value.reveal()
        application = self.client(subject(text))
        if application is None:
            return False
        try:
            self.assertions.check(text, application, self.rules, self.names(), use=False)
        except Refusal:
            return False
        return True

    def accepts_secret(self, application: Application, value: Secret) -> bool:
        """Whether exactly this client secret is the application's, and of use."""
        return not application.inactive and application.knows(value.reveal())

    def accepts_key(self, value: Secret) -> bool:
        """Whether exactly this API key is taken now. Asking is no use."""
        return self.keyed(value.reveal(), use=False) is not None

    def keyed(self, key: str, *, use: bool = True) -> Application | None:
        """The active application with this living API key; notes the use."""
        now = self.clock()
        active = (each for each in self.applications.values() if key and not each.inactive)
        return next((each for each in active if any(slot.opens(key, now, use=use) for slot in each.slots)), None)

    def accepts_token(self, value: Secret) -> bool:
        """Whether exactly this access token is taken now."""
        grant = self.grants.find(value.reveal())
        return bool(grant and grant.scopes)
