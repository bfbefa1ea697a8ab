"""What we log in with ends one day: known before, told in words, and not tried to death afterwards."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.ports import StoreRefused
from rotator.rotation.secret import Secret
from rotator.vault.login import (
    LOGIN_PAUSE,
    REFUSED_PAUSE,
    LoginEnd,
    LoginRefused,
    approle,
    jwt,
    kubernetes,
    of_certificate,
    of_jwt,
    token,
)
from rotator.vault.session import Session
from rotator.vault.transport import VaultConnection
from tests.kit.certificates import self_signed
from tests.kit.clock import QuickClock
from tests.kit.http_server import Heard, Reply
from tests.sandbox.openbao import OpenBao
from tests.unit.vault.scripted import DEAD, DENIED, ScriptedVault, scripted_vault
from tests.unit.vault.worlds import session_on

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
REFUSED = (400, {"errors": ["invalid role or secret ID"]})


class Source:
    """A secret that a person may replace."""

    def __init__(self) -> None:
        self.text = "canary-source-1-7f2d"

    def __call__(self) -> Secret:
        return Secret(self.text)


def approle_session(vault: ScriptedVault, source: Source, clock: QuickClock) -> Session:
    return Session(VaultConnection(vault.address), approle(lambda: Secret("a-role-id"), source), clock)


# --- tried again, and when ------------------------------------------------------------------------------------------


async def test_a_refused_secret_is_tried_again_when_it_changes_when_a_person_says_so_or_rarely() -> None:
    """An ended secret-id was tried every five seconds: Vault locked the role out, and other hosts with it."""
    source, clock = Source(), QuickClock()
    with scripted_vault(stumbles={"auth/approle/login": [REFUSED] * 9}) as vault:
        session = approle_session(vault, source, clock)

        async def tries() -> int:
            with pytest.raises(LoginRefused, match="used up or ended"):
                await session.open()
            return vault.paths().count("auth/approle/login")

        assert await tries() == 1
        for _ in range(20):
            clock.ahead += LOGIN_PAUSE + 1
            assert await tries() == 1
        source.text = "canary-source-2-7f2d"
        clock.ahead += LOGIN_PAUSE + 1
        assert await tries() == 2
        session.forgive()
        assert await tries() == 3
        clock.ahead += REFUSED_PAUSE + 1
        assert await tries() == 4


async def test_a_source_that_cannot_be_read_was_refused_by_nobody_and_is_looked_at_soon() -> None:
    with scripted_vault() as vault:
        clock, there = QuickClock(), []

        def source() -> Secret:
            if not there:
                raise StoreRefused("/etc/x cannot be read")
            return Secret("canary-there-9c1d")

        session = Session(VaultConnection(vault.address), approle(lambda: Secret("r"), source), clock)
        with pytest.raises(StoreRefused, match="no approle login"):
            await session.open()
        there.append(True)
        clock.ahead += LOGIN_PAUSE + 1
        await session.open()
        await session.close()


# --- words ----------------------------------------------------------------------------------------------------------

WORDS: dict[str, tuple[Any, Reply, str]] = {
    "used up, ended or wrong": (approle, REFUSED, "wrong, used up or ended"),
    "locked out": (approle, DEAD, r"\(403\).*locked this role out.*sys/locked-users"),
    "from another address": (
        approle,
        (400, {"errors": ['source address "10.0.0.1" unauthorized by CIDR restrictions on the role']}),
        "our address is not among those",
    ),
    "kubernetes": (
        kubernetes,
        DEAD,
        "token is bad.*audience.*not bound.*may not review tokens.*API server",
    ),
    "no such namespace": (
        approle,
        (404, {"errors": ['no handler for route "auth/approle/login"']}),
        "no such namespace",
    ),
    "no such role": (kubernetes, (400, {"errors": ['invalid role name "x"']}), "no such role"),
    "not configured": (jwt, (400, {"errors": ["could not load configuration"]}), "not configured"),
}


def login_by(method: Any) -> Any:
    source = Source()
    return approle(source, source) if method is approle else method("x", source)


@pytest.mark.parametrize("case", WORDS)
async def test_a_refusal_names_its_cause_as_far_as_vault_tells(case: str) -> None:
    method, said, words = WORDS[case]
    with scripted_vault(stumbles={"auth/": [said]}) as vault:
        session = Session(VaultConnection(vault.address), login_by(method), QuickClock())
        with pytest.raises(LoginRefused, match=words) as caught:
            await session.open()
        assert caught.value.reason.startswith("Vault refuses our ")


async def test_a_file_of_ours_that_cannot_be_read_is_no_refusal_of_vaults(tmp_path: Path) -> None:
    place = VaultConnection("https://127.0.0.1:9", ca_file=str(tmp_path / "none.pem"))
    session = Session(place, kubernetes("x", Source()), QuickClock())
    with pytest.raises(StoreRefused) as caught:
        await session.open()
    assert not isinstance(caught.value, LoginRefused)
    assert caught.value.reason.startswith("no kubernetes login: a certificate file cannot be read")


async def test_a_role_whose_tokens_are_used_up_is_refused_in_words() -> None:
    """Eight workers shared a token of three uses: "policy denies this, with a fresh token"."""
    with scripted_vault(grant={"lease_duration": 1800, "num_uses": 3}) as vault:
        session = approle_session(vault, Source(), QuickClock())
        with pytest.raises(StoreRefused, match=r"tokens of 3 uses.*token_num_uses to 0"):
            await session.open()


# --- the end --------------------------------------------------------------------------------------------------------


def looked_up(reply: Reply) -> Any:
    def rule(heard: Heard) -> Reply | None:
        return reply if heard.path.endswith("secret-id/lookup") else None

    return rule


GONE = {"secret_id_num_uses": 0, "expiration_time": "0001-01-01T00:00:00Z"}
LOOKUPS: dict[str, tuple[Reply, LoginEnd]] = {
    "without an end": ((200, {"data": GONE}), LoginEnd("secret-id")),
    "used for the last time": ((204, None), LoginEnd("secret-id", uses=0)),
    "few uses": ((200, {"data": {**GONE, "secret_id_num_uses": 2}}), LoginEnd("secret-id", uses=2)),
    "a date": (
        (200, {"data": {"creation_time": "2026-03-01T12:00:00.4Z", "expiration_time": "2026-03-11T12:00:00.4Z"}}),
        LoginEnd("secret-id", NOW + 10 * DAY + timedelta(seconds=0.4), NOW + timedelta(seconds=0.4)),
    ),
    "not allowed": (
        DENIED,
        LoginEnd("secret-id", unknown="as our policy lacks update on auth/approle/role/+/secret-id/lookup"),
    ),
}


@pytest.mark.parametrize("case", LOOKUPS)
async def test_the_end_of_a_secret_id_is_asked_for(case: str) -> None:
    reply, expected = LOOKUPS[case]
    grant = {"lease_duration": 1800, "renewable": True, "metadata": {"role_name": "rotator"}}
    with scripted_vault(grant=grant, rules=[looked_up(reply)]) as vault:
        session = approle_session(vault, Source(), QuickClock())
        await session.open()
        assert session.login_end == expected
        assert vault.paths().count("auth/approle/role/rotator/secret-id/lookup") == 1
        await session.close()


ABOUT: dict[str, tuple[dict[str, Any], datetime | None]] = {
    "for ever": ({"ttl": 0, "expire_time": None}, None),
    "renewed for ever": ({"ttl": 1800, "renewable": True, "expire_time": "2026-03-01T13:00:00Z"}, None),
    "renewed up to a limit": (
        {"ttl": 1800, "renewable": True, "creation_time": NOW.timestamp(), "explicit_max_ttl": 86400},
        NOW + DAY,
    ),
    "not renewable": ({"ttl": 1800, "expire_time": "2026-03-02T12:00:00.123456789Z"}, NOW + DAY),
}


@pytest.mark.parametrize("case", ABOUT)
async def test_the_end_of_a_token_is_that_of_its_renewals(case: str) -> None:
    about, ends = ABOUT[case]
    with scripted_vault(about=about) as vault:
        session = Session(VaultConnection(vault.address), token(Source()), QuickClock())
        await session.open()
        assert session.login_end
        found = session.login_end.ends
        assert found is ends is None or (found and ends and abs(found - ends) < timedelta(seconds=1))


def signed(**claims: object) -> Secret:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return Secret(f"e30.{part}.sig")


def test_a_jwt_says_itself_when_it_ends() -> None:
    found = of_jwt(signed(iat=int(NOW.timestamp()), exp=int((NOW + 10 * DAY).timestamp())))
    assert (found.ends, found.began) == (NOW + 10 * DAY, NOW)
    assert of_jwt(signed()).ends is None


@pytest.mark.parametrize("text", ["nothing", "a.b.c", "a.!!.c", f"a.{'W1tb' * 9000}.c", "a.MQ.c"])
def test_what_is_no_jwt_is_said_to_be_none(text: str) -> None:
    assert of_jwt(Secret(text)).unknown


def test_a_certificate_has_its_end_in_it(tmp_path: Path) -> None:
    _, path = self_signed(tmp_path, "127.0.0.1")
    found = of_certificate(path)
    assert found.ends
    assert found.began
    assert timedelta(hours=23) < found.ends - datetime.now(UTC) < timedelta(hours=25)
    assert of_certificate(str(tmp_path / "none")).unknown


@pytest.mark.parametrize(
    ("end", "left", "near"),
    [
        (LoginEnd("secret-id", NOW, NOW - 10 * DAY), 1.1 * DAY, False),
        (LoginEnd("secret-id", NOW, NOW - 10 * DAY), 0.9 * DAY, True),
        (LoginEnd("certificate", NOW, NOW - 365 * DAY), 15 * DAY, False),
        (LoginEnd("certificate", NOW, NOW - 365 * DAY), 13 * DAY, True),
        (LoginEnd("JWT", NOW, NOW - timedelta(hours=1)), timedelta(minutes=12), False),  # a kubelet replaces it here
        (LoginEnd("token", NOW), 2 * DAY, False),
        (LoginEnd("token", NOW), DAY, True),
        (LoginEnd("secret-id", uses=3), DAY, False),
        (LoginEnd("secret-id", uses=2), DAY, True),
        (LoginEnd("secret-id"), DAY, False),
    ],
)
def test_the_last_tenth_of_a_life_is_soon(end: LoginEnd, left: timedelta, near: bool) -> None:
    assert end.is_near(NOW - left) is near


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (LoginEnd("secret-id"), "our secret-id has no end that Vault tells"),
        (LoginEnd("secret-id", NOW, uses=1), "our secret-id ends 2026-03-01 12:00:00Z and is good for one more login"),
        (LoginEnd("secret-id", uses=0), "our secret-id was used for the last time"),
        (LoginEnd("JWT", unknown="why"), "our JWT: when it ends is not known, why"),
    ],
)
def test_the_end_in_words(end: LoginEnd, said: str) -> None:
    assert str(end) == said


# --- a real server --------------------------------------------------------------------------------------------------

_LOOK = 'path "auth/approle/role/+/secret-id/lookup" { capabilities = ["update"] }'


@pytest.mark.system
async def test_uses_that_others_take_are_seen_and_the_last_one_is_told(openbao: OpenBao) -> None:
    """A daemon logs in once an hour; the metric kept the number that it had seen then."""
    role = openbao.approle("few-uses", _LOOK, secret_id_num_uses=4)

    def session() -> Session:
        return session_on(openbao, login=approle(lambda: Secret(role.role_id), lambda: role.secret_id))

    def left(session: Session) -> tuple[int | None, bool]:
        assert session.login_end
        return session.login_end.uses, session.login_end.is_near(datetime.now(UTC))

    first = session()
    await first.look_at_login()
    assert first.login_end is None, "who never logged in spends no use for it"
    await first.open()
    assert left(first) == (3, False)
    for uses in (2, 1, 0):
        other = session()
        await other.open()
        await other.close()
        await first.look_at_login()
        assert left(first) == (uses, True)
    with pytest.raises(LoginRefused, match="used up or ended"):
        await session().open()
    await first.close()
