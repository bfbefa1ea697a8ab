"""As much of a Kubernetes API server as Vault's methods ask: signed pod tokens, their review, and the key set."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from rotator.rotation.secret import Secret
from tests.kit.certificates import served
from tests.kit.http_server import Heard, HttpServer, Reply

JSON = {"Content-Type": "application/json"}
ISSUER = "https://kubernetes.default.svc.cluster.local"


class Cluster(HttpServer):
    """Signs tokens of service accounts as the kubelet projects them, and tells whether a token is one of those."""

    def __init__(self, certificate: str) -> None:
        self.replace_key()
        self.reviewed: list[str] = []  # the verdicts
        self.deleted: set[str] = set()  # service accounts that are gone
        super().__init__(served(certificate))

    def answer(self, heard: Heard) -> Reply:
        """The key set, or the review of a token."""
        if heard.target == "/openid/v1/jwks":
            return 200, self.jwks(), JSON
        if not heard.target.endswith("/apis/authentication.k8s.io/v1/tokenreviews"):
            return 404, {}, JSON
        status = self.review(heard.body["spec"])
        self.reviewed.append(status.get("error") or "authenticated")
        return 201, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}, JSON

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
