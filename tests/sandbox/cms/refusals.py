"""The refusals of the model: what a call may not do, with the status that says so.

How a refusal looks on the wire is left to `documents`.
"""

from __future__ import annotations

CONFLICT = "https://halo.run/probs/conflict"
NO_EXTENSION = "https://www.halo.run/api/errors/extension-not-found"
BLANK = "about:blank"


class Refused(Exception):  # noqa: N818 - the field's word for it
    """The model will not do it. Texts differ from Halo's: nobody may rely on them."""

    def __init__(self, status: int, title: str, detail: str, kind: str = BLANK) -> None:
        """`kind` is the problem type, a URI."""
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.kind = kind


def bad_request(detail: str, title: str = "Bad Request") -> Refused:
    """400."""
    return Refused(400, title, detail)


def not_found() -> Refused:
    """404 for a record that is missing, being deleted, or somebody else's: these look alike on purpose."""
    return Refused(404, "Resource Not Found", "No such personal access token.")


def duplicate_name() -> Refused:
    """400 for a taken name; measured on 2.26.0: not 409."""
    return Refused(400, "Duplicate Name Error", "This name is taken.")


def conflict() -> Refused:
    """409: somebody wrote the record in between."""
    return Refused(409, "Conflict", "The record has changed meanwhile.", CONFLICT)


def server_error() -> Refused:
    """500."""
    return Refused(500, "Internal Server Error", "Something broke.")
