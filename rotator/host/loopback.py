"""Which host names mean this very host: the one notion of settings and transports."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def is_loopback(host: str) -> bool:
    """Whether a host of an address, as `urlsplit` gives it, is this one whatever a resolver says.

    `x.localhost` is not: browsers hold it to be loopback, resolvers ask the DNS for it (glibc without nss-myhostname).
    """
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback
