"""The words in which an OAuth server refuses (RFC 6749, section 5.2); what they mean is each kind's."""

from __future__ import annotations

import msgspec

REGISTERED = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client"}
    | {"unsupported_grant_type", "invalid_token", "insufficient_scope", "access_denied"}
)


def error_word(body: bytes) -> str:
    """The word of a refusal, if it is a registered one: nothing else of a body is ever told."""
    try:
        word = msgspec.json.decode(body)["error"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, IndexError):
        return ""
    return word if isinstance(word, str) and word in REGISTERED else ""
