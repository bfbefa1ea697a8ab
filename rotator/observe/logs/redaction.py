"""Redact secrets in finished text: living values in every usual encoding, and text that looks like a secret.

This is the second line of defence. The first is `Secret`, which does not render.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from rotator.rotation.secret import Secret

BLOT = "[redacted]"
# Twelve characters of a long secret count as a leak: twelve always contain eight that begin at a multiple of four.
_LONG, _WINDOW, _STRIDE = 12, 8, 4
_REMEMBERED = 64  # secrets
_SHORTEST = 5  # a shorter secret would redact half of all words; only its type protects it

_ESCAPE = re.compile("%[0-9A-F]{2}")
# JSON from encoders that escape for HTML: Go's default, and Gson's, which escapes `=` and the apostrophe as well.
_IN_HTML = tuple(str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in signs}) for signs in ("&<>", "&<>='"))
_SCHEME = re.compile(r"\Ahttps?://(?=.)")
# Each is searched for separately: one may begin inside another.
_SHAPES = tuple(
    re.compile(shape, re.VERBOSE)
    for shape in (
        r"pat_ey[\w.=-]*",  # a Halo CMS personal access token
        r"\bhv[sbr]\.[\w-]{8,}",  # Vault and OpenBao tokens
        r"\b[sbr]\.[A-Za-z0-9]{24}\b",  # ... as they were before
        r"\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}",  # a JSON web token, or its beginning
        r"""-----BEGIN\ [A-Z0-9 ]{1,40}-----(?:(?:[\w+/=:,\s]|-(?!-)|\\[nr])*-----END\ [A-Z0-9 ]{1,40}-----
                                            |(?:[A-Za-z0-9+/=\s]|\\[nr])*)""",  # a PEM block, or its beginning
        r"""(?<=://)[^\s/:@"'\\]+:[^\s/@"'\\]+(?=@)""",  # a name and password in an address
        # Authorization headers. A plain word after them (`realm`, `Auth`) has no capital but its first, and no digit.
        r"(?<=\b[Bb]earer\ )(?=[\w.~+/=-][a-z._~-]*[A-Z0-9+/])[\w.~+/=-]{4,}",
        r"(?<=\b[Bb]asic\ )(?=[\w.~+/=-][a-z._~-]*[A-Z0-9+/])[\w.~+/=-]{4,}",
    )
)


class Redactor:
    """Redacts the values that `Secret.living()` knows or knew a little earlier, and every shape of a secret."""

    def __init__(self) -> None:
        # Log lines come from worker threads, too; a finaliser may log while its own thread is in here.
        self._one_at_a_time = threading.RLock()
        self._known: set[str] = set()
        self._windows: set[str] = set()
        self._shorts: list[str] = []

    def __call__(self, text: str) -> str:
        """The text with every secret replaced by `[redacted]`. May be called from any thread."""
        with self._one_at_a_time:
            return self._blotted(text)

    def _blotted(self, text: str) -> str:
        self._learn()
        spans = [found.span() for shape in _SHAPES for found in shape.finditer(text)]
        for short in self._shorts:
            if short in text:
                spans += [found.span() for found in re.finditer(re.escape(short), text)]
        windows = self._windows
        if windows:
            hits = (at for at in range(len(text) - _WINDOW + 1) if text[at : at + _WINDOW] in windows)
            spans += [(at, at + _WINDOW) for at in hits]
        return _shapeless(_blot(text, sorted(spans))) if spans else text

    def _learn(self) -> None:
        living = _living_texts()
        new = living - self._known
        # The dead are remembered for a while: their text may still travel in an exception that is about to be logged.
        if new and len(self._known) > 2 * len(living) + _REMEMBERED:
            self._known, self._windows, self._shorts, new = set(), set(), [], living
        for value in new:
            for form in _forms(value):
                if len(form) < _LONG:
                    self._shorts.append(form)
                else:
                    self._windows.update(_windows(form))
        if new:
            # Longest first: a short secret may be part of another.
            self._shorts = sorted(set(self._shorts), key=len, reverse=True)
            self._known |= new


def _living_texts() -> frozenset[str]:
    while True:
        try:
            return frozenset(secret.reveal() for secret in Secret.living())
        except RuntimeError:  # another thread made a secret meanwhile
            continue


def _blot(text: str, spans: list[tuple[int, int]]) -> str:
    """Search in the original text: a redaction inside a shape would hide the rest of it."""
    pieces: list[str] = []
    end = 0
    for start, stop in spans:
        if start > end or not pieces:
            pieces += [text[end:start], BLOT]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


def _shapeless(text: str) -> str:
    """Redact what looks like a secret only after a known one in front of it was removed."""
    for shape in _SHAPES:
        text = shape.sub(BLOT, text)
    return text


def _windows(form: str) -> list[str]:
    last = len(form) - _WINDOW
    return [form[at : at + _WINDOW] for at in (*range(0, last, _STRIDE), last)]


def _forms(value: str) -> set[str]:
    """The forms in which a value may be written, each at least as long as `_SHORTEST`."""
    value = _SCHEME.sub("", value)  # of a secret address: else every address would be redacted
    lines = [line for line in value.splitlines() if len(line) >= _LONG] if "\n" in value else []
    forms = {
        form
        for plain in (value, *lines)
        for form in (*_texts_of(plain), *_encodings_of(plain.encode(errors="surrogatepass")))
    }
    return {form for form in forms if len(form) >= _SHORTEST}


def _texts_of(value: str) -> Iterator[str]:
    yield value
    for quoted in (
        quote(value, errors="surrogatepass"),
        quote(value, safe="", errors="surrogatepass"),
        quote_plus(value, errors="surrogatepass"),
    ):
        yield quoted
        yield _ESCAPE.sub(lambda found: found[0].lower(), quoted)
    in_html = html.escape(value)
    yield in_html
    yield in_html.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")  # as Go and most template engines write it
    yield html.escape(value, quote=False)
    plain, wide = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    for escaped in (
        plain,
        wide,
        *(form.translate(signs) for form in (plain, wide) for signs in _IN_HTML),
        plain.replace("/", "\\/"),
        repr(value)[1:-1],
    ):
        yield escaped
        yield json.dumps(escaped)[1:-1]


def _encodings_of(value: bytes) -> Iterator[str]:
    yield value.hex()
    yield value.hex().upper()
    # Base64 of a longer text looks different by where in it the value begins; the outer characters depend on the
    # neighbours and are left out.
    for lead, skip in ((0, 0), (1, 2), (2, 3)):
        whole = (len(value) + lead) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(lead) + value).decode()[skip:whole]


redact = Redactor()  # one per process: another would have to learn every secret again
