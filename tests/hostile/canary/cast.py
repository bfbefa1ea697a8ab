"""Who takes part in the story: a credential of every kind, hooks, a ping, traces, and their settings."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.kit.http_server import Listener
from tests.sandbox.environment import World, policy_text
from tests.system.kinds import KINDS
from tests.system.quick import DEFAULTS

SETTINGS = {**DEFAULTS, "daemon": {**DEFAULTS["daemon"], "drain": "5s", "log_level": "debug"}}
DESK = ("client-assertion", "oauth-token", "halo-api-key", "halo-client-secret", "halo-client-secret-two",
        "halo-assertion-key", "assertion-key")  # fmt: skip
APPLICATIONS = (*(kind + ending for kind in DESK for ending in KINDS[kind].applications), "renewed-consent",
                "by-itself-registered")  # fmt: skip
BROUGHT = """
[targets.tool]
kind = "http"
url = "{url}"
settle = "1s"
timeout = "1s"
deadline = "2s"

[credentials.brought]
target = "tool"
path = "apps/brought/halo"
probe = "{probe}"
instructions = "open the console of the tool"
"""
# What a program that is told something could see of us: its arguments, its environment, its input, its parent's.
_SPY = """#!/bin/sh
{{ cat; echo; env; cat /proc/$$/cmdline /proc/$$/environ; ls -l /proc/$$/fd; }} >>"{told}" 2>&1
"""


class Cast:
    """Every kind of credential in one world, and everybody who is told of it."""

    def __init__(self, world: World, collector: Listener) -> None:
        self.world = world
        self.collector = collector
        self.told = world.folder / "told-to-a-program"
        self.signing = secrets.token_urlsafe(32)
        self.proxied = secrets.token_urlsafe(24)  # the password of the proxy between us and Halo, and the hook
        self.ping = secrets.token_urlsafe(32)  # whoever knows the address can say that all is well

    def credentials(self, desk_url: str) -> None:
        """One of every kind; the first two have been there since the first day. `desk_url`: where the daemon meets the
        desk."""
        world, desk = self.world, self.world.desk
        assert desk is not None
        world.add("blog-ci", roles=["role-template-view-posts"])
        world.add("news", roles=[])
        for kind in DESK:
            more = {"pool": 3} if kind == "client-assertion" else {}
            KINDS[kind].add(world, kind, **more)
        place = f"{world.mount}/renewals/crm"
        consent, registration = desk.consents["renewed-consent"], desk.registrations["by-itself-registered"]
        world.bao.call("POST", f"{world.mount}/data/renewals/crm", {"data": {"refresh_token": consent}})
        world.bao.call("POST", f"{world.mount}/data/renewals/registration", {"data": {"token": registration}})
        more_rights = f'\npath "{world.mount}/data/renewals/*" {{ capabilities = ["create", "update", "read"] }}\n'
        world.bao.call("PUT", "sys/policies/acl/rotator", {"policy": policy_text(world.mount) + more_rights})
        own = {"kind": "oauth-token", "grant": "refresh_token", "refresh_token": {"vault": f"{place}#refresh_token"}}
        world.add("renewed", target="desk", probe="/api/Status", fraction=0.6, **desk.client("renewed-consent"), **own)
        world.credentials["renewed"].pop("every", None)
        where = {"registration_access_token": {"vault": f"{world.mount}/renewals/registration#token"}}
        where["registration_client_uri"] = f"{desk_url}/register/{desk.clients['by-itself-registered']}"
        keys = {"kind": "assertion-key", "assertion_life": "1s", "bits": 2048, "probe": "/api/Status"}
        world.add("by-itself", target="desk", **keys, **desk.client("by-itself-registered"), **where)

    def settings(self, desk_url: str, probe: str, proxy_url: str) -> Path:
        """The settings of the day. `desk_url`: where the daemon meets the desk."""
        world, folder, url = self.world, self.world.folder, self.collector.url
        assert world.desk is not None
        spy, signing, ping, proxied = (folder / each for each in ("spy.sh", "signing", "ping-url", "proxy-password"))
        spy.write_text(_SPY.format(told=self.told))
        spy.chmod(0o755)
        for path, text in ((signing, self.signing), (ping, f"{url}/ping/{self.ping}"), (proxied, self.proxied)):
            path.write_text(text)
            path.chmod(0o400)
        always = {"on": ["published", "retired", "failed", "held", "awaiting", "refused"], "attempts": 2}
        proxy = {"url": proxy_url, "username": "rotator", "password": {"file": str(proxied)}}
        own = {"daemon": {"socket": str(folder / "rotator.sock")}, "target": {"proxy": proxy}}
        hooks = {
            "program": {**always, "command": [str(spy)]},
            "address": {**always, "url": f"{url}/hook", "secret": {"file": str(signing)}, "proxy": proxy},
        }
        written: Path = world.write_settings(
            **{name: keys | own.get(name, {}) for name, keys in SETTINGS.items()},
            desk={"url": desk_url, "audience": f"{world.desk.url}/auth/token", **SETTINGS["target"]},
            audit={"file": str(folder / "receipts.jsonl")},
            status={"listen": f"unix:{folder / 'status.sock'}", "jwks_listen": f"unix:{folder / 'jwks.sock'}"},
            hooks=hooks,
            ping={"url": {"file": str(ping)}, "every": "10s"},
            tracing={"endpoint": f"{url}/v1/traces"},
        )
        written.write_text(written.read_text() + BROUGHT.format(url=world.halo_url, probe=probe))
        world.credentials["brought"] = {"path": "apps/brought/halo"}
        return written
