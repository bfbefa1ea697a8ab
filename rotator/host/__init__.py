"""Services of this machine: sockets, files, locks, threads, TLS files, cron and clock; nothing here waits for ever."""
