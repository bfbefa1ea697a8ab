"""How a refusal looks: the token endpoint's (RFC 6749, section 5.2) and the resource server's.

When something is refused is left to those who raise it.
"""

from __future__ import annotations

from tests.sandbox.messages import Response


class Refusal(Exception):  # noqa: N818 - the field's word for it
    """A call that is not carried out, with the answer that says so."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status}")
        self.response = response


def oauth(error: str, description: str, status: int = 400) -> Refusal:
    """A refusal of the token endpoint. Real servers send 400 or 401 with the same word, so nobody may rely on it."""
    return Refusal(Response.document({"error": error, "error_description": description}, status))


def api(status: int, message: str) -> Refusal:
    """A refusal of the resource server, in one of the shapes that clients have seen."""
    if status == 401:
        return Refusal(Response(401, (("WWW-Authenticate", "Bearer"),)))
    return Refusal(Response.document({"resultCode": status, "errorMessage": message}, status))


def crash() -> Refusal:
    """500 with a serialised .NET exception, as a wrong tenant gets it."""
    shown = {"ClassName": "System.NullReferenceException", "Message": "Object reference not set."}
    return Refusal(Response.document(shown, 500))
