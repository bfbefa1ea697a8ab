"""Durations, addresses and names read as they should."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from rotator.host.proxy import is_loopback
from rotator.providers.base import check_url
from rotator.settings.addresses import address
from rotator.settings.parsers import WrongValueError, duration, name, spell
from rotator.vault.transport import VaultConnection


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(weeks=2)),
        ("1w2d3h4m5s", timedelta(days=9, hours=3, minutes=4, seconds=5)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, length: timedelta) -> None:
    assert duration(text) == length


@pytest.mark.parametrize("value", ["", "5", "h", "1.5h", "-1h", "1 h", "1H", "1h\n", "٣s", 5, 5.0, True, [], None])
def test_anything_else_is_no_duration(value: object) -> None:
    with pytest.raises(WrongValueError):
        duration(value)


def test_durations_are_spelt_as_they_are_written() -> None:
    assert [spell(timedelta(seconds=s)) for s in (0, 59, 3600, 5400, 90060)] == ["0s", "59s", "1h", "1h30m", "1d1h1m"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8200",
        "http://localhost:8090",
        "http://[::1]:80",
        "http://[::ffff:127.0.0.1]:80",
        "http://127.8.9.1",
        "https://v.example/base/",
    ],
)
def test_this_host_may_be_spoken_to_plainly(url: str) -> None:
    assert address(url).over(False) == url.rstrip("/")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "x.localhost", "localhost.", "127.0.0.1", "127.1.2.3", "[::1]",
     "[::1%25lo]", "[::ffff:127.0.0.1]",
     "[::ffff:10.0.0.1]", "10.0.0.1", "vault.example", "127.0.0.1.example"],
)  # fmt: skip
def test_settings_and_transports_agree_about_which_host_is_this_one(host: str) -> None:
    """What settings take must not end in a traceback when it is called."""
    url = f"http://{host}"

    def taken(by: Callable[[], object]) -> bool:
        try:
            by()
        except ValueError:
            return False
        return True

    by_settings = taken(lambda: address(url).over(False))
    assert taken(lambda: VaultConnection(url)) is by_settings
    assert taken(lambda: check_url(url, insecure=False)) is by_settings
    assert not by_settings or is_loopback(urlsplit(url).hostname or "")


def test_another_host_needs_a_word_for_plain_http() -> None:
    assert address("http://blog.example").over(True) == "http://blog.example"
    with pytest.raises(WrongValueError, match="allow_insecure_http"):
        address("http://blog.example").over(False)


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254", "https://[fe80::1]", "https://[fe80::1%25eth0]", "https://[fd00:ec2::254]",
        "https://100.100.100.200", "https://0xa9fea9fe", "https://0xa9.254.169.254", "https://169.254.43518",
        "https://METADATA.google.internal.", "https://[::ffff:169.254.169.254]", "https://0.0.0.0", "https://224.0.0.1",
        "ftp://v.example", "https://", "//v.example", "https://v.example:0", "https://v.example:99999",
        "https://v example", "http://x.localhost", "http://localhost.", "http://localhost.example",
        f"https://{'v' * 64}.example", f"https://{'v.' * 127}example",
        "https://@v.example", "https://v.example#", "https://v.example?", "https://[v.example]", "https://vé.example",
    ],
)  # fmt: skip
def test_unfit_addresses_are_refused(url: str) -> None:
    with pytest.raises(WrongValueError):
        address(url).over(False)


@pytest.mark.parametrize("text", ["a", "0", "blog/api", "a.b_c-d", "a" * 128])
def test_a_name_may_be(text: str) -> None:
    assert name(text) == text


@pytest.mark.parametrize("text", ["", "A", "-a", "/a", "a/", "a//b", "a/..", "a/./b", "a b", "a\n", "ä", "a" * 129, 3])
def test_a_name_may_not_be(text: object) -> None:
    with pytest.raises(WrongValueError):
        name(text)
