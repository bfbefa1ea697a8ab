"""The sandbox Halo CMS, one noun per file; `rotator.sandbox.halo_cms` is its face."""
