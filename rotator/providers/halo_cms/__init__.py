"""Personal access tokens of a Halo CMS."""
