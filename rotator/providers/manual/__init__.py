"""Credentials that a person makes and ends, on any target that answers HTTP."""
