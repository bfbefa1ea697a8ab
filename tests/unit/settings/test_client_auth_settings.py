"""Settings of how a client proves itself: what does not go together is refused on its line, with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.app.vault_policy import referred_rights, shown_to_all
from rotator.rotation.credential import Credential
from rotator.settings import SettingsError, load

BASE = """
[vault]
address = "http://127.0.0.1:8200"
[vault.auth]
method = "token"
token = {file = "/run/vault-token"}
[targets.sso]
kind = "oauth"
url = "https://api.example"
token_url = "https://sso.example/token"
[credentials.shop]
target = "sso"
path = "apps/shop"
client_id = "shop"
scopes = ["read"]
"""
TOKEN = BASE + 'kind = "oauth-token"\nprobe = "/me"\nfraction = 0.5\n'
PLAIN = BASE.replace("https://sso.example", "http://127.0.0.1:9")
SECRET, KEY = 'client_secret = {file = "/s"}\n', 'signing_key = {file = "/k"}\n'
JWT, HASH = 'auth_method = "client_secret_jwt"\n', 'algorithm = "HS256"\n'
TLS, PEM = 'auth_method = "tls_client_auth"\n', 'tls_certificate = {file = "/pem"}\n'
CLASHES = [  # settings, the key that is named, words
    (TOKEN + SECRET + KEY + JWT + HASH, "auth_method", "excludes signing_key and transit_key: leave it out"),
    (TOKEN + JWT + HASH, "auth_method", "needs the key client_secret: it signs"),
    (TOKEN + SECRET + JWT, "auth_method", 'algorithm must be "HS256", "HS384" or "HS512"'),
    (TOKEN + SECRET + JWT + 'algorithm = "PS256"\n', "algorithm", 'must be "HS256", "HS384" or "HS512"'),
    (TOKEN + SECRET + HASH, "algorithm", 'set auth_method = "client_secret_jwt", or another algorithm'),
    (TOKEN + KEY + HASH, "algorithm", "another algorithm where a key signs"),
    (TOKEN + KEY + 'algorithm = "none"\n', "algorithm", "must be one of PS256, PS384"),
    (BASE + 'kind = "client-assertion"\n' + SECRET + JWT + HASH, "auth_method", 'kind = "oauth-token"'),
    (TOKEN + TLS, "auth_method", "needs the key tls_certificate: it is the proof"),
    (TOKEN + TLS + PEM + SECRET, "auth_method", "excludes client_secret, signing_key and transit_key: leave them"),
    (TOKEN + TLS + PEM + KEY, "auth_method", "and the certificate goes beside that proof"),
    (TOKEN + SECRET + 'tls_key = {file = "/k"}\n', "tls_key", "needs the key tls_certificate"),
    (TOKEN + 'tls_certificate = "-----BEGIN"\n' + TLS, "tls_certificate", "a secret must not stand in this file"),
    (
        TOKEN.replace("https://sso.example", "http://127.0.0.1:9") + TLS + PEM,
        "",
        "https servers only: token_url is plain http",
    ),
    *(
        (PLAIN + kind + PEM, "", "https servers only: token_url is plain http")
        for kind in (
            'kind = "assertion-key"\njwks = "a/b"\nevery = "1d"\n',
            'kind = "client-assertion"\nevery = "1m"\n' + KEY,
        )
    ),
    (TOKEN + PEM, "tls_certificate", 'no proof by itself: set auth_method = "tls_client_auth"'),
    (TOKEN, "", "signing_key, transit_key or tls_certificate is missing: how shall it prove itself?"),
    (BASE + 'kind = "client-assertion"\n' + TLS + PEM, "auth_method", "is not for published assertions"),
    (BASE + 'kind = "client-assertion"\n' + TLS, "auth_method", "is not for published assertions"),
    (
        BASE + 'kind = "assertion-key"\njwks = "a/b"\n' + TLS + PEM,
        "auth_method",
        "the key that is made is the proof",
    ),
    (BASE + 'kind = "assertion-key"\njwks = "a/b"\n' + TLS, "auth_method", "the key that is made is the proof"),
    (BASE + 'kind = "halo-api-key"\nevery = "1d"\n' + TLS + PEM, "auth_method", "no way into a HaloITSM"),
    (BASE + 'kind = "halo-api-key"\nevery = "1d"\n' + TLS, "auth_method", "no way into a HaloITSM"),
    (BASE + 'kind = "halo-api-key"\nevery = "1d"\n' + PEM, "tls_certificate", "no way into a HaloITSM"),
    (
        BASE + 'kind = "halo-api-key"\nevery = "1d"\ntls_key = {file = "/k"}\n',
        "tls_key",
        "no way into a HaloITSM",
    ),
    (BASE + 'kind = "client-assertion"\n' + KEY + HASH, "algorithm", "another algorithm where a key signs"),
    (BASE + 'kind = "assertion-key"\njwks = "a/b"\n' + SECRET + JWT + HASH, "auth_method", "does not belong here"),
    (
        BASE + 'kind = "halo-client-secret"\nevery = "1d"\n' + JWT + HASH,
        "auth_method",
        "no way into a HaloITSM",
    ),
    (BASE + 'kind = "halo-api-key"\nevery = "1d"\n' + SECRET + JWT + HASH, "auth_method", "no way into a HaloITSM"),
]


def shop(tmp_path: Path, text: str) -> Credential:
    path = tmp_path / "rotator.toml"
    path.write_text(text)
    return load(path).credentials["shop"]


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_may_sign(tmp_path: Path, algorithm: str) -> None:
    options = shop(tmp_path, TOKEN + SECRET + JWT + f'algorithm = "{algorithm}"\n').options
    assert (options.asserts, options.has_key, options.signs_by_secret) == (True, False, True)


@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
@pytest.mark.parametrize("where", ["", 'tls_key = {credential = "key"}\n', 'tls_key = {vault = "secret/pki#key"}\n'])
def test_a_certificate_may_be_the_proof_wherever_its_key_is(tmp_path: Path, method: str, where: str) -> None:
    options = shop(tmp_path, TOKEN + PEM + where + f'auth_method = "{method}"\n').options
    assert (options.proves_by_tls, options.asserts) == (True, False)
    assert shop(tmp_path, TOKEN + PEM + where + KEY).options.has_key


def test_a_certificate_may_be_read_by_all_unless_its_key_is_in_the_same_file(tmp_path: Path) -> None:
    for more, open_to_all in (("", 0), ('tls_key = {file = "/key"}\n', 1), ('tls_key = {file = "/pem"}\n', 0)):
        path = tmp_path / "rotator.toml"
        path.write_text(TOKEN + PEM + TLS + more)
        assert len(shown_to_all(load(path))) == open_to_all


def test_a_certificate_and_its_key_in_vault_are_in_the_policy(tmp_path: Path) -> None:
    path = tmp_path / "rotator.toml"
    path.write_text(TOKEN + TLS + 'tls_certificate = {vault = "secret/pki/shop#pem"}\n')
    assert referred_rights(load(path))["secret/data/pki/shop"] == frozenset({"read"})


def test_another_certificate_is_another_token_as_tokens_are_bound_to_it(tmp_path: Path) -> None:
    assert shop(tmp_path, TOKEN + PEM + TLS).policy != shop(tmp_path, TOKEN + PEM.replace("pem", "new") + TLS).policy


def test_how_the_secret_is_shown_rotates_nothing(tmp_path: Path) -> None:
    in_header = shop(tmp_path, TOKEN + SECRET + 'auth_method = "client_secret_basic"\n')
    assert in_header.policy == shop(tmp_path, TOKEN + SECRET).policy


@pytest.mark.parametrize(
    ("text", "key", "words"),
    CLASHES,
)
def test_what_does_not_go_together_is_refused_with_the_way_out(tmp_path: Path, text: str, key: str, words: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        shop(tmp_path, text)
    told = [(each.key, each.text) for each in refusal.value.faults]
    assert any(found.endswith(key) and words in said for found, said in told), told


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            "auth_method = 7",
            "must be one of client_secret_post, client_secret_basic, client_secret_jwt, tls_client_auth",
        ),
        ('auth_method = "client_secret_bsic"', "self_signed_tls_client_auth; did you mean `client_secret_basic`?"),
        ('algorithm = "canary-pasted-secret"', "must be one of PS256, PS384"),
        ("parameters = []", "must be a table, not an array"),
        ('parameters = "audience=x"', "must be a table, not a string"),
        ("parameters = {audience = 3}", "`audience` in it: must be a string or an array, not an integer"),
        ("parameters = {resource = [true]}", "`resource` in it: its entry 1 must be a string, not a boolean"),
        ('parameters = {audience = ""}', "parameters give audience no value"),
        ("parameters = {audience = []}", "parameters give audience no value"),
        ("scopes = [1]", "its entry 1 must be a string, not an integer"),
        ('identity = {id = "x", name = 1.5}', "`name` in it: must be a string or a whole number or true or false"),
        ('send_client_id = "yes"', "must be true or false without quotes, not a string"),
        ("kid = {}", "must be a string, not a table"),
        ('kid = "\\u001b"', "kid must not have control characters in it"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_in_words_and_never_repeated(tmp_path: Path, option: str, words: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        shop(tmp_path, TOKEN.replace('scopes = ["read"]\n', "") + SECRET + option + "\n")
    ((where, said),) = [(each.key, each.text) for each in refusal.value.faults]
    assert where == f"credentials.shop.{option.partition(' ')[0]}"
    assert words in said
    assert "canary" not in said
