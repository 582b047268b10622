# What the security team may do: make and rewrap keys without seeing one, open the audit key, and give the key-encryption key
# a new version.
path "transit/datakey/wrapped/candado" {
  capabilities = ["update"]
}
# The audit key and no other: the context is base64 of the deployment and the keyset `candado` (README.md says how it is made).
path "transit/decrypt/candado" {
  capabilities = ["update"]
  allowed_parameters = {
    "ciphertext" = []
    "context" = ["AAAAAAAAAANhcHAAAAAAAAAAB2NhbmRhZG8AAAAAAAAACmRlcGxveW1lbnQAAAAAAAAAJDAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMAAAAAAAAAAGa2V5c2V0AAAAAAAAAAdjYW5kYWRv*"]
  }
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
path "transit/export/+/candado" {
  capabilities = ["deny"]
}
path "transit/backup/candado" {
  capabilities = ["deny"]
}
