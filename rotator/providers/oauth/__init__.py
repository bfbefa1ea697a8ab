"""OAuth servers: access tokens, refresh tokens, client assertions and assertion keys."""
