"""rotator keeps machine credentials fresh: mint, stage in Vault, prove, publish, retire.

FLOORS is the map of the house, lowest first, with each room's duty. Imports only point down; rooms on one floor do
not see each other. tests/architecture reads this same table.
"""

FLOORS: tuple[dict[str, str], ...] = (
    {"rotation": "pure decisions: records, steps, events, rules; standard library only"},
    {"ports": "what the engine asks of the world, and the three faults"},
    {"host": "sockets to listen on, files, locks and threads of this machine; nothing waits for ever"},
    {
        "engine": "look, decide, perform, advance, save, log",
        "vault": "KV, journal, login, transit; the only import of hvac",
        "providers": "one file per kind of target; the only import of httpx",
        "clockwork": "clock and triggers; the only import of apscheduler",
        "logs": "structlog, redaction, rendering of events",
        "notify": "sd_notify: the word with the service manager",
        "pulse": "whether a running daemon counts as alive",
    },
    {"settings": "TOML to frozen settings; every fault at once"},
    {"control": "unix socket: now, reload"},
    {
        "fleet": "the fleet as its records and its crew show it: states, alive, ready",
        "glance": "the fleet in one line",
        "narrate": "a transition told: one log line, one progress line",
        "wiring": "settings turned into what the edges ask for",
    },
    {
        "keychain": "secrets by reference, signing keys by name, documents that providers keep",
        "grants": "what the daemon may do in Vault, and the policy that says so",
        "starter": "the first files of an installation, and what to type next",
        "metrics": "what Prometheus is told; the only import of its library",
        "receipts": "transitions in an append-only, hash-chained file",
        "hooks": "programs and addresses that are told what happened; the dead-man ping",
        "tracing": "a rotation as a trace; the only import of OpenTelemetry, where settings ask for it",
        "status": "probes, scrape and page over HTTP, read-only; h11",
    },
    {
        "app": "composition root: one actor, acting or reading, and everybody who hears what it does",
        "keyhouse": "the public keys that others may fetch",
        "conformance": "a provider's promises as rules, tried on a real target; rotations killed everywhere",
    },
    {"commands": "what verbs do and say, for socket and shell alike"},
    {
        "now": "rotate now: whom it concerns, its progress, its verdict",
        "looking": "states and explanations, without effects",
        "checking": "a live look at every right the daemon needs",
        "supervision": "what the service manager hears, and what feeds its watchdog",
        "lookout": "metrics and status server, introduced to the running daemon",
    },
    {
        "supplying": "rotate supply: a value that a person brings, proven and published",
        "past": "what happened to a credential: receipts, or the journal's older versions",
    },
    {"operator": "the operator's verbs: pause, resume, release, undo, adopt; what each comes to"},
    {"daemon": "the life of `rotate run`", "alone": "work without a daemon"},
    {"cli": "one small file per command, loaded lazily"},
    {"__main__": "python -m rotator"},
    {"sandbox": "in the repository only: targets to try things on, and the launcher of a real OpenBao"},
    {"demo": "in the repository only: the show of `make demo`, a world of its own, commentary, proof"},
)
