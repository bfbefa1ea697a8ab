"""Everything between us and Vault, and is the only place that knows hvac; what to store is the engine's.

session = Session(VaultConnection(address), login, clock)  -- one per process; keep_alive() runs beside it
kv = Kv(session)                                           -- the SecretStore port
journal = VaultJournal(kv, mount, prefix)                  -- the Journal port, and meta()
findings = await preflight(kv, places, needed)             -- before any work
"""
