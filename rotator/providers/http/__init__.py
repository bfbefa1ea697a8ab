"""HTTP towards targets: the client, its authentication, rate limit and transport."""
