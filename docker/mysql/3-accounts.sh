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
CREATE USER IF NOT EXISTS 'shop'@'%' IDENTIFIED BY $(quoted "$SHOP_PASSWORD");
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO 'shop'@'%';
SQL
