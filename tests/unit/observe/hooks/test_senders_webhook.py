"""A webhook: signed so that anybody's library knows it, sent with care, its address and secret kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from rotator.observe.hooks import WebhookSender, senders, whereabouts
from rotator.observe.hooks.facts import Facts, gather
from rotator.ports import Fault, Refused, Transient
from rotator.providers.http.hook_client import HookClient
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings import Hook, HookMoment
from tests.kit.clock import QuickClock
from tests.kit.proxy_password import no_password
from tests.unit.observe.hooks import transitions as they
from tests.unit.vault.worlds import canary

pytestmark = pytest.mark.anyio
FACTS = gather(they.publication(), HookMoment.PUBLISHED)
REF = SecretRef(SecretSource.FILE, "/run/secrets/hook")
HOOK = Hook("page", (HookMoment.PUBLISHED,), url="https://hooks.test/in/", secret=REF)


class Receiver:
    """An address on no network that answers as it is told, and keeps what came."""

    def __init__(self, status: int = 204, **headers: str) -> None:
        self.status, self.headers = status, headers
        self.requests: list[httpx.Request] = []

    def box(self) -> HookClient:
        return HookClient(no_password, transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, headers=self.headers, content=b"x" * 100)


def kept(secret: Secret):
    async def fetch(ref: SecretRef) -> Secret:
        return secret

    return fetch


async def posted(receiver: Receiver, secret: Secret, hook: Hook = HOOK, facts: Facts = FACTS) -> None:
    box = receiver.box()
    try:
        await WebhookSender(hook, box, kept(secret), QuickClock())(facts)
    finally:
        await box.aclose()


def test_the_signature_is_the_one_of_the_standards_own_example() -> None:
    example = Facts("msg_p5jXN8AQM9LWM0D4loKWxJek", "blog", HookMoment.PUBLISHED, b'{"test": 2432232314}')
    secret = Secret("whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = senders.headers(example, secret, datetime.fromtimestamp(1614265330, UTC))
    assert made["webhook-timestamp"] == "1614265330"
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("marked", [True, False], ids=["whsec", "plain text"])
async def test_a_receiver_can_check_the_signature_from_what_came_over_the_wire(marked: bool) -> None:
    text = canary("signing").reveal()
    secret = Secret("whsec_" + base64.b64encode(text.encode()).decode()) if marked else Secret(text)
    receiver = Receiver()
    await posted(receiver, secret)
    [request] = receiver.requests
    head, body = request.headers, request.read()
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(text.encode(), signed, hashlib.sha256)).decode()
    assert head["webhook-signature"] == f"v1,{expected}"
    assert (request.method, str(request.url), head["content-type"]) == (
        "POST",
        "https://hooks.test/in/",
        "application/json",
    )
    assert json.loads(body)["id"] == head["webhook-id"] == FACTS.id
    assert text not in str(head) + body.decode()
    assert "cookie" not in head


async def test_another_attempt_has_the_same_id_and_its_own_time() -> None:
    secret = canary("again")
    first, later = (senders.headers(FACTS, secret, datetime.fromtimestamp(at, UTC)) for at in (1000, 1010))
    assert first["webhook-id"] == later["webhook-id"]
    assert first["webhook-signature"] != later["webhook-signature"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("whsec_not*base64*at*all", "base64 does not follow"),
        ("whsec_c2hvcnQ=", "shorter than 24"),
        ("tiny-value", "shorter than 24"),
    ],
)
def test_a_secret_that_cannot_sign_is_refused_and_not_repeated(text: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        senders.headers(FACTS, Secret(text), datetime.now(UTC))
    assert text.removeprefix("whsec_") not in str(refused.value)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410, 429, 500, 503])
async def test_anything_but_a_2xx_was_not_taken_and_the_fault_names_no_path(status: int) -> None:
    receiver = Receiver(status, location="https://elsewhere.test", **{"retry-after": "7"})
    with pytest.raises(Transient) as fault:
        await posted(receiver, canary("status"))
    assert f"POST to https://hooks.test:443: {status}" in fault.value.reason
    assert "/in" not in fault.value.reason
    assert fault.value.retry_after == 7.0
    assert len(receiver.requests) == 1  # a redirect was not followed


async def test_a_receiver_that_does_not_answer_is_left_after_the_limit() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        import anyio

        await anyio.sleep_forever()
        raise AssertionError

    box = HookClient(no_password, transport=httpx.MockTransport(hang))
    with pytest.raises(Transient, match=r"no answer within 0.01 s"):
        await box.send("POST", "https://hooks.test/", 0.01)
    await box.aclose()


async def test_a_fault_of_the_network_shows_its_type_and_not_its_text() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused at https://hooks.test/in/very-secret-path")

    box = HookClient(no_password, transport=httpx.MockTransport(fail))
    with pytest.raises(Transient) as fault:
        await box.send("POST", "https://hooks.test/in/very-secret-path", 5)
    assert fault.value.reason == "POST to https://hooks.test:443 failed: no connection"
    await box.aclose()


async def test_an_address_may_itself_be_a_secret() -> None:
    receiver, address = Receiver(), Secret("https://hooks.test/services/T000/B000/secret-part?x=1")

    async def fetch(ref: SecretRef) -> Secret:
        return address if ref == SecretRef(SecretSource.FILE, "/url") else canary("sign")

    box = receiver.box()
    hook = replace(HOOK, url=SecretRef(SecretSource.FILE, "/url"))
    await WebhookSender(hook, box, fetch, QuickClock())(FACTS)
    await box.aclose()
    assert str(receiver.requests[0].url) == address.reveal()


@pytest.mark.parametrize(
    "text", ["http://hooks.test/plain-and-secret", "http://169.254.169.254/latest-and-secret", "nothing-but-secret"]
)
async def test_an_address_kept_as_a_secret_is_checked_before_it_is_called_and_not_repeated(text: str) -> None:
    with pytest.raises(Refused) as refused:
        await whereabouts(replace(HOOK, url=REF), kept(Secret(text)))
    assert "secret" not in str(refused.value).replace("/run/secrets/hook", "").replace("every secret", "").replace(
        "secret reference", ""
    )


async def test_a_secret_that_cannot_be_had_is_a_failed_attempt() -> None:
    async def fetch(ref: SecretRef) -> Secret:
        raise Refused("file:/run/secrets/hook cannot be read: No such file or directory")

    receiver = Receiver()
    box = receiver.box()
    with pytest.raises(Fault, match="cannot be read"):
        await WebhookSender(HOOK, box, fetch, QuickClock())(FACTS)
    assert not receiver.requests
    await box.aclose()
