"""The sandbox HaloITSM, one noun per file; `rotator.sandbox.halo_itsm` is its face."""
