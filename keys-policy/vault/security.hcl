# What the security team may do: make and rewrap keys without seeing one, and give the key-encryption key a new version.
path "transit/datakey/wrapped/candado" {
  capabilities = ["update"]
}
path "transit/rewrap/candado" {
  capabilities = ["update"]
}
path "transit/keys/candado" {
  capabilities = ["read"]
}
path "transit/keys/candado/rotate" {
  capabilities = ["update"]
}

# These would show keys in the clear. A deny wins over whatever another policy of the same token allows.
path "transit/datakey/plaintext/candado" {
  capabilities = ["deny"]
}
path "transit/decrypt/candado" {
  capabilities = ["deny"]
}
path "transit/export/+/candado" {
  capabilities = ["deny"]
}
path "transit/backup/candado" {
  capabilities = ["deny"]
}
