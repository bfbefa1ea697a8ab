"""Secrets must not turn up anywhere: what counts as turning up, and the places that are searched."""
