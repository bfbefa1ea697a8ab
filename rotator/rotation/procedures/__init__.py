"""The procedure of each step: which calls it makes, and by their answers which event it ends in. Pure, as all here."""
