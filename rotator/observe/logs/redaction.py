"""Redact secrets in finished text: living values however they are encoded, and text that looks like a secret.

A text is read as it stands, then with its escapes undone, again and again until none is left. Stretches of base64 and
hex are read as what they encode. What is found in a reading is redacted where it stands in the text. This is the second
line of defence. The first is `Secret`, which does not render.
"""

from __future__ import annotations

import binascii
import re
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from math import ceil

from rotator.rotation.secret import NewSecrets, Secret

BLOT = "[redacted]"
# Twelve characters of a long secret count as a leak: twelve always contain eight that begin at a multiple of four.
_LONG, _WINDOW, _STRIDE = 12, 8, 4
_REMEMBERED = 64  # secrets
_SHORTEST = 5  # a shorter secret would redact half of all words; only its type protects it
_PASSES = 8  # escapes within escapes
_NESTED = 3  # base64 or hex within base64 or hex

Span = tuple[int, int]
Place = Callable[[Span], Span]  # where a span of a reading stands in what was read
Reading = tuple[str, Place]

# One character, as JSON, Python, JavaScript, HTML, XML and addresses write it.
_ESCAPED = re.compile(
    r"""(?P<percent>%(?:[0-7][0-9A-F]|[CD][0-9A-F]%[89AB][0-9A-F]|E[0-9A-F](?:%[89AB][0-9A-F]){2}
                       |F[0-7](?:%[89AB][0-9A-F]){3}|[89A-F][0-9A-F]))
      | (?:\\u|%u)(?P<unit>[0-9A-F]{4})(?:(?<=D[89AB]..)(?:\\u|%u)(?P<second>D[C-F][0-9A-F]{2}))?
      | \\(?:u\{(?P<braced>[0-9A-F]{1,6})\}|U(?P<wide>[0-9A-F]{8})|x(?P<byte>[0-9A-F]{2})|(?P<octal>[0-3][0-7]{2})
            |(?P<sign>["'/\\abfnrtv]))
      | &(?:\#(?P<decimal>[0-9]{1,7})|\#x(?P<hex>[0-9A-F]{1,6})|(?P<name>[A-Z][A-Z0-9]{1,31}));?""",
    re.VERBOSE | re.IGNORECASE,
)
_SIGNS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_BASES = {"octal": 8, "decimal": 10}
_HEX = re.compile(rf"[0-9A-Fa-f]{{{2 * _SHORTEST},}}")
_ENCODED = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST * 8 // 6 + 1},}}")  # base64, or hex
_STANDARD = str.maketrans("-_", "+/")
_SCHEME = re.compile(r"\Ahttps?://(?=.)")
# Each is searched for separately, as one may begin inside another, and only in a text that has its sign.
_SHAPES = tuple(
    (sign, re.compile(shape, re.VERBOSE))
    for sign, shape in (
        ("pat_ey", r"pat_ey[\w.=-]*"),  # a Halo CMS personal access token
        ("hv", r"\bhv[sbr]\.[\w-]{8,}"),  # Vault and OpenBao tokens
        (".", r"\b[sbr]\.[A-Za-z0-9]{24}\b"),  # ... as they were before
        ("eyJ", r"\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}"),  # a JSON web token, or its beginning
        (
            "-----BEGIN",  # a PEM block, or its beginning
            r"""-----BEGIN\ [A-Z0-9 ]{1,40}-----(?:(?:[\w+/=:,\s]|-(?!-))*-----END\ [A-Z0-9 ]{1,40}-----
                                                |[A-Za-z0-9+/=\s]*)""",
        ),
        ("://", r"""(?<=://)[^\s/:@"'\\]+:[^\s/@"'\\]+(?=@)"""),  # a name and password in an address
    )
)
_AUTHORIZATION = re.compile(r"\b(?:[Bb]earer|(?P<login>[Bb]asic))\ (?P<proof>[\w.~+/=-]{4,})", re.ASCII)
_OPAQUE = 8  # characters of a token that nothing but its letters tells from words
# "OAuth2", "HTTP", "AccessTokenRequired": no word has a lower-case part of one or two letters.
_WORDS = re.compile(r"(?:(?>[A-Z]{0,6}[a-z]{3,}|[A-Z]{2,6})|(?>[0-9]{1,4})(?![0-9a-z]|[A-Z](?![a-z]{2}))|[._~+/=-])+")


