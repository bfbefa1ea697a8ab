"""One file per group of settings sections."""
