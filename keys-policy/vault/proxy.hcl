# What `candado serve` may do: open keys, and ask what kind of key the key-encryption key is.
path "transit/decrypt/candado" {
  capabilities = ["update"]
}
path "transit/keys/candado" {
  capabilities = ["read"]
}
