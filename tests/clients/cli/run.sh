#!/usr/bin/env bash
# The command-line clients `mysql` and `mariadb`, and their dump programs, through the proxy.
# ../python/settings.py says which variables it needs; CANDADO_DATABASE_plain is made and filled here.
# With --plain everything goes straight to the server.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../support/lib.sh"
"$SUPPORT/setup.sh" mysql mariadb

PLAIN=${1:-}
DIRECT_HOST=${CANDADO_DIRECT_HOST:-127.0.0.1}
DIRECT_PORT=${CANDADO_DIRECT_PORT:?}
if [ "$PLAIN" = --plain ]; then
    HOST=$DIRECT_HOST PORT=$DIRECT_PORT
else
    HOST=${CANDADO_PROXY_HOST:-127.0.0.1} PORT=${CANDADO_PROXY_PORT:?}
fi
DATABASE=${CANDADO_DATABASE:?}
REFERENCE=${DATABASE}_plain
APP_USER=${CANDADO_USER:?}
# Passwords on a command line would be seen by everybody, and both clients warn of it.
export APP_PASSWORD=${CANDADO_PASSWORD:-} ADMIN_PASSWORD=${CANDADO_DIRECT_PASSWORD:-}
MYSQL=$(bin_dir mysql) MARIADB=$(bin_dir mariadb)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
CHECKS=0 FAILURES=0

# options PROGRAM prints the options that one client family needs, one per line.
options() {
    printf '%s\n' --no-defaults --protocol=TCP --default-character-set=utf8mb4
    case $1:${CANDADO_CA:+tls} in
    mysql*:tls) printf '%s\n' --ssl-mode=VERIFY_IDENTITY --ssl-ca="$CANDADO_CA" ;;
    mysql*:) printf '%s\n' --ssl-mode=DISABLED --get-server-public-key ;;
    mariadb*:tls) printf '%s\n' --ssl --ssl-ca="$CANDADO_CA" --ssl-verify-server-cert ;;
    esac
}

# client PROGRAM HOST PORT ARGUMENTS.. runs a client as the application's account.
client() {
    local program=$1 host=$2 port=$3 folder=$MYSQL extra
    shift 3
    case $program in mariadb*) folder=$MARIADB ;; esac
    mapfile -t extra < <(options "$program")
    MYSQL_PWD=$APP_PASSWORD "$folder/$program" "${extra[@]}" --host="$host" --port="$port" --user="$APP_USER" "$@"
}

# administrator ARGUMENTS.. runs the mariadb client directly; it speaks to both kinds of server.
administrator() {
    MYSQL_PWD=$ADMIN_PASSWORD "$MARIADB/mariadb" --no-defaults --protocol=TCP \
        --default-character-set=utf8mb4 --batch --skip-column-names \
        --host="$DIRECT_HOST" --port="$DIRECT_PORT" --user="${CANDADO_DIRECT_USER:-root}" "$@"
}

# same NAME EXPECTED FOUND compares two files.
same() {
    CHECKS=$((CHECKS + 1))
    if ! diff -u --label expected --label found "$2" "$3" >"$WORK/diff"; then
        FAILURES=$((FAILURES + 1))
        echo "FAILED: $1"
        head -n 40 "$WORK/diff"
    fi
}

# run_statements PROGRAM HOST PORT DATABASE prints what the client shows, errors included, without
# the one line of --column-type-info that must differ.
run_statements() {
    { client "$1" "$2" "$3" --table --column-type-info "$4" <"$WORK/statements.sql" || true; } 2>&1 |
        grep -v '^Database:'
}

