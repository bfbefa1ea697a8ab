"""The actor (session, engine, observers) and the processes that use it: daemon, commands, control socket, systemd."""
