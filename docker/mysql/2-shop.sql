-- The application's database. The protected columns are what `candado check` asks for: wide enough for an envelope,
-- guarded against plaintext, and indexed over the blind index.
CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS shop.customers (
    id            INT             NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name          VARCHAR(100)    NOT NULL,
    phone         VARBINARY(180)  NOT NULL,
    email         VARBINARY(836)  NOT NULL,
    address       VARBINARY(1076) NOT NULL,
    city          VARCHAR(60)     NOT NULL,
    password_hash VARBINARY(1076) NOT NULL,
    KEY customers_phone (phone(23)),
    UNIQUE KEY customers_email (email(23)),
    CONSTRAINT candado_customers_phone_sealed CHECK (phone IS NULL OR SUBSTRING(phone, 1, 4) = 0xC1FE1D01),
    CONSTRAINT candado_customers_email_sealed CHECK (email IS NULL OR SUBSTRING(email, 1, 4) = 0xC1FE1D01),
    CONSTRAINT candado_customers_address_sealed CHECK (address IS NULL OR SUBSTRING(address, 1, 4) = 0xC1FE1D01),
    CONSTRAINT candado_customers_password_hash_sealed CHECK (password_hash IS NULL OR SUBSTRING(password_hash, 1, 4) = 0xC1FE1D01)
);

CREATE TABLE IF NOT EXISTS shop.calls (
    id        INT            NOT NULL AUTO_INCREMENT PRIMARY KEY,
    phone     VARBINARY(180) NOT NULL,
    reason    VARCHAR(60)    NOT NULL,
    called_at DATETIME       NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY calls_phone (phone(23)),
    CONSTRAINT candado_calls_phone_sealed CHECK (phone IS NULL OR SUBSTRING(phone, 1, 4) = 0xC1FE1D01)
);

CREATE TABLE IF NOT EXISTS shop.orders (
    id          INT            NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id INT            NOT NULL,
    item        VARCHAR(100)   NOT NULL,
    price       DECIMAL(10, 2) NOT NULL,
    placed_at   DATETIME       NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (customer_id) REFERENCES shop.customers (id)
);