prepare() {
    local table='(id INT PRIMARY KEY, name VARCHAR(100), phone VARCHAR(40), address VARCHAR(255), note TEXT, KEY ix_customers_phone (phone))'
    administrator --execute="
        CREATE DATABASE IF NOT EXISTS \`$REFERENCE\`;
        CREATE DATABASE IF NOT EXISTS \`${REFERENCE}_copy\`;
        DROP TABLE IF EXISTS \`$REFERENCE\`.customers, \`$REFERENCE\`.orders;
        CREATE TABLE \`$REFERENCE\`.customers $table CHARACTER SET utf8mb4;
        CREATE TABLE \`$REFERENCE\`.orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, placed DATETIME(6),
            amount DECIMAL(12,2), paid TINYINT(1), body LONGBLOB, remark TEXT, KEY (customer)) CHARACTER SET utf8mb4;
        INSERT INTO \`$REFERENCE\`.orders (customer, placed, amount, paid, body, remark) VALUES
            (1, '2024-02-29 23:59:59.123456', 10.50, 1, X'00FF27225C0A', 'O''Brien \\\\ 😀'),
            (2, NULL, -0.01, NULL, '', NULL), (3, '1999-12-31', 0, 0, REPEAT('x', 100000), '');"
    if [ "$PLAIN" = --plain ]; then
        administrator --execute="DROP TABLE IF EXISTS \`$DATABASE\`.customers;
            CREATE TABLE \`$DATABASE\`.customers $table CHARACTER SET utf8mb4;"
    fi
    local hosts host
    mapfile -t hosts < <(administrator --execute="SELECT Host FROM mysql.user WHERE User = '$APP_USER'")
    for host in "${hosts[@]}"; do
        administrator --execute="GRANT ALL ON \`$REFERENCE\`.* TO '$APP_USER'@'$host';
            GRANT ALL ON \`${REFERENCE}_copy\`.* TO '$APP_USER'@'$host'"
    done
}

# The same statements give the same text and the same column metadata, protected or not.
check_statements() {
    local program=$1
    cat >"$WORK/statements.sql" <<'SQL'
DELETE FROM customers;
INSERT INTO customers (id, name, phone, address, note) VALUES
    (1, 'Ana', '+34 600 000 001', 'Calle Mayor 1', 'first'), (2, 'Null', NULL, NULL, NULL), (3, 'Empty', '', '', ''),
    (4, '😀', '+81 90 1234 5678', '東京都千代田区 😀', 'O''Brien \\ "x"');
SELECT id, name, phone, address, note FROM customers ORDER BY id;
SELECT name FROM customers WHERE phone = '+81 90 1234 5678';
SELECT id FROM customers WHERE phone IN ('+34 600 000 001', '+81 90 1234 5678') ORDER BY id;
SELECT id FROM customers WHERE phone IS NULL;
UPDATE customers SET address = 'moved', phone = '+34 600 000 009' WHERE phone = '+34 600 000 001';
SELECT id, address AS home FROM customers WHERE phone = '+34 600 000 009';
DELETE FROM customers WHERE phone = '';
SELECT COUNT(*) FROM customers;
SELECT 'still here' AS said;
SQL
    run_statements "$program" "$DIRECT_HOST" "$DIRECT_PORT" "$REFERENCE" >"$WORK/expected"
    run_statements "$program" "$HOST" "$PORT" "$DATABASE" >"$WORK/found"
    grep -q 'still here' "$WORK/expected" || die "$program cannot run the statements directly: $(tail -n 3 "$WORK/expected")"
    same "$program: statements on customers" "$WORK/expected" "$WORK/found"
}

# An error of the server reaches the client unchanged and the connection goes on.
check_errors() {
    local program=$1
    # --force goes on with the next line after an error.
    printf '%s;\n' 'SELECT nothing FROM orders' 'SELECT 1' 'SELEC' 'INSERT INTO orders (id) VALUES (1)' 'SELECT 2' \
        >"$WORK/errors.sql"
    client "$program" "$DIRECT_HOST" "$DIRECT_PORT" --force --batch "$REFERENCE" <"$WORK/errors.sql" >"$WORK/expected" 2>&1 || true
    client "$program" "$HOST" "$PORT" --force --batch "$REFERENCE" <"$WORK/errors.sql" >"$WORK/found" 2>&1 || true
    grep -q 'ERROR 1062' "$WORK/expected" || die "$program did not show the errors directly"
    same "$program: errors" "$WORK/expected" "$WORK/found"
}

# EXPLAIN CANDADO is answered by the proxy, as any result.
check_explain() {
    local program=$1
    [ "$PLAIN" != --plain ] || return 0
    printf '%s\t%s\n' outcome rewritten sent 'SELECT id FROM customers WHERE (phone >= <tag> AND phone < <tag+1>)' \
        index "$DATABASE.customers.phone" >"$WORK/expected"
    client "$program" "$HOST" "$PORT" --batch --skip-column-names "$DATABASE" \
        --execute="EXPLAIN CANDADO SELECT id FROM customers WHERE phone = '+34 600 000 009'" >"$WORK/found" 2>&1 || true
    same "$program: EXPLAIN CANDADO" "$WORK/expected" "$WORK/found"
}

# A dump of an unprotected table is byte for byte the same, and can be read back through the proxy.
check_dump() {
    local program=$1 reader=$2
    shift 2
    if ! client "$program" "$DIRECT_HOST" "$DIRECT_PORT" --skip-comments --no-tablespaces "$@" "$REFERENCE" orders \
        >"$WORK/expected" 2>"$WORK/error"; then
        echo "$program cannot dump this server, not checked: $(head -n 1 "$WORK/error")"
        return
    fi
    client "$program" "$HOST" "$PORT" --skip-comments --no-tablespaces "$@" "$REFERENCE" orders \
        >"$WORK/found" 2>"$WORK/error" || cat "$WORK/error"
    same "$program: dump" "$WORK/expected" "$WORK/found"
    client "$reader" "$HOST" "$PORT" "${REFERENCE}_copy" <"$WORK/found" || true
    client "$program" "$DIRECT_HOST" "$DIRECT_PORT" --skip-comments --no-tablespaces "$@" "${REFERENCE}_copy" orders \
        >"$WORK/found" 2>"$WORK/error" || cat "$WORK/error"
    same "$program: dump, read back by $reader" "$WORK/expected" "$WORK/found"
    DUMPS=$((${DUMPS:-0} + 1))
}

prepare
for program in mysql mariadb; do
    check_statements "$program"
    check_errors "$program"
    check_explain "$program"
done
check_dump mysqldump mysql --set-gtid-purged=OFF
check_dump mariadb-dump mariadb
[ "${DUMPS:-0}" -gt 0 ] || die "no dump program works with this server"
echo "command-line clients: $CHECKS checks, $FAILURES failures"
[ "$FAILURES" -eq 0 ]
