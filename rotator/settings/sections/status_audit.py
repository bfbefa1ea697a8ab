"""The [status] and [audit] sections: where the daemon may be looked at, and where its receipts go."""

from __future__ import annotations

import re
from ipaddress import ip_address

from rotator.settings.errors import WrongValueError, quoted
from rotator.settings.model import Audit, Listen, Status
from rotator.settings.parsers import file, flag, place, sort_of, text
from rotator.settings.table_reader import Section

_FORMS = 'write "127.0.0.1:9464", "[::1]:9464" or "unix:/run/rotator/status.sock"'
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+|localhost)):(?P<port>[0-9]{1,5})")
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_LONGEST = 107  # bytes of a unix socket's path


def listen(value: object) -> Listen:
    """An address to listen on. A name is refused: what it resolves to may change behind everybody's back."""
    said = text(value)
    if said.startswith("unix:"):
        path = place(said.removeprefix("unix:"))
        if len(path.encode()) > _LONGEST:
            raise WrongValueError(f"is longer than the {_LONGEST} bytes a unix socket's path may have")
        return Listen(path=path)
    found = _ADDRESS.fullmatch(said)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise WrongValueError(f"is no address to listen on: {_FORMS}")
    try:
        host = ip_address(found["six"] or found["four"].replace("localhost", "127.0.0.1"))
    except ValueError:
        raise WrongValueError(f"is no address to listen on: {_FORMS}") from None
    return Listen(str(host), int(found["port"]))


def read_status(section: Section) -> Status:
    """The [status] section."""
    remote = section.take("allow_remote", flag, False)
    where = section.take("listen", listen, None)
    if where and where.host and not ip_address(where.host).is_loopback and not remote:
        section.fault(
            "listen",
            "can be reached from other hosts, and whoever reaches it may look: listen on 127.0.0.1,"
            " or set allow_remote = true",
        )
    keys = section.take("jwks_listen", listen, None)  # public keys are for everybody: any address will do
    if keys is not None and keys == where:
        section.fault("jwks_listen", "is the address of `listen`; public keys have one of their own")
    hosts = section.take("hosts", _hosts, ())
    section.finish()
    return Status(where, remote, keys, hosts)


def _hosts(value: object) -> tuple[str, ...]:
    """Host names as browsers send them: lower case, without port."""
    if not isinstance(value, list):
        raise WrongValueError(f'must be a list of names, such as ["rotator.example"], not {sort_of(value)}')
    names = tuple(text(each).lower().removesuffix(".") for each in value)
    if wrong := next((name for name in names if not _HOST.fullmatch(name)), None):
        raise WrongValueError(f"{quoted(wrong)} is no host name: write it without scheme and port")
    return names


def read_audit(section: Section) -> Audit:
    """The [audit] section."""
    audit = Audit(
        file=section.take("file", file, ""),
        required=section.take("required", flag, False),
        sync=section.take("sync", flag, True),
    )
    if audit.required and not section.has("file"):
        section.fault("required", 'needs a file to write to; add file = "/var/lib/rotator/receipts.jsonl"')
    section.finish()
    return audit
