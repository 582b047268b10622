#!/usr/bin/env bash
# What real software says to a server, as general logs, and what the firewall says of it. Not part of CI.
#
#   capture.sh FOLDER [PART..]     parts: dump mycli sysbench peewee django sqlalchemy tpcc shop attacks sqlmap
#                                  (default: all but the last two)
#
# FOLDER gets one log and one report (PART.log, PART.json) for each part. Test suites of libraries come from their source
# packages; some of their tests fail on some servers, which does not matter here. `shop` is what the vulnerable shop's own
# tests send, `attacks` has an attack by hand on each of its injection points besides, and `sqlmap` what sqlmap sends
# (SECONDS_POINT at most for each point). CANDADO is the program (default: target/debug/candado).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PARTS=(dump mycli sysbench peewee django sqlalchemy tpcc shop)
HOSTILE=(attacks sqlmap)
PACKAGES=(setuptools==80.9.0 PyMySQL==1.2.4 mysqlclient==2.3.1 cryptography==50.0.2 pytest==9.2.0 peewee==4.5.3 Django==5.2.19
    SQLAlchemy==2.1.9 mycli==2.30.1)
# Longer suites are cut: what they say by then is enough.
SECONDS_MAX=${SECONDS_MAX:-240}
SECONDS_POINT=${SECONDS_POINT:-60}

[ $# -gt 0 ] || die "a folder is needed"
FOLDER=$(realpath -m "$1")
shift
[ $# -gt 0 ] || set -- "${PARTS[@]}"
CANDADO=${CANDADO:-$SUPPORT/../../target/debug/candado}
PYTHON=$CANDADO_CACHE/capture

make_python() {
    [ "$(cat "$PYTHON/made-from" 2>/dev/null)" != "${PACKAGES[*]}" ] || return 0
    rm -rf "$PYTHON"
    python3 -m venv "$PYTHON"
    "$PYTHON/bin/pip" install --quiet --disable-pip-version-check "${PACKAGES[@]}" >&2
    local package
    for package in Django SQLAlchemy; do
        local version=${package}==$("$PYTHON/bin/pip" show "$package" | sed -n 's/^Version: //p')
        "$PYTHON/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$PYTHON/src" "$version" >&2
    done
    (cd "$PYTHON/src" && for file in *.tar.gz; do tar xzf "$file"; done)
    echo "${PACKAGES[*]}" >"$PYTHON/made-from"
}

# source NAME prints the folder of an unpacked source package.
source_of() {
    find "$PYTHON/src" -maxdepth 1 -type d -iname "$1-*" -print -quit
}

part_dump() {
    $CLIENT -e "CREATE DATABASE dumped; USE dumped; CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b BLOB);
        INSERT INTO t VALUES (1, 'x', x'00'), (2, NULL, NULL); CREATE VIEW v AS SELECT a FROM t WHERE id > 1 OR a = 'x';
        CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 'y';
        CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END //" --delimiter=// 2>/dev/null ||
        $CLIENT -e "CREATE DATABASE IF NOT EXISTS dumped; USE dumped; CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20))"
    local options
    for options in "" "--single-transaction --routines --events --triggers" "--all-databases" "--hex-blob --where=id>0"; do
        local program
        for program in "$BIN/mysqldump" "$CANDADO_CACHE/mariadb/candado-bin/mariadb-dump"; do
            [ -x "$program" ] || continue
            local of=dumped
            [ "$options" != --all-databases ] || of=
            # shellcheck disable=SC2086
            "$program" --host=127.0.0.1 --port="$PORT" --user=root $options $of >"$FOLDER/dumped.sql" 2>/dev/null || true
            $CLIENT dumped <"$FOLDER/dumped.sql" >/dev/null 2>&1 || true
        done
    done
    rm -f "$FOLDER/dumped.sql"
}

part_mycli() {
    $CLIENT -e "CREATE DATABASE IF NOT EXISTS shelled; USE shelled; CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY, a TEXT)"
    printf '%s\n' 'show tables;' 'describe t;' 'select * from t;' '\dt' '\l' '\s' 'explain select a from t where id = 1;' |
        HOME=$FOLDER "$PYTHON/bin/mycli" --host 127.0.0.1 --port "$PORT" --user root --no-warn shelled >/dev/null 2>&1 || true
}

part_sysbench() {
    $CLIENT -e "CREATE DATABASE loaded; CREATE USER loaded@'%' IDENTIFIED BY ''; GRANT ALL ON loaded.* TO loaded@'%'"
    local test
    for test in oltp_read_write oltp_update_index oltp_delete select_random_ranges select_random_points bulk_insert; do
        local step
        for step in prepare run cleanup; do
            sysbench "$test" --mysql-host=127.0.0.1 --mysql-port="$PORT" --mysql-user=root --mysql-db=loaded --tables=2 \
                --table-size=100 --events=200 --time=10 --db-ps-mode=disable "$step" >/dev/null 2>&1 || true
        done
    done
}

part_peewee() {
    $CLIENT -e "CREATE DATABASE peewee_test"
    # Its source package has no tests.
    "$PYTHON/bin/python" "$SUPPORT/capture_peewee.py" "$PORT" >"$FOLDER/peewee.out" 2>&1 || true
    "$PYTHON/bin/python" -m pwiz -e mysql -H 127.0.0.1 -p "$PORT" -u root peewee_test >>"$FOLDER/peewee.out" 2>&1 </dev/null || true
}

part_django() {
    local tests
    tests=$(source_of Django)/tests
    cat >"$tests/candado_settings.py" <<SETTINGS
DATABASES = {name: {"ENGINE": "django.db.backends.mysql", "NAME": name, "USER": "root", "HOST": "127.0.0.1",
                    "PORT": "$PORT", "TEST": {"CHARSET": "utf8mb4"}} for name in ("default", "other")}
SECRET_KEY = "only for tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = False
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
SETTINGS
    (cd "$tests" && timeout "$SECONDS_MAX" "$PYTHON/bin/python" runtests.py --parallel=1 --settings=candado_settings --noinput \
        lookup queries aggregation expressions expressions_case annotations many_to_many update delete introspection \
        inspectdb or_lookups ordering basic select_related bulk_create db_functions admin_changelist \
        >"$FOLDER/django.out" 2>&1) || true
}

part_sqlalchemy() {
    $CLIENT -e "CREATE DATABASE test; CREATE DATABASE test_schema; CREATE DATABASE test_schema_2" || true
    (cd "$(source_of SQLAlchemy)" && timeout "$SECONDS_MAX" "$PYTHON/bin/python" -m pytest -q -p no:cacheprovider \
        --dburi "mysql+pymysql://root@127.0.0.1:$PORT/test?charset=utf8mb4" test/dialect/mysql test/dialect/test_suite.py \
        test/sql/test_query.py test/orm/test_query.py test/engine/test_reflection.py >"$FOLDER/sqlalchemy.out" 2>&1) || true
}

part_tpcc() {
    "$SUPPORT/setup.sh" python
    $CLIENT -e "CREATE DATABASE tpcc"
    "$CANDADO_CACHE/python/bin/python" "$SUPPORT/tpcc.py" "$PORT" >"$FOLDER/tpcc.out" 2>&1 || true
}

# shop PROGRAM STATE starts the vulnerable shop before the server, as an account without a proxy.
shop() {
    $CLIENT -e "CREATE DATABASE shop; USE shop;
        CREATE TABLE products (id INT PRIMARY KEY, name VARCHAR(100), category VARCHAR(100), price INT, stock INT);
        CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(100), password VARCHAR(100), nickname VARCHAR(4000));
        CREATE TABLE comments (id INT AUTO_INCREMENT PRIMARY KEY, product INT, author VARCHAR(4000), text TEXT);
        CREATE TABLE visitors (id INT PRIMARY KEY, name TEXT);
        CREATE TABLE secrets (id INT PRIMARY KEY, token VARCHAR(100));
        CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(100), phone VARCHAR(40), address VARCHAR(255));
        CREATE USER shop IDENTIFIED BY 'shop'; GRANT ALL ON shop.* TO shop"
    CANDADO_HOST=127.0.0.1 CANDADO_PORT=$PORT CANDADO_USER=shop CANDADO_PASSWORD=shop CANDADO_DATABASE=shop \
        CANDADO_SQLMAP=$SECONDS_POINT "$CLIENTS/vulnerable/run.sh" "$@" >"$FOLDER/$1-$2.out" 2>&1 || true
}

