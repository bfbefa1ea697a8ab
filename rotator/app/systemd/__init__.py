"""The service manager: sd_notify, the watchdog's signs of life, the status line."""
