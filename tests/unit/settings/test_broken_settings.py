"""Each broken settings file gives exactly one fault, at its line, with its key and a remedy.

A row of the table: a sentence, (old, new) to replace in the sound file or a text to append, the start of the line to
blame, the key, a phrase.
"""

# ruff: noqa: E501 - one row, one line

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from rotator.settings import SettingsError
from rotator.settings.parsers import FaultAt
from tests.unit.settings.files import SOUND, faults, line_of, write

END = ""  # append instead of replacing
ADDRESS = 'address = "https://vault.example:8200"'
URL = 'url = "https://blog.example"'
PATH = 'path = "apps/web/halo"'
MINTER = 'minter = {pat = {vault = "secret/minters/blog#token"}}'
SECRET_ID = 'secret_id = {credential = "vault-secret-id"}'


class Broken(NamedTuple):
    """One broken file."""

    sentence: str
    old: str
    new: str
    blamed: str
    key: str
    phrase: str


def _after(anchor: str, sentence: str, line: str, key: str, phrase: str) -> Broken:
    return Broken(sentence, anchor, f"{anchor}\n{line}", line.partition("\n")[0], key, phrase)


def _instead(old: str, sentence: str, new: str, key: str, phrase: str) -> Broken:
    return Broken(sentence, old, new, new, key, phrase)


def _gone(old: str, sentence: str, blamed: str, key: str, phrase: str) -> Broken:
    return Broken(sentence, old + "\n", "", blamed, key, phrase)


# fmt: off
VAULT = [
    _gone(ADDRESS, "no vault address", "[vault]", "vault", "`address` is missing"),
    _instead(ADDRESS, "an address without a scheme", 'address = "vault.example:8200"', "vault.address", "https://"),
    _instead(ADDRESS, "plain http to another host", 'address = "http://vault.example"', "vault.address", "plain http"),
    _instead(ADDRESS, "an address that is a number", "address = 8200", "vault.address", "not an integer"),
    _instead(ADDRESS, "an empty address", 'address = ""', "vault.address", "must not be empty"),
    _instead(ADDRESS, "an address with blanks", 'address = " https://v.example"', "vault.address", "blanks"),
    _instead(ADDRESS, "a broken IPv6 address", 'address = "https://[::1"', "vault.address", "https://host:port"),
    _instead(ADDRESS, "a port that is none", 'address = "https://v.example:http"', "vault.address", "https://host:port" ),
    _instead(ADDRESS, "a user in the address", 'address = "https://root:hunter2@v.example"', "vault.address", "user or password"),
    _after(ADDRESS, "an unknown vault key", 'mountt = "secret"', "vault.mountt", "did you mean `mount`?"),
    _after(ADDRESS, "a relative file", 'ca_file = "ca.pem"', "vault.ca_file", "absolute path"),
    _after(ADDRESS, "a quoted boolean", 'allow_insecure_http = "yes"', "vault.allow_insecure_http", "without quotes"),
    _after(ADDRESS, "a bare number as duration", "read_timeout = 5", "vault.read_timeout", 'write "5s"'),
    _after(ADDRESS, "a duration with an unknown unit", 'read_timeout = "5y"', "vault.read_timeout", "units s, m, h, d, w" ),
    _after(ADDRESS, "a duration with a unit twice", 'read_timeout = "1s1s"', "vault.read_timeout", "a unit twice"),
    _after(ADDRESS, "a duration out of range", 'read_timeout = "9h"', "vault.read_timeout", "from 1s to 5m"),
    _after(ADDRESS, "timeouts longer than the lease", 'read_timeout = "20s"', "vault.read_timeout", "are 51s"),
    _after(ADDRESS, "a mount with a slash in front", 'mount = "/secret"', "vault.mount", "start or end with a slash"),
    _after(ADDRESS, "a proxy that speaks SOCKS", 'proxy = "socks5://proxy.example:1080"', "vault.proxy", "SOCKS proxies are not supported"),
    _after(ADDRESS, "a password in the proxy's address", 'proxy = "http://me:hunter2@proxy.example:3128"', "vault.proxy", "must not carry a user or password: write proxy = {url ="),
    _after(ADDRESS, "a proxy without a scheme", 'proxy = "proxy.example:3128"', "vault.proxy", "must start with http:// or https://"),
    _after(ADDRESS, "a proxy with a path", 'proxy = "http://proxy.example:3128/pac"', "vault.proxy", "must end after host and port"),
    _after(ADDRESS, "a proxy that is a number", "proxy = 3128", "vault.proxy", "must be an address such as"),
    _after(ADDRESS, "a proxy where clouds hand out identities", 'proxy = "http://169.254.169.254"', "vault.proxy", "link-local"),
    _after(ADDRESS, "a proxy without an address", "proxy = {}", "vault.proxy", "`url` is missing"),
    _after(ADDRESS, "a proxy's password that stands there", 'proxy = {url = "https://proxy.example", username = "me", password = "hunter2"}', "vault.proxy.password", "must not stand in this file"),
    _after(ADDRESS, "the password of Vault's own proxy in Vault", 'proxy = {url = "https://proxy.example", username = "me", password = {vault = "secret/proxy#password"}}', "vault.proxy.password", "needed before Vault can be reached"),
    _after(ADDRESS, "a proxy's password in the clear", 'proxy = {url = "http://proxy.example:3128", username = "me", password = {file = "/run/secrets/proxy"}}', "vault.proxy.password", "allow_insecure_http = true"),
    _after(ADDRESS, "a proxy's password for nobody", 'proxy = {url = "https://proxy.example", password = {file = "/run/secrets/proxy"}}', "vault.proxy", "both `username` and `password`"),
    _after(ADDRESS, "a proxy's name with a colon", 'proxy = {url = "https://proxy.example", username = "a:b", password = {file = "/run/secrets/proxy"}}', "vault.proxy.username", "colon"),
    _after(ADDRESS, "an authority for a plain proxy", 'proxy = {url = "http://proxy.example", ca_file = "/etc/proxy.pem"}', "vault.proxy.ca_file", "for an https:// proxy"),
    _after(ADDRESS, "an unknown key of a proxy", 'proxy = {url = "https://proxy.example", user = "me"}', "vault.proxy.user", "username"),
    Broken("a Vault on this host through a proxy elsewhere", ADDRESS, 'address = "http://127.0.0.1:8200"\nproxy = "http://proxy.example:3128"', "proxy = ", "vault.proxy", "would leave it"),
    _after(ADDRESS, "a prefix that climbs", 'prefix = "a/../b"', "vault.prefix", "no `..` part"),
]

