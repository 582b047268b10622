# What `candado serve` may do: open keys of columns, and ask what kind of key the key-encryption key is. The context that it
# may not name is that of the audit key: base64 of the deployment and the keyset `candado` (README.md says how it is made).
path "transit/decrypt/candado" {
  capabilities = ["update"]
  denied_parameters = {
    "batch_input" = []
    "context" = ["AAAAAAAAAANhcHAAAAAAAAAAB2NhbmRhZG8AAAAAAAAACmRlcGxveW1lbnQAAAAAAAAAJDAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMAAAAAAAAAAGa2V5c2V0AAAAAAAAAAdjYW5kYWRv*"]
  }
}
path "transit/keys/candado" {
  capabilities = ["read"]
}
