"""The work and the output of commands, for socket and shell alike, without click."""
