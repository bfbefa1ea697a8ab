"""HTTP to targets: the client, authentication, rate limit, transport."""
