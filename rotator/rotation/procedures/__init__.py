"""One procedure for each step: the calls that it makes, and the event that their answers lead to."""
