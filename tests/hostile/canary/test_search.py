from __future__ import annotations

import base64
import json
import secrets
from urllib.parse import quote

import pytest

from tests.hostile.canary.search import WINDOW, Search

CANARY = "pat_eyJ" + secrets.token_urlsafe(40) + "/+" + secrets.token_hex(8)
WRAPPINGS = {
    "as it is": CANARY,
    "in a sentence": f"could not use {CANARY}, sorry",
    "as base64": base64.b64encode(CANARY.encode()).decode(),
    "within longer base64, first alignment": base64.b64encode(f"a{CANARY}bc".encode()).decode(),
    "within longer base64, second alignment": base64.b64encode(f"ab{CANARY}c".encode()).decode(),
    "as URL-safe base64": base64.urlsafe_b64encode(CANARY.encode()).decode(),
    "as a basic auth header": "Basic " + base64.b64encode(f"admin:{CANARY}".encode()).decode(),
    "quoted in a URL": f"https://x.example/?token={quote(CANARY, safe='')}",
    "as JSON": json.dumps({"token": CANARY}),
    "in capital escapes of JSON": "".join(f"\\u{ord(each):04X}" for each in CANARY),
    "in HTML by numbers": "".join(f"&#{ord(each)};" for each in CANARY),
    "in HTML by hex numbers, twice": "".join(f"&amp;#x{ord(each):x};" for each in CANARY),
    "in an address, every letter": "".join(f"%{ord(each):02x}" for each in CANARY),
    "as hex": CANARY.encode().hex(),
    "only twelve characters of it": f"...{CANARY[20 : 20 + WINDOW]}...",
    "cut off": CANARY[:30],
}


@pytest.mark.parametrize("text", WRAPPINGS.values(), ids=WRAPPINGS.keys())
def test_a_canary_is_found(text: str) -> None:
    assert Search([CANARY]).hits("a sink", text)


def test_other_secrets_of_the_same_kind_are_no_hits() -> None:
    other = secrets.token_urlsafe(60)
    assert (
        Search([CANARY]).hits("a sink", f"{other} {base64.b64encode(other.encode()).decode()} {other.encode().hex()}")
        == []
    )


def test_a_hit_does_not_repeat_the_secret() -> None:
    assert CANARY[5:20] not in "".join(Search([CANARY]).hits("a sink", CANARY))


def test_half_a_character_hides_no_secret_and_breaks_no_search():
    search = Search([f"{CANARY}\ud800"])
    assert search.hits("a sink", json.dumps({"token": f"{CANARY}\ud800"}))
    assert search.hits("a sink", CANARY.encode().hex())