class Redactor:
    """Redacts the values that `Secret.living()` knows or knew a little earlier, and every shape of a secret."""

    def __init__(self) -> None:
        # Log lines come from worker threads, too; a finaliser may log while its own thread is in here.
        self._one_at_a_time = threading.RLock()
        self._new = NewSecrets()
        self._known: set[str] = set()
        self._most = _REMEMBERED  # known values, before the dead are forgotten
        self._windows: set[str] = set()
        self._shorts: list[str] = []
        self._stretch = 0  # the shortest stretch of base64 or hex that can hold a known value, or a window of one

    def __call__(self, text: str) -> str:
        """The text with every secret replaced by `[redacted]`. May be called from any thread."""
        with self._one_at_a_time:
            self._learn()
            readings = tuple(_unescaped(text))
            spans = [place(span) for reading, place in readings for span in _shaped(reading)]
            spans += self._found(readings)
        # What a secret hid may look like one itself.
        return _blot(said := _blot(text, spans), list(_shaped(said))) if spans else text

    def _found(self, readings: Iterable[Reading], nested: int = _NESTED) -> list[Span]:
        """Where known values are in readings of one text, or in what is encoded there."""
        spans: list[Span] = []
        known: dict[str, list[Span]] = {}  # by stretch: most are the same in the next reading
        for reading, place in readings:
            found = self._plain(reading)
            for stretch in _ENCODED.finditer(reading) if nested else ():
                if len(word := stretch[0]) < self._stretch:
                    continue
                if word not in known:
                    inside = ((self._found(_unescaped(inner), nested - 1), within) for inner, within in _decoded(word))
                    known[word] = [within(span) for inner, within in inside for span in inner]
                found += [(stretch.start() + start, stretch.start() + stop) for start, stop in known[word]]
            spans += map(place, found)
        return spans

    def _plain(self, text: str) -> list[Span]:
        """Where known values are in this reading."""
        spans = []
        for short in self._shorts:
            if short in text:
                spans += [found.span() for found in re.finditer(re.escape(short), text)]
        windows = self._windows
        if not windows.isdisjoint([text[at : at + _WINDOW] for at in range(len(text) - _WINDOW + 1)]):
            hits = (at for at in range(len(text) - _WINDOW + 1) if text[at : at + _WINDOW] in windows)
            spans += [(at, at + _WINDOW) for at in hits]
        return spans

    def _learn(self) -> None:
        new = _texts(self._new.look()) - self._known
        # The dead are remembered for a while: their text may still travel in an exception that is about to be logged.
        if new and len(self._known) > self._most:
            new |= _texts(Secret.living())
            self._known, self._windows, self._shorts = set(), set(), []
            self._most = 2 * len(new) + _REMEMBERED
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
            self._stretch = ceil(min([_WINDOW, *map(len, self._shorts)]) * 8 / 6)


def _texts(secrets: Iterable[Secret]) -> frozenset[str]:
    return frozenset(secret.reveal() for secret in secrets)


def _blot(text: str, spans: list[Span]) -> str:
    """Search in the original text: a redaction inside a shape would hide the rest of it."""
    pieces: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start > end or not pieces:
            pieces += [text[end:start], BLOT]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


def _shaped(text: str) -> Iterator[Span]:
    """Where something looks like a secret."""
    for sign, shape in _SHAPES:
        if sign in text:
            yield from (found.span() for found in shape.finditer(text))
    for found in _AUTHORIZATION.finditer(text) if "earer " in text or "asic " in text else ():
        proof = found["proof"]
        if (len(proof) >= _OPAQUE and not _WORDS.fullmatch(proof)) or (found["login"] and _is_login(proof)):
            yield found.span("proof")


def _is_login(text: str) -> bool:
    """Whether this is a name and a password in base64 (RFC 7617)."""
    said = _from_base64(text.rstrip("="))
    return ":" in said and said.isprintable() and said.isascii()


def _windows(form: str) -> list[str]:
    last = len(form) - _WINDOW
    return [form[at : at + _WINDOW] for at in (*range(0, last, _STRIDE), last)]


