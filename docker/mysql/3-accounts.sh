#!/bin/bash
# Run once by the image, after 1-schema.sql: gives the accounts their passwords from the environment.
set -euo pipefail

# quoted TEXT prints it as an SQL string.
quoted() {
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\'\'}"
}

mysql --user=root --password="$MYSQL_ROOT_PASSWORD" <<SQL
ALTER USER 'candado_proxy'@'%' IDENTIFIED BY $(quoted "$CONTROL_PASSWORD") ACCOUNT UNLOCK;
ALTER USER 'candado_security'@'%' IDENTIFIED BY $(quoted "$SECURITY_PASSWORD") ACCOUNT UNLOCK;
CREATE USER IF NOT EXISTS 'shop_backend'@'%' IDENTIFIED BY $(quoted "$BACKEND_PASSWORD");
CREATE USER IF NOT EXISTS 'shop_support'@'%' IDENTIFIED BY $(quoted "$SUPPORT_PASSWORD");
CREATE USER IF NOT EXISTS 'shop_engineer'@'%' IDENTIFIED BY $(quoted "$ENGINEER_PASSWORD");
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO 'shop_backend'@'%';
GRANT SELECT, INSERT, UPDATE ON shop.* TO 'shop_support'@'%';
GRANT SELECT ON shop.* TO 'shop_engineer'@'%';
SQL
