"""rotator keeps machine credentials fresh: mint, stage in Vault, prove, publish, retire.

FLOORS is the map of the house, lowest first, with each room's duty; README.md beside it says what to open for a change.
Imports only point down; rooms on one floor do not see each other; a room within a room stands on a floor of its own.
tests/architecture reads this same table.
"""

FLOORS: tuple[dict[str, str], ...] = (
    {"rotation": "pure decisions: records, steps, events, rules; standard library only"},
    {"ports": "what the engine needs of time, Vault and targets; and the faults"},
    {"host": "this machine: cron and clock, sockets, files, threads, TLS files; the only import of apscheduler"},
    {
        "engine": "reconcile: look, decide, perform, advance, save, report",
        "vault": "KV, journal, login, transit; the only import of hvac",
        "providers": "one folder per family of targets; the only import of httpx",
        "observe.logs": "structlog, redaction, rendering of log lines",
    },
    {"settings": "TOML files loaded into frozen settings; every fault is reported at once"},
    {
        "app.control": "the control socket: one JSON request, a stream of JSON lines in answer",
        "app.factories": "connections, logins and secrets built from settings",
        "observe.event_log": "one log line and one progress line per transition",
        "observe.health": "the state of every credential, target and minter: alive, ready, healthy",
    },
    {
        "app.secret_resolver": "secrets by reference, signing keys by name, documents that providers keep",
        "app.vault_policy": "the daemon's rights in Vault, and the policy that grants them",
        "commands.scaffold": "the first files of an installation, and the next commands",
        "observe.metrics": "metrics for Prometheus; the only import of its library",
        "observe.receipts": "transitions in an append-only, hash-chained file",
        "observe.hooks": "programs and addresses that are called on transitions; the dead-man ping",
        "observe.tracing": "a rotation as a trace; the only import of OpenTelemetry, where settings ask for it",
        "observe.status": "probes, scrape and page over HTTP, read-only; h11",
    },
    {
        "observe.observers": "every observer of transitions, composed from settings",
        "observe.jwks_endpoint": "the public keys that others may fetch",
        "testing": "the conformance kit for authors of kinds: rules tried on a real target, kills everywhere",
    },
    {"app": "one actor, acting or reading: session, engine and observers"},
    {"commands": "the work and the output of each command, for socket and shell alike"},
    {
        "app.systemd": "messages to the service manager, and its watchdog",
        "app.monitoring": "metrics and status server of the running daemon",
    },
    {"app.daemon": "the life of `rotate run`", "app.standalone": "commands that act without a daemon"},
    {"cli": "the command line; the file of a command is loaded when it is called"},
    {"__main__": "python -m rotator"},
)