AUTH = [
    _instead(SECRET_ID, "an inline secret", 'secret_id = "s3cr3t-inline"', "vault.auth.secret_id", "not stand in this file" ),
    _instead(SECRET_ID, "a login kept in Vault", 'secret_id = {vault = "a/b#c"}', "vault.auth.secret_id", "cannot itself be kept"),
    _instead(SECRET_ID, "a reference to nowhere", 'secret_id = {env = "X"}', "vault.auth.secret_id", "keeps no secrets" ),
    _instead(SECRET_ID, "a reference to two places", 'secret_id = {file = "/a", credential = "b"}', "vault.auth.secret_id", "exactly one"),
    _instead(SECRET_ID, "a reference that is an array", "secret_id = []", "vault.auth.secret_id", "not be an array"),
    _instead(SECRET_ID, "a reference to a relative file", 'secret_id = {file = "x"}', "vault.auth.secret_id", "absolute path" ),
    _gone(SECRET_ID, "an incomplete login", "[vault.auth]", "vault.auth", "needs `secret_id`"),
    _after(SECRET_ID, "a key of another login", 'role = "rotator"', "vault.auth.role", "does not belong to method `approle`"),
    _after(SECRET_ID, "an auth mount with auth/", 'mount = "auth/approle"', "vault.auth.mount", "leave out `auth/`"),
    _instead('method = "approle"', "an unknown login", 'method = "aprole"', "vault.auth.method", "did you mean `approle`?" ),
]

DAEMON = [
    Broken("an unknown daemon key", END, "[daemon]\nin_fligth = 3", "in_fligth =", "daemon.in_fligth", "did you mean `in_flight`?" ),
    Broken("no rotation at all", END, "[daemon]\nin_flight = 0", "in_flight =", "daemon.in_flight", "from 1 to 256"),
    Broken("a number that is a boolean", END, "[daemon]\nin_flight = true", "in_flight =", "daemon.in_flight", "whole number" ),
    Broken("an unknown level", END, '[daemon]\nlog_level = "warn"', "log_level", "daemon.log_level", "mean `warning`?"),
    Broken("a short lease", END, '[daemon]\nlease = "22s"', "[targets.blog]", "targets.blog.timeout", "too long for daemon.lease 22s" ),
    Broken("an unfit instance", END, '[daemon]\ninstance = "a/b"', "instance", "daemon.instance", "letters, digits"),
    Broken("an unfit name prefix", END, '[daemon]\nname_prefix = "Rot"', "name_prefix", "daemon.name_prefix", "lower-case" ),
    Broken("a socket path too long", END, f'[daemon]\nsocket = "/{"x" * 107}"', "socket", "daemon.socket", "107 bytes"),
    Broken("a section that is none", END, "[daemons]\nin_flight = 3", "[daemons]", "daemons", "did you mean `daemon`?"),
]

STATUS = [
    Broken("an unknown status key", END, "[status]\nlisten_on = 3", "listen_on", "status.listen_on", "did you mean `listen`?"),
    Broken("a port alone", END, "[status]\nlisten = 9464", "listen", "status.listen", "must be a string"),
    Broken("a listener by name", END, '[status]\nlisten = "host-a:9464"', "listen", "status.listen", 'write "127.0.0.1:9464"'),
    Broken("a listener without port", END, '[status]\nlisten = "127.0.0.1"', "listen", "status.listen", "no address"),
    Broken("a port beyond all ports", END, '[status]\nlisten = "127.0.0.1:99999"', "listen", "status.listen", "no address"),
    Broken("an address that is none", END, '[status]\nlisten = "127.0.0.300:1"', "listen", "status.listen", "no address"),
    Broken("a listener for everybody", END, '[status]\nlisten = "0.0.0.0:9464"', "listen", "status.listen", "allow_remote = true"),
    Broken("a listener for the network", END, '[status]\nlisten = "[2001:db8::1]:9464"', "listen", "status.listen", "other hosts"),
    Broken("a status socket that is relative", END, '[status]\nlisten = "unix:s.sock"', "listen", "status.listen", "absolute path"),
    Broken("a status socket path too long", END, f'[status]\nlisten = "unix:/{"x" * 107}"', "listen", "status.listen", "107 bytes"),
    Broken("a quoted allow_remote", END, '[status]\nallow_remote = "no"', "allow_remote", "status.allow_remote", "without quotes"),
    Broken("a host with a port", END, '[status]\nhosts = ["a:1"]', "hosts", "status.hosts", "without scheme and port"),
    Broken("one host without a list", END, '[status]\nhosts = "a"', "hosts", "status.hosts", "must be a list of names"),
    Broken("an unknown audit key", END, '[audit]\nfiel = "/a"', "fiel", "audit.fiel", "did you mean `file`?"),
    Broken("receipts in a relative file", END, '[audit]\nfile = "a.jsonl"', "file", "audit.file", "absolute path"),
    Broken("receipts required but nowhere", END, "[audit]\nrequired = true", "required", "audit.required", "add file ="),
    Broken("a sync that is a number", END, '[audit]\nfile = "/a"\nsync = 1', "sync", "audit.sync", "without quotes"),
]

TARGET = [
    _gone('kind = "halo-cms"', "a target without kind", "[targets.blog]", "targets.blog", "`kind` is missing"),
    _instead('kind = "halo-cms"', "an unknown kind", 'kind = "halo-csm"', "targets.blog.kind", "mean `halo-cms`?"),
    _gone(URL, "a target without address", "[targets.blog]", "targets.blog", "`url` is missing"),
    _instead(URL, "a target on plain http", 'url = "http://blog.example"', "targets.blog.url", "plain http"),
    _instead(URL, "a metadata address", 'url = "https://169.254.169.254/"', "targets.blog.url", "metadata"),
    _instead(URL, "a metadata name", 'url = "https://metadata.google.internal"', "targets.blog.url", "metadata"),
    _instead(URL, "a mapped metadata address", 'url = "https://[::ffff:a9fe:a9fe]"', "targets.blog.url", "metadata"),
    _instead(URL, "a disguised address", 'url = "https://2852039166"', "targets.blog.url", "four plain decimal"),
    _instead(URL, "an address with a fragment", 'url = "https://blog.example/#x"', "targets.blog.url", "`?` or `#`"),
    _instead(URL, "an address with a query", 'url = "https://blog.example/?a=b"', "targets.blog.url", "`?` or `#`"),
    _after(URL, "an unknown target key", "in_fligth = 3", "targets.blog.in_fligth", "did you mean `in_flight`?"),
    _after(URL, "a kind's key of the wrong type", 'calls = "many"', "targets.blog.calls", "must be a whole number, not a string"),
    _after(URL, "a kind's key that its kind refuses", "concurrency = 99", "targets.blog.concurrency", "concurrency from 1 to 8"),
    _after(URL, "a timeout longer than the lease", 'timeout = "15s"', "targets.blog.timeout", "are 35s"),
    _after(URL, "a kind's duration without unit", "keep = 24", "targets.blog.keep", 'write "24s", "24m", "24h"'),
    _gone(MINTER, "a target without minter", "[targets.blog]", "targets.blog", "`minter` is missing"),
    _after(URL, "a target's proxy that speaks SOCKS", 'proxy = "socks5h://proxy.example:1080"', "targets.blog.proxy", "SOCKS proxies are not supported"),
    _after(URL, "a target's proxy with half a login", 'proxy = {url = "https://proxy.example", username = "me"}', "targets.blog.proxy", "both `username` and `password`"),
    _after(URL, "a target's proxy whose password stands there", 'proxy = {url = "https://proxy.example", username = "me", password = "hunter2"}', "targets.blog.proxy.password", "must not stand in this file"),
    Broken("a target on this host through a proxy elsewhere", URL, 'url = "http://localhost:8090"\nproxy = "https://proxy.example:3128"', "proxy = ", "targets.blog.proxy", "would leave it"),
    _instead(MINTER, "an inline minter", 'minter = {pat = "pat_x"}', "targets.blog.minter.pat", "not stand in this file" ),
    _instead(MINTER, "a minter that is a string", 'minter = "self"', "targets.blog.minter", "must be a table"),
    _instead(MINTER, "a minter of two sorts", 'minter = {self = true, pat = {file = "/a"}}', "targets.blog.minter", "one identity"),
    _instead(MINTER, "a minter of no sort", "minter = {}", "targets.blog.minter", "exactly one identity"),
    _instead(MINTER, "half a Basic Auth", 'minter = {username = "a"}', "targets.blog.minter", "needs both"),
    _instead(MINTER, "a colon in a name", 'minter = {username = "a:b", password = {file = "/a"}}', "targets.blog.minter.username", "colon"),
    _instead(MINTER, "a minter that is not itself", "minter = {self = false}", "targets.blog.minter.self", "can only be true" ),
    _instead(MINTER, "a Vault reference without key", 'minter = {pat = {vault = "secret/x"}}', "targets.blog.minter.pat", "mount/path#key"),
    _instead(MINTER, "an unknown minter key", "minter = {self = true, tok = 1}", "targets.blog.minter.tok", "unknown key" ),
]

