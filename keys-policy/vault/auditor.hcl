# What the auditor may do (`candado audit verify`): open the audit key, and ask what kind of key the key-encryption key is.
path "transit/decrypt/candado" {
  capabilities = ["update"]
  allowed_parameters = {
    "ciphertext" = []
    "context" = ["AAAAAAAAAANhcHAAAAAAAAAAB2NhbmRhZG8AAAAAAAAACmRlcGxveW1lbnQAAAAAAAAAJDAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMAAAAAAAAAAGa2V5c2V0AAAAAAAAAAdjYW5kYWRv*"]
  }
}
path "transit/keys/candado" {
  capabilities = ["read"]
}
