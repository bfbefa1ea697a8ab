# What the daemon may do, and nothing more. Tested against OpenBao 2.7.2 without the `default` policy: each capability
# is needed by a named operation, so none can be taken away.
#
# `rotate policy` prints it for the settings as they are. By hand, adapt: the mount (`secret`), the prefix (`rotator`),
# and one line per published credential. "+" stands for one path segment; a trailing "*" on a consumer path would let
# the daemon write beside your secrets, so don't.

# The published secrets. Foreign keys in them are read, kept and written back.
path "secret/data/apps/+/halo"           { capabilities = ["create", "update", "read"] }

# Their limits (max_versions, delete_version_after): versions that are still needed must not vanish.
path "secret/metadata/apps/+/halo"       { capabilities = ["read"] }
path "secret/config"                     { capabilities = ["read"] }

# Records and leases, one per credential; no secrets in them. The daemon never deletes them.
path "secret/data/rotator/journal/*"     { capabilities = ["create", "update", "read"] }
path "secret/metadata/rotator/journal/*" { capabilities = ["list"] }

# Candidates, between minting and publication. Nobody else should be able to read these.
path "secret/data/rotator/staged/*"      { capabilities = ["create", "update", "read"] }
path "secret/destroy/rotator/staged/*"   { capabilities = ["update"] }

# What operators asked for and nobody has taken up yet; removed once a record knows it.
path "secret/data/rotator/wish/*"        { capabilities = ["create", "update", "read"] }
path "secret/metadata/rotator/wish/*"    { capabilities = ["list", "delete"] }

# Pauses of the whole installation.
path "secret/data/rotator/fleet"         { capabilities = ["create", "update", "read"] }

# Heartbeats; writing one is also how a read makes sure that it is not stale. Those of daemons gone for a day are removed.
path "secret/data/rotator/node/*"        { capabilities = ["create", "update", "read"] }
path "secret/metadata/rotator/node/*"    { capabilities = ["list", "delete"] }

# The installation's lineage and fingerprint key, made once.
path "secret/data/rotator/meta"          { capabilities = ["create", "read"] }

# The pre-flight's table of what this policy lacks.
path "sys/capabilities-self"             { capabilities = ["update"] }

# Its own token: tell "dead" from "not allowed", renew it, end it at shutdown.
path "auth/token/lookup-self"            { capabilities = ["read"] }
path "auth/token/renew-self"             { capabilities = ["update"] }
path "auth/token/revoke-self"            { capabilities = ["update"] }

# When the secret-id that it logs in with ends, and how many uses are left (whoever asks must know it).
path "auth/approle/role/+/secret-id/lookup" { capabilities = ["update"] }

# Signing keys that stay in Transit (`transit_key`): look at the public half, sign. Two lines per key, when you have any;
# the third for a key that is rotated there (kinds assertion-key, halo-assertion-key). An operator makes it:
# `bao write -f transit/keys/crm type=rsa-3072`, never exportable.
# path "transit/keys/crm" { capabilities = ["read"] }
# path "transit/sign/crm" { capabilities = ["update"] }
# path "transit/keys/crm/rotate" { capabilities = ["update"] }
