"""The connection to Vault: login, KV documents, journal, Transit. The only import of hvac.

session = Session(VaultConnection(address), login, clock)  -- one per process; keep_alive() runs beside it
kv = Kv(session)                                           -- the SecretStore port
journal = VaultJournal(kv, mount, prefix)                  -- the Journal port, and meta()
findings = await preflight(kv, places, needed)             -- before any work
"""
