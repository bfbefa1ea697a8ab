"""What the settings of a HaloITSM application tell about the next rotation of a credential, without a request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from rotator.providers.base import Remark
from rotator.providers.halo_itsm.application_api import ALL_PERMISSIONS, ApplicationRecord
from rotator.providers.oauth.config import ClientOptions

_OF_THE_PROTOCOL = frozenset({"offline_access", "openid", "profile", "email"})  # in no application's list of scopes
_OWN_AGENT = "/api/Agent/me"


def of_client(record: ApplicationRecord, client: ClientOptions, *, proven: bool) -> Iterator[Remark]:
    """The scopes, the login and the role of an application that this client is. `proven`: the probe has accepted a
    value of it before."""
    told, wanted = record.scopes, set(client.scopes) - _OF_THE_PROTOCOL
    lacks = sorted(wanted - told) if told is not None and "all" not in told else []
    if lacks:
        said = f"application {record.id} lacks the scope{'s' if len(lacks) > 1 else ''} {', '.join(lacks)}"
        remedy = "tick that on its Permissions tab in Halo, or take it out of the credential's `scopes`"
        yield Remark(said, remedy, grave=bool(told))  # an empty list may be one that Halo does not show
    if record.all_permissions:
        only = f"its scopes alone ({', '.join(sorted(told))}) limit" if told else "nothing that can be seen limits"
        yield Remark(
            f"application {record.id} has the role {ALL_PERMISSIONS}: {only} what a leaked value opens",
            "give it a role, or an agent, with no more rights than its consumers need",
        )
    elif record.agent == "" and not record.roles:
        yield Remark(
            f"application {record.id} logs in as no agent, and shows no role: its tokens may open nothing",
            "choose an agent to log in as, or identity roles, in Halo",
        )
    if record.agent == "" and client.probe == _OWN_AGENT and not proven:
        yield Remark(
            f"application {record.id} logs in as no agent, and the probe asks who the agent is: it may be refused",
            "set `probe` to a path that its scopes open, such as /api/Status, before its value is changed",
        )


def of_assertions(record: ApplicationRecord, client: ClientOptions) -> Iterator[Remark]:
    """The issuer of an application whose client signs assertions, which Halo may compare with `iss`."""
    issuer = str(record.document.get("issuer") or "")
    if issuer and issuer != (client.assertion_issuer or client.client_id):
        yield Remark(
            f"application {record.id} names another issuer of its assertions than the settings",
            "set `assertion_issuer` to what it says in Halo",
        )


def of_two(first: ApplicationRecord, second: ApplicationRecord) -> Iterator[Remark]:
    """The rights of two applications that take turns, which consumers notice if they differ."""
    differ = [
        what
        for what, one, other in (
            ("scopes", first.scopes, second.scopes),
            ("agents", first.agent, second.agent),
            ("roles", first.roles, second.roles),
        )
        if one != other
    ]
    if differ:
        yield Remark(
            f"applications {first.id} and {second.id} take turns with different {' and '.join(differ)}",
            "make their rights equal in Halo: consumers get those of the one whose turn it is",
        )


def of_key_life(record: ApplicationRecord, lifetime: timedelta | None) -> Iterator[Remark]:
    """The days that Halo gives an API key, which must not be fewer than the settings want."""
    days = record.key_days
    if days is not None and lifetime is not None and lifetime > timedelta(days=days, minutes=1):
        yield Remark(
            f"keys of application {record.id} live for {days} days, and the settings want longer",
            f'set lifetime = "{days}d" or less, or raise the days in Halo',
            grave=True,
        )
