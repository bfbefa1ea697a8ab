"""As much of a Kubernetes API server as Vault's methods ask: signed pod tokens, their review, and the key set."""

from __future__ import annotations

import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from rotator.rotation.secret import Secret

ISSUER = "https://kubernetes.default.svc.cluster.local"


class Cluster:
    """Signs tokens of service accounts as the kubelet projects them, and tells whether a token is one of those."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.replace_key()
        self.reviewed: list[str] = []  # the verdicts
        self.deleted: set[str] = set()  # service accounts that are gone
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Review", (_Review,), {"cluster": self}))
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def replace_key(self) -> None:
        """A new signing key, under a new name; the old one is forgotten."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = uuid4().hex

    def jwks(self) -> dict[str, Any]:
        """The public key set, as the API server publishes it for workload identity."""
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [public | {"kid": self._kid, "use": "sig", "alg": "ES256"}]}

    def token(self, account: str, namespace: str, audience: str = "vault", age: timedelta = timedelta(0)) -> Secret:
        """A projected token, ten minutes of life from its making."""
        made = datetime.now(UTC) - age
        claims = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [audience],
            "iat": made,
            "nbf": made,
            "exp": made + timedelta(minutes=10),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": f"uid-{account}"}},
        }
        return Secret(jwt.encode(claims, self._key, "ES256", headers={"kid": self._kid}))

    def review(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The status of a TokenReview, by the API's rules: signature, life, audience, and the account still exists."""
        wanted = spec.get("audiences") or [ISSUER, "vault"]
        try:
            claims = jwt.decode(spec["token"], self._key.public_key(), ["ES256"], audience=wanted, issuer=ISSUER)
        except jwt.PyJWTError as fault:
            return {"authenticated": False, "error": type(fault).__name__}
        if claims["sub"] in self.deleted:
            return {"authenticated": False, "error": "the service account is gone"}
        namespace = claims["kubernetes.io"]["namespace"]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        uid = claims["kubernetes.io"]["serviceaccount"]["uid"]
        user = {"username": claims["sub"], "uid": uid, "groups": groups}
        return {"authenticated": True, "user": user, "audiences": [each for each in wanted if each in claims["aud"]]}


class _Review(BaseHTTPRequestHandler):
    """One connection; Cluster makes a subclass with itself in it."""

    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send(*((200, self.cluster.jwks()) if self.path == "/openid/v1/jwks" else (404, {})))

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/apis/authentication.k8s.io/v1/tokenreviews"):
            self.send(404, {})
            return
        status = self.cluster.review(review["spec"])
        self.cluster.reviewed.append(status.get("error") or "authenticated")
        self.send(201, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})

    def send(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return
