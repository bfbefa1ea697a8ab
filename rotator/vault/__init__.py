"""Owns everything between us and Vault, and is the only place that knows hvac; what to store is the engine's.

login = approle(role_id, secret_id)                     # login.py: token, approle, kubernetes, jwt, certificate
session = Session(VaultConnection(address), login, clock)   # session.py: one per process; run keep_alive() beside it
kv = Kv(session)                                        # kv.py: the SecretStore port
journal = VaultJournal(kv, mount, prefix)               # journal.py: the Journal port, and meta()
findings = await preflight(kv, consumer_places, needed) # preflight.py: before any work
"""
