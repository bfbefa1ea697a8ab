"""The conformance kit: the promises of a provider to the engine, as rules that are tried on a real target.

It needs no Vault: the engine runs on documents in memory. conformance.py lists the rules, kit.py is what they use.
"""
