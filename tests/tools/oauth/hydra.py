"""A real Ory Hydra on loopback, its clients, and a consent as a browser would leave it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.kit.certificates import Authority
from tests.sandbox.openbao import free_port
from tests.tools.oauth.journey import call, form, until
from tests.tools.oauth.server import Client, Offer, Running, answering, basic, from_go, installed, resource

VERSION = "2.3.0"
MODULE = "github.com/ory/hydra/v2"
POP = "github.com/gobuffalo/pop/v6=github.com/ory/pop/v6@v6.2.1-0.20241121111754-e5dfc0f3344b"
LIFE, GRACE = "600s", "60s"  # of access tokens; in which a spent refresh token is taken once more
BACK = "https://shop.example/back"


def install() -> Path:
    """The program. SQLite needs cgo, and so a C compiler."""
    said = f"Ory Hydra {VERSION}, built from the Go module proxy (some minutes)"
    wanted = f"{MODULE}@v{VERSION}", MODULE, "-tags", "sqlite"
    return installed(f"hydra-{VERSION}", said, lambda folder: from_go(folder, *wanted, replaced=(POP,)))


class Hydra:
    """Its two ports."""

    def __init__(self, public: int, admin: int, outside: str) -> None:
        """`outside`: what it calls itself."""
        self.url, self.outside = f"http://127.0.0.1:{public}", outside
        self._admin = f"http://127.0.0.1:{admin}/admin"

    def admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Raises AssertionError when it is refused."""
        status, told = call(method, self._admin + path, body=body)
        assert status < 300, f"{method} {path}: {status} {told.get('error')} {told.get('error_description')}"
        return dict(told)

    def introspect(self, token: str) -> dict[str, Any]:
        return dict(form(f"{self._admin}/oauth2/introspect", {"token": token})[1])

    def register(self, client: Client) -> dict[str, Any]:
        """What settings have to know of it."""
        body: dict[str, Any] = {"client_id": client.name, "grant_types": [client.grant], "scope": "read"}
        body |= {"token_endpoint_auth_method": client.method}
        if client.secret:
            body |= {"client_secret": client.secret}
        if client.algorithm:
            body |= {"token_endpoint_auth_signing_alg": client.algorithm}
        if client.jwks or client.key:
            body |= {"jwks_uri": client.jwks} if client.jwks else {"jwks": {"keys": [client.key]}}
        if client.grant == "refresh_token":
            body |= {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}
            body |= {"scope": "read offline_access", "redirect_uris": [BACK]}
        told = self.admin("POST", "/clients", body)
        wanted = ("registration_client_uri", "registration_access_token")
        return {name: told[name] for name in wanted} if client.key else {}

    def renew(self, client: Client) -> str:
        """Another registration access token: it comes with a client only."""
        self.admin("DELETE", f"/clients/{client.name}")
        return str(self.register(client)["registration_access_token"])

    def consent(self, client: Client) -> str:
        """A refresh token, by the dance that a browser, a login page and a consent page do."""
        browser = _Browser(self)
        wish = {"client_id": client.name, "response_type": "code", "redirect_uri": BACK}
        wish |= {"scope": "read offline_access", "state": secrets.token_hex(8)}
        at = browser.sent_from(f"{self.url}/oauth2/auth?{urlencode(wish)}")
        accepted: dict[str, Any]
        for step, accepted in (("login", {"subject": "ada"}), ("consent", {"grant_scope": ["read", "offline_access"]})):
            challenge = _query(at)[f"{step}_challenge"]
            told = self.admin(
                "PUT",
                f"/oauth2/auth/requests/{step}/accept?{step}_challenge={urlencode({'': challenge})[1:]}",
                accepted,
            )
            at = browser.sent_from(told["redirect_to"])
        fields = {"grant_type": "authorization_code", "code": _query(at)["code"], "redirect_uri": BACK}
        fields |= {} if client.secret else {"client_id": client.name}
        status, told = form(f"{self.url}/oauth2/token", fields, basic(client) if client.secret else {})
        assert status == 200, f"the code is refused: {status} {told.get('error')} {told.get('error_hint')}"
        return str(told["refresh_token"])


