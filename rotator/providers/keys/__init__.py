"""Signing keys, key pairs, client assertions and JWK Sets."""
