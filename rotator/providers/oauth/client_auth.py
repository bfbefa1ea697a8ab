"""How a client names itself to a token endpoint, and where its secret stands (RFC 6749, section 2.3.1). Pure.

What else a token request says is server.py's.
"""

from __future__ import annotations

from rotator.providers.http.auth import Basic
from rotator.providers.oauth.config import AssertionKeyOptions, ClientOptions
from rotator.rotation.secret import Secret


def introduced(
    client: ClientOptions, secret: Secret | None, *, by_assertion: bool
) -> tuple[dict[str, str | Secret], Basic | None]:
    """The part of the form that names the client, and the header instead, where the secret is to stand there.

    A client that has neither secret nor key is a public one: its name is all it says.
    """
    if secret is not None and client.auth_method == "client_secret_basic":
        return {}, Basic(client.client_id, secret, quoted=True)
    form: dict[str, str | Secret] = {}
    if client.send_client_id or not by_assertion:
        form["client_id"] = client.client_id
    if secret is not None:
        form["client_secret"] = secret
    return form, None


def to_compare(client: ClientOptions, audience: str, *, by_secret: bool, by_assertion: bool) -> str:
    """What a person compares when a server refuses the client without saying why, as servers do. No secret is in it."""
    if by_assertion:
        key = (
            "its jwks_uri (there the server must be able to read our set: [status] jwks_listen, or jwks_file)"
            if isinstance(client, AssertionKeyOptions)
            else "its key"
        )
        kid = "the key's RFC 7638 thumbprint" if client.kid == "thumbprint" else client.kid
        return (
            f"compare client_id {client.client_id}, {'client_secret, ' if by_secret else ''}{key}, algorithm"
            f" {client.algorithm}, kid ({kid}) and audience {audience} with what is registered there"
        )
    if not by_secret:
        return f"compare client_id {client.client_id}; without a client_secret it must be registered as a public client"
    if client.client_secret is None:
        return f"compare client_id {client.client_id}; the secret is the new one"
    other = "post" if client.auth_method == "client_secret_basic" else "basic"
    return f'compare client_id {client.client_id} and client_secret; it may want auth_method = "client_secret_{other}"'
