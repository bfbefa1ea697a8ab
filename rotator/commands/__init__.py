"""What commands do and print, for socket and shell alike, without click."""