CREDENTIAL = [
    _gone(PATH, "no path", "[credentials.web]", "credentials.web", "`path` is missing"),
    _gone('target = "blog"', "no target", "[credentials.web]", "credentials.web", "`target` is missing"),
    _instead('target = "blog"', "an unknown target", 'target = "blok"', "credentials.web.target", "mean `blog`?"),
    _instead(PATH, "a path with data/", 'path = "data/apps/web"', "credentials.web.path", "write `apps/web`"),
    _instead(PATH, "a path in the private prefix", 'path = "rotator/journal/web"', "credentials.web.path", "private prefix"),
    _instead(PATH, "a path with a blank in it", 'path = "apps/my web"', "credentials.web.path", "no blanks"),
    _after(PATH, "an unknown kind of credential", 'kind = "halo-pta"', "credentials.web.kind", "mean `halo-pat`?"),
    _after(PATH, "an unknown key", 'role = ["x"]', "credentials.web.role", "did you mean `roles`?"),
    _after(PATH, "roles that are no array", 'roles = "x"', "credentials.web.roles", "must be an array, not a string"),
    _after(PATH, "a probe its kind refuses", 'probe = "posts"', "credentials.web.probe", "probe is a path"),
    _after(PATH, "a key that is none", 'key = "to ken"', "credentials.web.key", "start with a letter"),
    _after(PATH, "a key that is taken", 'key = "expires_at"', "credentials.web.key", "written beside the value"),
    _after(PATH, "two schedules", 'cron = "0 3 * * 1"\nevery = "7d"', "credentials.web.cron", "only one of"),
    _after(PATH, "a jitter out of range", "jitter = 0.9", "credentials.web.jitter", "from 0 to 0.5"),
    _after(PATH, "a jitter that is not a number", "jitter = nan", "credentials.web.jitter", "from 0 to 0.5"),
    _after(PATH, "a duration as jitter of an interval", 'jitter = "1h"', "credentials.web.jitter", "only `cron` takes"),
    _after(PATH, "a fraction out of range", "fraction = 0.99", "credentials.web.fraction", "from 0.05 to 0.95"),
    _after(PATH, "a time zone without cron", 'timezone = "UTC"', "credentials.web.timezone", "only goes with `cron`"),
    _after(PATH, "a lifetime of nothing", 'lifetime = "0s"', "credentials.web.lifetime", "from 1m"),
    _after(PATH, "a lifetime beyond reason", 'lifetime = "9999w"', "credentials.web.lifetime", "longer than ten years"),
    _after(PATH, "a label that is no text", "labels = {team = 3}", "credentials.web.labels", "`team` must be a string"),
    _after(PATH, "an unknown policy", 'on_foreign = "fight"', "credentials.web.on_foreign", "hold, overwrite"),
    _after(PATH, "an unknown limit", "limits = {mints = 3}", "credentials.web.limits.mints", "mints_per_day"),
    _after(PATH, "an unknown end", 'retire = {at_deadline = "rvoke"}', "credentials.web.retire.at_deadline", "`revoke`?"),
    Broken("a name that will not do", "[credentials.web]", '[credentials."Web"]', '[credentials."Web"]', "credentials.Web", "lower-case" ),
    Broken("a name that climbs", "[credentials.web]", '[credentials."a/../b"]', "[cred", 'credentials."a/../b"', "all-dots" ),
    Broken("a credential that is no table", END, "[credentials]\nx = 3", "x = 3", "credentials.x", "[credentials.NAME]"),
    Broken("a dotted name that became a table", END, '[credentials.web.api]\npath = "b"', "[credentials.web.api]", "credentials.web.api", 'quoted: [credentials."web.api"]'),
]

CRON = [
    _after(PATH, "a cron of four fields", 'cron = "0 3 * *"', "credentials.web.cron", "it has 4"),
    _after(PATH, "a cron hour that is none", 'cron = "0 25 * * *"', "credentials.web.cron", "is no cron expression"),
    _after(PATH, "a cron weekday that is none", 'cron = "0 3 * * 8"', "credentials.web.cron", "is no weekday"),
    _after(PATH, "a cron that runs backwards", 'cron = "0 3 * * fri-mon"', "credentials.web.cron", "runs backwards"),
    _after(PATH, "a cron of two minds", 'cron = "0 3 1 * 1"', "credentials.web.cron", "use one of them"),
    _after(PATH, "a day that never comes", 'cron = "0 3 31 2 *"', "credentials.web.cron", "never comes"),
    _after(PATH, "a cron with seconds", 'cron = "0 0 3 * * 1"', "credentials.web.cron", "it has 6"),
    _after(PATH, "a cron of words", 'cron = "@daily"', "credentials.web.cron", "needs five fields"),
    _after(PATH, "a splay that is a share", 'jitter = 0.1\ncron = "0 3 * * 1"', "credentials.web.jitter", "must be a duration"),
    _after(PATH, "an unknown time zone", 'timezone = "Europe/Berlni"\ncron = "0 3 * * 1"', "credentials.web.timezone", "Europe/Berlin"),
]

LONG = "a" * 70_000
OAUTH = '[targets.desk]\nkind = "oauth"\nurl = "https://desk.example"'

LENGTHS = [
    _instead(PATH, "a path without end", f'path = "{LONG}"', "credentials.web.path", "holds a text of 70000 characters, and 2048 are the most: shorten it"),
    _instead(ADDRESS, "an address without end", f'address = "https://v.example/{LONG}"', "vault.address", "2048 are the most"),
    _instead('role_id = "5b1d"', "a role id without end", f'role_id = "{LONG}"', "vault.auth.role_id", "2048 are the most"),
    _instead(URL, "a target's address without end", f'url = "https://blog.example/{LONG}"', "targets.blog.url", "2048 are the most"),
    _after(URL, "a login name without end", f'username = "{LONG}"', "targets.blog.username", "2048 are the most"),
    _after(PATH, "a role without end", f'roles = ["editor", "{LONG}"]', "credentials.web.roles", "2048 are the most"),
    _after(PATH, "roles without end", f"roles = {['editor' * 20] * 1000}", "credentials.web.roles", "holds 120000 characters in all, and 65536 are the most"),
    _after(PATH, "a description without end", f'description = "{LONG}"', "credentials.web.description", "2048 are the most"),
    _after(PATH, "a label's name without end", f'labels = {{{LONG} = "x"}}', "credentials.web.labels", "2048 are the most"),
    _after(PATH, "a cron without end", f'cron = "{LONG}"', "credentials.web.cron", "2048 are the most"),
    _instead('secret_id = {credential = "vault-secret-id"}', "a file's name without end", f'secret_id = {{file = "/{LONG}"}}', "vault.auth.secret_id", "2048 are the most"),
    Broken("a command without end", END, f'[hooks.x]\non = ["published"]\ncommand = ["/bin/x", "{LONG}"]', "command", "hooks.x.command", "2048 are the most"),
    Broken("a host without end", END, f'[status]\nhosts = ["{LONG}"]', "hosts", "status.hosts", "2048 are the most"),
    _after(PATH, "a key without end", f"{LONG} = 1", f"credentials.web.\"{LONG[:200]}… (69800 more characters)\"", "unknown key"),
    Broken("a key with a line end in it", END, '[daemon]\n"a\\nb" = 1', '"a', 'daemon."a\\nb"', "unknown key"),
]

URLS = [
    Broken(f"{what} as {option}", END, f'{OAUTH}\n{option} = "{url}"', option, f"targets.desk.{option}", phrase)
    for option in ("auth_url", "token_url", "revocation_url", "introspection_url", "jwks_url", "registration_url")
    for what, url, phrase in (
        ("half an address", "http://[::1", "is no address"),
        ("a port that is none", "https://desk.example:99999", "is no address"),
        ("plain http", "http://desk.example", "plain http carries every secret"),
        ("a metadata name", "https://metadata.google.internal/token", "metadata"),
        ("a user", "https://me@desk.example", "must not carry a user"),
        ("a fragment", "https://desk.example/#x", "must end before any `#`"),
        ("nothing", "", "must not be empty"),
    )
] + [
    Broken(f"{what} as issuer", END, f'{OAUTH}\nissuer = "{url}"', "issuer", "targets.desk.issuer", phrase)
    for what, url, phrase in (
        ("half an address", "http://[::1", "is no address"),
        ("plain http", "http://desk.example", "plain http is for loopback only"),
        ("a metadata name", "https://metadata.google.internal", "metadata"),
        ("a number", "https://2852039166/", "four plain decimal numbers"),
        ("a user", "https://me@desk.example", "must not carry a user"),
        ("a query", "https://desk.example/?x=y", "must end before any `?`"),
        ("no address", "desk", "issuer must start with https://"),
    )
] + [Broken("a query in an auth_url", END, f'{OAUTH}\nauth_url = "https://desk.example/?a=b"', "auth_url", "targets.desk.auth_url", "neither query nor fragment")]

