"""The tests of the settings keys of targets and credentials, and of the list of kinds."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from rotator.providers import KINDS, default_kind
from rotator.providers.halo_cms.config import HaloCmsTargetConfig, HaloPatOptions
from rotator.providers.halo_cms.provider import HaloPat
from rotator.providers.halo_itsm.slots import SlotProvider
from rotator.providers.manual.provider import ManualToken
from rotator.providers.oauth.access_token import AccessToken
from rotator.providers.oauth.assertion_key import AssertionKey
from rotator.providers.oauth.client_assertion import ClientAssertion
from rotator.rotation.credential import Credential, VaultPath


@pytest.mark.parametrize(
    "url",
    [
        "https://blog.example",
        "https://blog.example:8443/halo/",
        "http://127.0.0.1:8090",
        "http://localhost:8090",
        "http://[::1]:8090",
    ],
)
def test_an_address_that_is_fit_to_be_called_is_taken(url: str) -> None:
    assert HaloCmsTargetConfig(url=url).url == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("blog.example", "https://"),
        ("ftp://blog.example", "https://"),
        ("https://", "host"),
        ("https://blog.example:99999", "[Pp]ort"),
        ("https://me:canary@blog.example", "user or a password"),
        ("https://me@blog.example", "user or a password"),
        ("https://blog.example/?a=1", "query"),
        ("https://blog.example/#a", "fragment"),
        ("http://blog.example", "loopback"),
        ("http://10.0.0.1", "loopback"),
        ("https://169.254.169.254/", "link-local"),
        ("https://[fd00:ec2::254]/", "link-local"),
        ("https://[fe80::1]/", "link-local"),
        ("https://[::ffff:169.254.169.254]/", "link-local"),
    ],
)
def test_an_address_that_is_not_is_refused_with_its_reason(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        HaloCmsTargetConfig(url=url)
    assert "canary" not in str(caught.value)


def test_plain_http_beyond_loopback_must_be_asked_for() -> None:
    assert HaloCmsTargetConfig(url="http://blog.internal", allow_insecure_http=True).url == "http://blog.internal"


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"version": "latest"}, "version"),
        ({"keep": timedelta(seconds=-1)}, "keep"),
        ({"api_group": "uc/../x"}, "api_group"),
        ({"calls": 0}, "calls"),
        ({"concurrency": 9}, "concurrency"),
        ({"timeout": timedelta(0)}, "timeout"),
    ],
)
def test_a_target_key_out_of_range_is_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        HaloCmsTargetConfig(url="https://blog.example", **keys)


@pytest.mark.parametrize("probe", ["apis/x", "//evil.example/x", "https://x", "/a b", "/a#b", "/a\r\nb", ""])
def test_a_probe_is_a_path_of_the_target(probe: str) -> None:
    with pytest.raises(ValueError, match="probe"):
        HaloPatOptions(probe=probe)


def test_a_role_has_the_form_of_a_name() -> None:
    with pytest.raises(ValueError, match="name of a role"):
        HaloPatOptions(roles=("role-template-view-posts", "view posts"))


def test_unknown_keys_are_errors() -> None:
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert({"url": "https://blog.example", "colour": 1}, HaloCmsTargetConfig)


@pytest.mark.parametrize(
    ("version", "kept"),
    [("auto", None), ("2.26.0", True), ("2.20.19", True), ("2.20.18", False), ("2.9", False), ("2.21", True)],
)
def test_the_version_tells_whether_names_are_kept(version: str, kept: bool | None) -> None:
    assert HaloCmsTargetConfig(url="https://blog.example", version=version).keeps_names is kept


def warnings(lifetime: timedelta | None, **options: Any) -> list[str]:
    place, options_ = VaultPath("secret", "blog"), HaloPatOptions(**options)
    wanted = Credential("blog", "halo-pat", "blog", place, lifetime=lifetime, options=options_)
    return KINDS["halo-pat"].warnings(wanted, HaloCmsTargetConfig(url="https://blog.example"))


def test_check_warns_of_endless_and_long_life_super_role_and_no_role() -> None:
    assert warnings(timedelta(days=90), roles=["role-template-view-posts"]) == []
    assert "never expire" in warnings(None, roles=["x"])[0]
    assert "91 days" in warnings(timedelta(days=91), roles=["x"])[0]
    assert "super-role" in warnings(timedelta(days=1), roles=["super-role"])[0]
    assert "no roles" in warnings(timedelta(days=1))[0]


def test_a_family_of_targets_has_a_default_kind() -> None:
    assert default_kind("halo-cms") is KINDS["halo-pat"]
    assert default_kind("nothing") is None


def test_the_list_of_kinds_is_cheap_to_import() -> None:
    code = "import sys, rotator.providers; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_kinds_whose_values_name_their_token_say_so_to_the_settings() -> None:
    """A hold proposed `rotate adopt` for an OAuth token and a manual one, where it was always refused."""
    identifying = {"halo-pat": HaloPat, "client-assertion": ClientAssertion}
    assert all(hasattr(provider, "identify") for provider in identifying.values())
    assert not any(hasattr(provider, "identify") for provider in (SlotProvider, AssertionKey, AccessToken, ManualToken))
    assert {name for name, kind in KINDS.items() if kind.identifies} == set(identifying)
