"""API keys, client secrets and assertion keys of HaloITSM applications; builds on oauth."""
