"""The campaign of hostile HTTP: every behaviour of a bad server at every place where we call one."""
