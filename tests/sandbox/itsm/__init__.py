"""The sandbox HaloITSM, one noun per file; `tests.sandbox.halo_itsm` is its face."""
