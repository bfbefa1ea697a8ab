"""TLS settings from files that may be replaced at any time: trusted authorities, and our own certificate.

Servers are checked against the authorities of this machine, or those of one PEM file instead. The environment is
ignored: SSL_CERT_FILE, SSL_CERT_DIR, and SSLKEYLOGFILE, which would write the keys of our connections to a file.
"""

from __future__ import annotations

import errno
import os
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rotator.host.files import irregular
from rotator.host.threads import BoundedCalls
from rotator.ports import Transient

# Where distributions keep their authorities, for an interpreter that was built to look elsewhere.
_KNOWN = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_BUILT = ssl.get_default_verify_paths()  # where this interpreter was built to look
_PATIENCE = 2.0  # seconds for a look at the files
Mark = tuple[tuple[int, int, int] | None, ...]  # time of change, size and inode of each file; None: it is not there


def system_store() -> tuple[str | None, str | None]:
    """The file and the folder with this machine's authorities; the environment is ignored."""
    return _system_file(), _BUILT.openssl_capath if Path(_BUILT.openssl_capath).is_dir() else None


def _system_file() -> str | None:
    known = (_BUILT.openssl_cafile, *_KNOWN)
    return next((each for each in known if os.path.isfile(each)), None)  # noqa: PTH113 (asked at every call)


class Trust:
    """The TLS settings for one server. Thread-safe."""

    def __init__(self, ca_file: str | None = None, pair: tuple[str, str] | None = None) -> None:
        """`ca_file` replaces this machine's authorities; `pair`: the files of our own certificate and key."""
        self._ca_file, self._pair = ca_file, pair
        self._lock = threading.Lock()
        self._made: tuple[Mark, ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """The settings; a new object as soon as one of the files was replaced. Connections made with the old object
        must not be used again. Files that cannot be read now leave the settings as they were.

        Raises OSError, naming the file, when there were none.
        """
        with self._lock:
            mark = tuple(_mark(path) for path in self._files())
            if self._made is None or self._made[0] != mark:
                try:
                    self._made = mark, self._make()
                except OSError:
                    if self._made is None:
                        raise
            return self._made[1]

    def fresh(self) -> ssl.SSLContext:
        """The settings in an object that nobody else has. Raises OSError, naming the file."""
        return self._make()

    def _files(self) -> tuple[str, ...]:
        return (self._ca_file or _system_file() or "", *(self._pair or ()))

    def _make(self) -> ssl.SSLContext:
        """Certificates and host names are checked; TLS 1.2 or newer. As `ssl.create_default_context`, but for the
        environment; and what is believed need not be a root: with any Python, as by default since 3.13."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if sys.version_info >= (3, 13):
            context.verify_flags |= ssl.VERIFY_X509_STRICT
        if self._ca_file:
            _loaded(self._ca_file, lambda path: context.load_verify_locations(cafile=path))
        else:
            file, folder = system_store()
            if file or folder:
                context.load_verify_locations(file, folder)
        if self._pair:
            certificate, key = self._pair
            _loaded(key, lambda path: Path(path).read_bytes())
            _loaded(certificate, lambda path: context.load_cert_chain(path, key, password=""))
        return context


_OF_THIS_MACHINE = Trust()  # read once for all targets that name no file of their own


class TrustFault(OSError):  # noqa: N818 (as `Fault`)
    """There is nothing to judge a server by, so it was not called. `what` says why, `remedy` what to do."""

    def __init__(self, path: str, said: str) -> None:
        self.what = f"ca_file {path} cannot be used ({said})"
        self.remedy = "put a PEM file of the server's authority there, readable for us, or name another ca_file"
        super().__init__(f"{self.what}: {self.remedy}")


class LoopTrust:
    """`Trust` for an event loop: a file that settings name is read in a thread, which may hang without us."""

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file, self._trust = ca_file or "", Trust(ca_file) if ca_file else _OF_THIS_MACHINE
        self._looks = BoundedCalls(f"ca_file {ca_file}", _PATIENCE)
        self._last: ssl.SSLContext | None = None
        if not ca_file:
            with suppress(OSError):  # the first call reports it
                self._trust.context()  # takes some 20 ms, which would be missing from the first call's deadline

    async def context(self) -> ssl.SSLContext:
        """See `Trust.context`. A drive that hangs leaves the settings as they were. Raises TrustFault where there were
        none."""
        if not self._ca_file:
            return self._trust.context()
        try:
            self._last = await self._looks.run(self._trust.context)
        except (OSError, Transient) as fault:
            if self._last is None:
                raise self._unusable(fault) from None
        return self._last

    async def fresh(self) -> ssl.SSLContext:
        """See `Trust.fresh`. Raises TrustFault."""
        try:
            return await self._looks.run(self._trust.fresh)
        except (OSError, Transient) as fault:
            raise self._unusable(fault) from None

    def _unusable(self, fault: OSError | Transient) -> TrustFault:
        said = fault.strerror if isinstance(fault, OSError) else f"no answer within {_PATIENCE:g} s"
        return TrustFault(self._ca_file or "of this machine", said or type(fault).__name__)


def _loaded(path: str, load: Callable[[str], object]) -> None:
    if what := irregular(path):
        raise OSError(errno.EINVAL, f"it is {what}, not a regular file", path)
    try:
        load(path)
    except OSError as fault:
        words = "it holds no certificate in PEM form" if isinstance(fault, ssl.SSLError) else ""
        raise OSError(errno.EINVAL, words or fault.strerror, path) from None


def _mark(path: str) -> tuple[int, int, int] | None:
    try:
        seen = os.stat(path)  # noqa: PTH116 (asked at every call)
    except (OSError, ValueError):
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino
