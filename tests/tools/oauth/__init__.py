"""Real OAuth servers, tried by hand: nothing in here is collected as a test."""
