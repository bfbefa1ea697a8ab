"""One actor and the process around it: composition, daemon, control socket, service manager."""
