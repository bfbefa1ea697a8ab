"""The conformance kit: the promises a provider makes to the engine, as rules that are tried on a real target.

It needs no Vault: the engine runs over documents in memory. What a rule may use is kit.py's; the list is rules.py's.
"""
