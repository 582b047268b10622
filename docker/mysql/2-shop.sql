-- The application's database. The protected columns are what `candado check` asks for: wide enough for an envelope,
-- guarded against plaintext, and indexed over the blind index.
CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS shop.customers (
    id      INT             NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name    VARCHAR(100)    NOT NULL,
    phone   VARBINARY(180)  NULL,
    address VARBINARY(1076) NULL,
    KEY candado_customers_phone_index (phone(23)),
    CONSTRAINT candado_customers_phone_sealed CHECK (phone IS NULL OR SUBSTRING(phone, 1, 4) = 0xC1FE1D01),
    CONSTRAINT candado_customers_address_sealed CHECK (address IS NULL OR SUBSTRING(address, 1, 4) = 0xC1FE1D01)
);