def _forms(value: str) -> set[str]:
    """What stands in a reading of a text with this value, each at least as long as `_SHORTEST`."""
    value = _SCHEME.sub("", value)  # of a secret address: else every address would be redacted
    lines = [line for line in value.splitlines() if len(line) >= _LONG] if "\n" in value else []
    # A value may have in it what looks like an escape, and readings undo that, too.
    readings = {reading for plain in (value, *lines) for reading, _ in _unescaped(plain)}
    readings |= {each.encode(errors="surrogatepass").decode("latin-1") for each in readings}
    readings |= {each.replace(" ", "+") for each in readings}  # as forms are sent
    return {each for each in readings if len(each) >= _SHORTEST}


def _unescaped(text: str) -> Iterator[Reading]:
    """The text, then with its escapes undone, then with what were escapes of escapes undone, and so on."""
    place: Place = _itself
    yield text, place
    for _ in range(_PASSES):
        undone = _undone(text)
        if undone is None:
            return
        text, outer = undone
        place = _through(outer, place)
        yield text, place


def _itself(span: Span) -> Span:
    return span


def _through(first: Place, then: Place) -> Place:
    return then if first is _itself else first if then is _itself else lambda span: then(first(span))


def _undone(text: str) -> Reading | None:
    """The text with every escape undone; None when there is none."""
    if not ("\\" in text or "%" in text or "&" in text):
        return None
    pieces: list[str] = []
    changes: list[tuple[int, int, int, int]] = []  # start and end in the reading, start and end in the text
    length = end = 0
    for found in _ESCAPED.finditer(text):
        plain = _meant(found)
        if plain != found[0]:
            start, stop = found.span()
            length += start - end
            pieces += [text[end:start], plain]
            changes.append((length, length + len(plain), start, stop))
            length, end = length + len(plain), stop
    if not changes:
        return None
    starts = [each[0] for each in changes]

    def place(span: Span) -> Span:
        return at(span[0], 2), at(span[1] - 1, 3)

    def at(here: int, side: int) -> int:
        number = bisect_right(starts, here) - 1
        if number < 0:
            return here + side - 2
        _, stop, *_ = change = changes[number]
        return change[side] if here < stop else change[3] + here - stop + side - 2

    return "".join([*pieces, text[end:]]), place


def _meant(found: re.Match[str]) -> str:
    """The character that an escape stands for; the escape itself when it is none."""
    match found.lastgroup:
        case "percent":
            raw = bytes.fromhex(found[0].replace("%", ""))
            try:
                return raw.decode(errors="surrogatepass")
            except UnicodeDecodeError:
                return raw.decode("latin-1")
        case "second":
            return chr(0x10000 + (int(found["unit"], 16) - 0xD800) * 0x400 + int(found["second"], 16) - 0xDC00)
        case "sign":
            return _SIGNS.get(found["sign"], found["sign"])
        case "name":
            return unescape(found[0])
        case kind:
            number = int(found[str(kind)], _BASES.get(str(kind), 16))
            return chr(number) if number <= sys.maxunicode else found[0]


def _decoded(word: str) -> Iterator[Reading]:
    """What a stretch of hex or base64 encodes, byte by byte, wherever in it a value may begin."""
    for found in _HEX.finditer(word):
        for lead in (0, 1):
            even = found[0][lead : lead + (len(found[0]) - lead) // 2 * 2]
            yield bytes.fromhex(even).decode("latin-1"), _within(found.start() + lead, 8, 4)
    if not word.islower():  # else it encodes no more than a few characters
        for lead in range(4):
            yield _from_base64(word[lead:]), _within(lead, 8, 6)


def _from_base64(text: str) -> str:
    """What base64 without its closing signs encodes, byte by byte; nothing where it is none."""
    try:
        raw = binascii.a2b_base64(text.translate(_STANDARD) + "A" * (-len(text) % 4))
    except ValueError:
        return ""
    return raw[: len(text) * 6 // 8].decode("latin-1")


def _within(start: int, inner: int, outer: int) -> Place:
    """Where characters of `inner` bits stand that are written with `outer` bits a sign."""
    return lambda span: (start + span[0] * inner // outer, start - (-span[1] * inner // outer))


redact = Redactor()  # one per process: another would have to learn every secret again