part_shop() { shop functional honest; }

part_attacks() { shop functional open; }

# `guarded` has the tamper scripts, too; here nothing guards, and what it ends with does not matter.
part_sqlmap() { shop sqlmap guarded; }

mkdir -p "$FOLDER"
for part in "$@"; do
    declare -F "part_$part" >/dev/null || die "unknown part '$part'; parts are ${PARTS[*]} ${HOSTILE[*]}"
    case $part in mycli | peewee | django | sqlalchemy) once capture make_python ;; esac
    rm -f "$FOLDER/$part.log"
    server=$(mktemp -d)
    "$SUPPORT/server.sh" start mysql "$server/db" --parent $$ --general-log=1 --general-log-file="$FOLDER/$part.log" >"$server/env"
    # shellcheck disable=SC1091
    . "$server/env"
    say "$part"
    "part_$part"
    "$SUPPORT/server.sh" stop "$server/db" >/dev/null 2>&1 || true
    rm -rf "$server"
    # Ends with 1 if something is refused.
    "$CANDADO" firewall test --general-log --file "$FOLDER/$part.log" --json >"$FOLDER/$part.json" || true
    python3 - "$part" "$FOLDER/$part.json" <<'TABLE'
import json, sys
part, path = sys.argv[1:]
report = json.load(open(path))
print(f"{part:12}{report['statements']:8} statements {report['digests']:6} digests {len(report['refused']):4} refused")
for hit in report["refused"]:
    print(f"    {hit['rule']:20}{hit['count']:6} x  {(hit.get('text') or '(cannot be read)')[:160]}")
TABLE
done
