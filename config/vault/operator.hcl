# For a person setting rotator up or mending it, never for the daemon. It grants no secret value: neither the staged
# candidates nor the published secrets can be read with it.

# bao kv metadata put -mount=secret -max-versions=1 -cas-required rotator/staged/NAME
# bao kv metadata put -mount=secret -max-versions=20 -cas-required rotator/journal/NAME
path "secret/metadata/rotator/*"         { capabilities = ["create", "update", "read", "list"] }

# bao kv get -mount=secret rotator/journal/NAME; bao kv undelete -mount=secret -versions=N rotator/journal/NAME
path "secret/data/rotator/journal/*"     { capabilities = ["read"] }
path "secret/undelete/rotator/journal/*" { capabilities = ["update"] }

# max_versions and delete_version_after of mount and keys.
path "secret/config"                     { capabilities = ["read"] }
path "secret/metadata/apps/+/halo"       { capabilities = ["read"] }
