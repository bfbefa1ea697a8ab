"""The sandbox HaloITSM as a process of its own, with the applications that a show or a test needs.

The management application may call the Application API and is used for nothing else.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rotator.rotation.secret import Secret
from tests.sandbox.itsm.token_endpoint import BEARER

MANAGEMENT = "management"
TENANT = "sandbox"
JWKS_CACHE = 1.0  # seconds for which it believes a key set
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Desk:
    """A HaloITSM in a process. Each application's secret is in a file that settings can name."""

    def __init__(self, folder: Path, *applications: str, rules: str = "halo", token_life: float = 3600.0) -> None:
        """`applications` are names; one whose name ends in `-keys` proves itself with a key of its set, too, one in
        `-pair` with the key in the file `pair`; one in `-consent` has a refresh token, as a person's consent gives it;
        one in `-registered` changes its keys by its own registration, with a registration access token.
        """
        self.folder = folder
        self.rules = rules
        self.token_life = token_life  # seconds
        self.url = ""
        self.clients: dict[str, str] = {}  # client ids by name
        self.numbers: dict[str, str] = {}  # ids in the Application API by name
        self.secrets = {name: Secret(secrets.token_hex(20)) for name in (MANAGEMENT, *applications)}
        self.consents = {name: Secret(secrets.token_urlsafe(32)) for name in applications if name.endswith("-consent")}
        self.registrations = {
            name: Secret(secrets.token_urlsafe(32)) for name in applications if name.endswith("-registered")
        }
        self.pair = folder / "desk-pair.pem"
        self._public = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError when it does not."""
        if any(name.endswith("-pair") for name in self.secrets):
            self._public = _key_pair(self.pair)
        planted = [self._planted(name, secret) for name, secret in self.secrets.items()]
        seed = self.folder / "desk-applications.json"
        seed.write_text(json.dumps({"applications": planted}))
        seed.chmod(0o600)
        command = [sys.executable, "-m", "tests.sandbox.halo_itsm", "--rules", self.rules, "--calls", "0"]
        command += ["--jwks-cache", f"{JWKS_CACHE:g}", "--token-life", f"{self.token_life:g}"]
        with (self.folder / "desk.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--tenant", TENANT, "--seed-file", str(seed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise RuntimeError(f"the sandbox HaloITSM did not start; see {self.folder / 'desk.log'}")
        told = json.loads(line)
        self.url, self.clients, self.numbers = told["url"], told["clients"], told["applications"]

    def _planted(self, name: str, secret: Secret) -> dict[str, Any]:
        kept = self.folder / f"desk-{name}"
        kept.write_text(secret.reveal())
        kept.chmod(0o600)
        keys = {"jwks_file": str(self.jwks(name))} if name.endswith("-keys") else {}
        pair = {"public_key": self._public} if name.endswith("-pair") else {}
        consent = {"refresh_token": self.consents[name].reveal()} if name in self.consents else {}
        token = self.registrations.get(name)
        registration = {"registration_access_token": token.reveal()} if token else {}
        return {"name": name, "secret": secret.reveal(), **keys, **pair, **consent, **registration}

    def jwks(self, name: str) -> Path:
        """Where the desk reads the public keys of an application from."""
        return self.folder / f"{name}.jwks"

    def stop(self) -> None:
        """End it by its process id."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            if self._process.stdout:
                self._process.stdout.close()
            self._process = None

    def target(self, **more: Any) -> dict[str, Any]:
        """The [targets] section of this desk."""
        management = {"client_id": self.clients[MANAGEMENT], "client_secret": self._file(MANAGEMENT)}
        about = {"kind": "oauth", "url": self.url, "tenant": TENANT, "calls": 6000, "period": "1m"}
        return {**about, "manage_applications": True, "management": management, **more}

    def client(self, name: str) -> dict[str, Any]:
        """The keys of a credential that proves itself as this application."""
        return {"client_id": self.clients[name], "client_secret": self._file(name), "scopes": ["all"]}

    def _file(self, name: str) -> dict[str, str]:
        return {"file": str(self.folder / f"desk-{name}")}

    def grants(self, client_id: str, secret: Secret) -> bool:
        """Whether a client secret gets an access token now."""
        form = {"grant_type": "client_credentials", "client_id": client_id, "scope": "all"}
        return self._post(f"/auth/token?tenant={TENANT}", {**form, "client_secret": secret.reveal()}) == 200

    def opens(self, token: Secret) -> bool:
        """Whether an access token or an API key opens a guarded path now."""
        return self._read(token) == 200

    def answers(self, published: Mapping[str, Any]) -> int:
        """The status that a consumer gets who uses what is published for it: an access token, an API key, a client
        secret, or a private key, with which it signs for itself."""
        for key in ("access_token", "api_key"):
            if key in published:
                return self._read(Secret(published[key]))
        form = {"grant_type": "client_credentials", "client_id": published["client_id"], "scope": "all"}
        if "private_key" in published:
            name = next(name for name, each in self.clients.items() if each == form["client_id"])
            proof = {"client_secret": self.secrets[name].reveal(), **_assertion(published)}
        else:
            proof = {"client_secret": published["client_secret"]}
        return self._post(f"/auth/token?tenant={TENANT}", {**form, **proof})

    def fault(self, **rule: Any) -> None:
        """Put a rule of the fault panel in force."""
        body = json.dumps(rule).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/faults", body, method="POST")
        request.add_header("Content-Type", "application/json")
        self._answer(request)

    def _post(self, path: str, form: dict[str, str]) -> int:
        return self._answer(urllib.request.Request(self.url + path, urllib.parse.urlencode(form).encode()))

    def _read(self, token: Secret) -> int:
        request = urllib.request.Request(f"{self.url}/api/Status")
        request.add_header("Authorization", f"Bearer {token.reveal()}")
        return self._answer(request)

    def _answer(self, request: urllib.request.Request) -> int:
        try:
            with _OPENER.open(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


def _assertion(published: Mapping[str, Any]) -> dict[str, str]:
    """One made by a consumer of a published private key."""
    pem, life = str(published["private_key"]).encode(), 30  # seconds
    key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)  # or each use takes 80 ms
    now, client = int(time.time()), published["client_id"]
    claims = {"iss": published["iss"], "sub": client, "aud": published["aud"], "iat": now, "exp": now + life}
    token = jwt.encode({**claims, "jti": secrets.token_hex(8)}, key, published["algorithm"], {"kid": published["kid"]})  # type: ignore[arg-type]  # RSA and EC are what is published
    return {"client_assertion": token, "client_assertion_type": BEARER}


def _key_pair(path: Path) -> str:
    """A fresh RSA key of 2048 bits: the private half in the file, the public half as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.PKCS8
    path.touch(0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()