ARITHMETIC = [
    _after(PATH, "quiet without deadline", 'retire = {quiet = "15m"}', "credentials.web.retire", "add deadline"),
    _after(PATH, "deadline without quiet", 'retire = {deadline = "1d"}', "credentials.web.retire", "add quiet"),
    _after(PATH, "a deadline before the grace", 'retire = {after = "2h", quiet = "5m", deadline = "1h"}', "credentials.web.retire", "deadline 1h comes before after 2h"),
    _after(PATH, "a deadline before anybody can know of the quiet", 'retire = {after = "1m", quiet = "1m", deadline = "2m"}', "credentials.web.retire.deadline", "noted 1m late by the target of `halo-pat`, and quiet is 1m, together 2m"),
    _after(PATH, "a grace longer than the interval", 'retire = {after = "40d"}', "credentials.web.retire", "can come after 27d"),
    _after(PATH, "a lifetime shorter than the interval", 'lifetime = "30d"', "credentials.web.lifetime", "every 30d + retries 1h + retire.after 1h + proof 5m = 30d2h5m"),
    _after(PATH, "a life too short for its fraction", 'fraction = 0.66\nlifetime = "2h"\nlimits = {mints_per_day = 99}', "credentials.web.fraction", "must be less than lifetime 2h"),
    _after(PATH, "a fraction of eternity", 'fraction = 0.5\nlifetime = "none"', "credentials.web.fraction", "never comes"),
    _after(PATH, "more rotations than mints", 'every = "2h"', "credentials.web.every", "up to 14 mints a day"),
    _after(PATH, "a cron beyond its lifetime", 'cron = "0 3 1 * *"\nlifetime = "30d"', "credentials.web.cron", "cron 31d"),
    _after(PATH, "more mints per rotation than per day", "limits = {mints_per_rotation = 9}", "credentials.web.limits", "more than mints_per_day 6"),
]

ROWS = [*VAULT, *AUTH, *DAEMON, *STATUS, *TARGET, *CREDENTIAL, *CRON, *LENGTHS, *URLS, *ARITHMETIC]
# fmt: on


def _broken_text(row: Broken) -> str:
    if row.old == END:
        return SOUND + row.new + "\n"
    assert SOUND.count(row.old) == 1
    return SOUND.replace(row.old, row.new)


@pytest.mark.parametrize("row", ROWS, ids=[row.sentence for row in ROWS])
def test_is_refused_at_its_place(row: Broken, tmp_path: Path) -> None:
    text = _broken_text(row)
    path = write(tmp_path, text)
    found = faults(path)
    assert [fault.key for fault in found] == [row.key], [str(fault) for fault in found]
    assert row.phrase in found[0].text
    assert found[0].file == str(path)
    assert found[0].line == line_of(text, row.blamed)


def test_the_sound_file_is_sound(tmp_path: Path) -> None:
    assert faults(write(tmp_path, SOUND)) == ()


def test_no_sentence_stands_for_two_rows() -> None:
    assert len({row.sentence for row in ROWS}) == len(ROWS)


def test_of_many_faults_that_say_the_same_the_first_is_told_and_the_others_are_counted() -> None:
    many = [FaultAt("f.toml", line, f"credentials.c{line}.target", "there is no target `x`") for line in range(1, 1001)]
    few = [FaultAt("f.toml", 2000 + line, f"credentials.d{line}.path", "must begin with a letter") for line in range(3)]
    told = SettingsError([*many, *few]).faults
    assert [each.line for each in told] == [1, 2000, 2001, 2002]
    more = "(999 more say the same, the last is credentials.c1000.target)"
    assert told[0].text == f"there is no target `x` {more}"
