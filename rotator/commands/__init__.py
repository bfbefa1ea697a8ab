"""What verbs do and say, for socket and shell alike; no click here."""
