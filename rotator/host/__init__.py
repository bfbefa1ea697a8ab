"""What this machine gives: sockets to listen on, files, locks and threads; nothing here waits for ever."""
