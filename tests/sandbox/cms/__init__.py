"""The sandbox Halo CMS, one noun per file; `tests.sandbox.halo_cms` is its face."""