class _Browser:
    """Keeps cookies, follows nothing."""

    def __init__(self, hydra: Hydra) -> None:
        self._hydra = hydra

        class Still(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: Any) -> None:
                return None

        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies, Still())

    def sent_from(self, url: str) -> str:
        """Where a page sends the browser. Its address is the server's own, behind the relay."""
        url = url.replace(self._hydra.outside, self._hydra.url)
        try:
            with self._opener.open(url, timeout=60) as answer:
                status, where = answer.status, ""
        except urllib.error.HTTPError as error:
            with error:
                status, where = error.code, error.headers.get("Location", "")
        assert where, f"{status} where a redirect was expected"
        return str(where)


def _query(url: str) -> dict[str, str]:
    found = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert "error" not in found, f"{found['error']}: {found.get('error_description')}"
    return found


@contextmanager
def run(folder: Path, outside: str, clients: list[Client], _password: str, _tls: Authority) -> Iterator[Running]:
    """`folder`: for its settings, its database and its log."""
    program = str(install() / "server")
    public, admin = free_port(), free_port()
    hydra = Hydra(public, admin, outside)
    settings = folder / "hydra.json"
    flags = ["-c", str(settings), "--dev", "--sqa-opt-out"]
    served = [program, "serve", "all", *flags]
    with _database(folder) as dsn:
        settings.touch(0o600)
        settings.write_text(json.dumps({"dsn": dsn, **_settings(outside, public, admin)}))
        subprocess.run([program, "migrate", "sql", "-e", "-y", *flags[:2]], check=True, capture_output=True)
        with answering(served, folder / "hydra.log", f"{hydra.url}/health/ready", 60.0):
            known = {client.name: hydra.register(client) for client in clients}

            def active(token: str) -> bool:
                return bool(hydra.introspect(token).get("active"))

            yield Running(
                hydra.url,
                opens=active,
                active=active,
                consent=hydra.consent,
                renew=hydra.renew,
                target={"issuer": outside},
                options=known,
                own=resource(hydra.introspect),
            )


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    """The address of a database: a PostgreSQL of our own where root finds Debian's, else SQLite.

    Hydra over SQLite answers nobody for ten seconds and more, now and then, when several clients work at once.
    """
    installed_ones = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if os.geteuid() or not installed_ones:
        yield (
            f"sqlite://{folder}/hydra.db?_fk=true&mode=rwc&_busy_timeout=20000&_journal_mode=WAL&_synchronous=OFF"
            "&_txlock=immediate"
        )
        return
    programs, port, password = installed_ones[-1].parent, free_port(), secrets.token_hex(16)
    there = Path(tempfile.mkdtemp(prefix="rotator-postgres-"))
    try:
        (there / "password").write_text(password)
        for path in (there, there / "password"):
            shutil.chown(path, "postgres", "postgres")
        lowered = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        made = [
            str(programs / "initdb"),
            "-D",
            str(there / "data"),
            "-A",
            "scram-sha-256",
            f"--pwfile={there}/password",
        ]
        subprocess.run([*lowered, *made], check=True, capture_output=True, cwd=there)
        served = [str(programs / "postgres"), "-D", str(there / "data"), "-k", str(there), "-p", str(port)]
        served += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (there / "log").open("ab") as log, subprocess.Popen([*lowered, *served], stdout=log, stderr=log) as server:
            try:
                until(
                    "PostgreSQL",
                    lambda: (
                        not subprocess.run(
                            [programs / "pg_isready", "-q", "-h", there, "-p", str(port)], check=False
                        ).returncode
                    ),
                    30.0,
                    0.3,
                )
                yield f"postgres://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable"
            finally:
                server.terminate()
    finally:
        shutil.rmtree(there, ignore_errors=True)


def _settings(issuer: str, public: int, admin: int) -> dict[str, Any]:
    return {
        "serve": {"public": {"host": "127.0.0.1", "port": public}, "admin": {"host": "127.0.0.1", "port": admin}},
        "urls": {
            "self": {"issuer": issuer},
            "login": "https://shop.example/login",
            "consent": "https://shop.example/consent",
        },
        "secrets": {"system": [secrets.token_hex(32)]},
        "ttl": {"access_token": LIFE},
        "strategies": {"access_token": "opaque"},
        "oidc": {"dynamic_client_registration": {"enabled": True}},
        "oauth2": {"grant": {"refresh_token": {"rotation_grace_period": GRACE}}},
        "log": {"level": "warn"},
    }


NAMES = ("basic", "post", "ps256", "es384", "ps512", "renewed", "public")
NAMES += ("asserted", "pool", "transit", "key-url", "key-put")
OFFER = Offer(run, NAMES, token="/oauth2/token", revocation="/oauth2/revoke", shares=False)  # one SQLite
