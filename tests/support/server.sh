#!/usr/bin/env bash
# Private database servers for tests, demo and benchmarks.
#
#   server.sh start mysql|mariadb DIR [--parent PID] [--port PORT] [server options..]
#   server.sh stop DIR       ends the server in good order
#   server.sh kill DIR       ends it at once, as a crash would
#
# `start` makes DIR, copies a data directory into DIR/data that was initialised once, starts
# the server on a free port of 127.0.0.1, waits until it answers, writes DIR/env and prints it.
# DIR/env has one NAME=value per line without quotes or spaces:
#
#   HOST PORT SOCKET PID DATADIR KIND VERSION
#   CLIENT   starts the server's command-line client as root; further arguments go to it
#   BIN      folder with this kind's programs (mysqldump, mariadb-dump, mysqlrouter ..)
#   CA       authority of the server's certificate, which names 127.0.0.1 and localhost
#   FILES    the folder that LOAD DATA INFILE and INTO OUTFILE may use
#
# `root` has no password on 127.0.0.1. The binary log and the general log are off; options
# such as --log-bin=binlog --server-id=1 or --general-log=1 --general-log-file=general.log
# switch them on, relative to DATADIR. Later options win over the ones set here.
# `start` on a DIR that had a server before starts it again with the same data and port.
# With --parent the server is killed, and its data removed, as soon as that process is gone.
# The server's messages are in DIR/error.log. Nothing needs root, chroot or mounts.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Raised when the contents of a freshly initialised data directory change.
TEMPLATE_REVISION=1
# Polls of 50 ms: a minute, for machines that do other things.
START_POLLS_MAX=1200
STOP_POLLS_MAX=600
PORT_TRIES_MAX=10

# started PID prints when a process started, which together with its id names it for good.
started() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The command's name may hold spaces; the fields after its bracket do not.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    # A zombie has ended; nobody has asked for its exit code yet.
    [ "$1" != Z ] && echo "${20}"
}

# alive PID STARTED is true while exactly this process runs.
alive() {
    [ "$(started "$1")" = "$2" ]
}

# value NAME DIR prints one value from DIR/env.
value() {
    sed -n "s/^$1=//p" "$2/env" 2>/dev/null
}

# base_options KIND BIN prints the options that find a server's own files, one per line.
base_options() {
    local root
    echo --no-defaults
    root=$(cd "$2/.." && pwd)
    [ -d "$root/usr/share/mysql/charsets" ] || return 0
    echo "--basedir=$root/usr"
    echo "--lc-messages-dir=$root/usr/share/mysql"
    echo "--character-sets-dir=$root/usr/share/mysql/charsets"
    if [ "$1" = mysql ]; then
        echo "--plugin-dir=$root/usr/lib/mysql/plugin"
    else
        # Debian keeps MariaDB's plugins beside MySQL's.
        echo "--plugin-dir=$(find "$root"/usr/lib -type d -path '*/plugin' -print -quit)"
    fi
}

# size_options KIND prints the options that keep a data directory small and quick to copy.
size_options() {
    if [ "$1" = mysql ]; then
        printf '%s\n' --innodb-redo-log-capacity=32M --mysqlx=OFF
    else
        printf '%s\n' --innodb-log-file-size=32M --character-set-server=utf8mb4 \
            --collation-server=utf8mb4_general_ci
    fi
    printf '%s\n' --innodb-buffer-pool-size=64M --innodb-use-native-aio=0
    [ "$(id -u)" -ne 0 ] || echo --user=root
}

# make_template KIND BIN FOLDER initialises a data directory.
make_template() {
    local kind=$1 bin=$2 folder=$3 building=$3.tmp.$$ options sql
    [ ! -d "$folder" ] || return 0
    say "$kind: initialising a data directory"
    rm -rf "$building"
    mkdir -p "$building"
    mapfile -t options < <(base_options "$kind" "$bin" && size_options "$kind")
    if [ "$kind" = mysql ]; then
        printf '%s\n' "CREATE USER root@'127.0.0.1' IDENTIFIED BY '';" \
            "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;" >"$building/init.sql"
        "$bin/server" "${options[@]}" --datadir="$building/data" --initialize-insecure \
            --init-file="$building/init.sql" >"$building/log" 2>&1 </dev/null
    else
        mkdir -p "$building/data"
        sql=$bin/../usr/share/mysql
        # The order of mariadb-install-db; no anonymous accounts, root with an empty password.
        {
            printf '%s;\n' 'CREATE DATABASE IF NOT EXISTS mysql' 'USE mysql' 'SET @auth_root_socket=NULL'
            cat "$sql"/{mysql_system_tables,mysql_performance_tables,mysql_system_tables_data}.sql \
                "$sql"/{fill_help_tables,maria_add_gis_sp_bootstrap,mysql_sys_schema}.sql
            echo "DELETE FROM mysql.global_priv WHERE User = '' OR Host NOT IN ('localhost', '127.0.0.1');"
        } | "$bin/server" "${options[@]}" --datadir="$building/data" --bootstrap \
            --enforce-storage-engine= --max-allowed-packet=8M --net-buffer-length=16K \
            >"$building/log" 2>&1
    fi || {
        tail -n 40 "$building/log" >&2
        die "$kind: the data directory cannot be initialised"
    }
    # Each copy must draw its own server UUID.
    rm -f "$building/data/auto.cnf"
    mv "$building/data" "$folder"
    rm -rf "$building"
}

# template KIND BIN VERSION prints the folder of the initialised data directory.
template() {
    local folder
    folder=$CANDADO_CACHE/template/$1-$(printf '%s' "$3" | tr -c 'A-Za-z0-9.\n' _)-r$TEMPLATE_REVISION
    mkdir -p "$CANDADO_CACHE/template"
    [ -d "$folder" ] || once template make_template "$1" "$2" "$folder"
    echo "$folder"
}

# launch starts the server process in the background and sets SERVER_PID.
launch() {
    # A session of its own: a signal for the caller's process group does not reach it.
    # Descriptors above 2 belong to the caller, who may be waiting for them to close.
    local descriptor
    (
        for descriptor in /proc/self/fd/*; do
            descriptor=${descriptor##*/}
            [ "$descriptor" -le 2 ] || eval "exec $descriptor>&-"
        done
        exec setsid "$@"
    ) </dev/null >>"$DIR/error.log" 2>&1 &
    SERVER_PID=$!
    disown "$SERVER_PID"
}

# answers waits until the server gives its version and port, or is gone.
answers() {
    local polls=0 answer
    while [ $polls -lt $START_POLLS_MAX ]; do
        polls=$((polls + 1))
        if [ -S "$SOCKET" ]; then
            answer=$("$CLI" --no-defaults --socket="$SOCKET" --protocol=SOCKET --user=root --batch \
                --skip-column-names --execute='SELECT VERSION(), @@port' 2>/dev/null </dev/null || true)
            if [ "${answer#*$'\t'}" = "$1" ]; then
                VERSION=${answer%%$'\t'*}
                return 0
            fi
        fi
        started "$SERVER_PID" >/dev/null || return 1
        sleep 0.05
    done
    kill -9 "$SERVER_PID" 2>/dev/null || true
    return 1
}

free_port() {
    # Below the range from which the kernel takes ports for outgoing connections.
    local port
    while :; do
        port=$((15000 + (RANDOM * 32768 + RANDOM) % 16000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

write_env() {
    cat >"$DIR/client" <<CLIENT
#!/bin/sh
exec "$CLI" --no-defaults --protocol=TCP --host=127.0.0.1 --port=$PORT --user=root --default-character-set=utf8mb4 "\$@"
CLIENT
    chmod 755 "$DIR/client"
    cat >"$DIR/env.tmp" <<ENV
HOST=127.0.0.1
PORT=$PORT
SOCKET=$SOCKET
PID=$SERVER_PID
STARTED=$(started "$SERVER_PID")
DATADIR=$DIR/data
KIND=$KIND
VERSION=$VERSION
CLIENT=$DIR/client
BIN=$BIN
CA=$CANDADO_CACHE/tls/ca.pem
FILES=$DIR/files
ENV
    mv "$DIR/env.tmp" "$DIR/env"
}

start() {
    [ $# -ge 2 ] || die "usage: server.sh start mysql|mariadb DIR [--parent PID] [--port PORT] [options]"
    KIND=$1
    DIR=$2
    shift 2
    local parent='' wanted_port='' extra=()
    while [ $# -gt 0 ]; do
        case $1 in
        --parent) parent=${2:?--parent needs a process id} && shift 2 ;;
        --port) wanted_port=${2:?--port needs a number} && shift 2 ;;
        *) extra+=("$1") && shift ;;
        esac
    done
    case $KIND in mysql | mariadb) ;; *) die "unknown kind '$KIND'" ;; esac
    BIN=$(bin_dir "$KIND")
    if [ -z "$BIN" ]; then
        "$SUPPORT/setup.sh" "$KIND"
        BIN=$(bin_dir "$KIND")
    fi
    CLI=$BIN/$KIND
    mkdir -p "$DIR"
    DIR=$(cd "$DIR" && pwd)
    SOCKET=$DIR/socket
    case $DIR in *[[:space:]]*) die "DIR may not contain spaces: $DIR" ;; esac
    [ ${#SOCKET} -le 100 ] || die "DIR is too long for a socket's path: $DIR"
    if [ -f "$DIR/env" ]; then
        ! alive "$(value PID "$DIR")" "$(value STARTED "$DIR")" || die "a server runs already in $DIR"
        wanted_port=${wanted_port:-$(value PORT "$DIR")}
    fi

    local version
    version=$("$BIN/server" --no-defaults --version)
    if [ ! -d "$DIR/data" ]; then
        local from
        from=$(template "$KIND" "$BIN" "${version##* Ver }")
        rm -rf "$DIR/data.tmp"
        cp -a --reflink=auto --sparse=always "$from" "$DIR/data.tmp"
        mv "$DIR/data.tmp" "$DIR/data"
    fi
    # MariaDB deletes every temporary table it finds in its tmpdir when it starts, also those of other servers.
    mkdir -p "$DIR/files" "$DIR/tmp"
    [ -s "$CANDADO_CACHE/tls/ca.pem" ] || "$SUPPORT/setup.sh" tls

    local options tls=$CANDADO_CACHE/tls tries=0
    mapfile -t options < <(base_options "$KIND" "$BIN" && size_options "$KIND")
    options+=(--datadir="$DIR/data" --socket="$SOCKET" --pid-file="$DIR/pid" --bind-address=127.0.0.1
        --skip-name-resolve --skip-log-bin --secure-file-priv="$DIR/files" --tmpdir="$DIR/tmp"
        --ssl-ca="$tls/ca.pem" --ssl-cert="$tls/server-cert.pem" --ssl-key="$tls/server-key.pem")
    while :; do
        tries=$((tries + 1))
        PORT=${wanted_port:-$(free_port)}
        rm -f "$SOCKET" "$SOCKET.lock"
        launch "$BIN/server" "${options[@]}" --port="$PORT" ${extra[@]+"${extra[@]}"}
        if answers "$PORT"; then break; fi
        # Somebody else may have taken the port since it was found free.
        if [ -n "$wanted_port" ] || [ $tries -ge $PORT_TRIES_MAX ] ||
            ! tail -n 20 "$DIR/error.log" | grep -qi 'bind on TCP/IP port'; then
            tail -n 40 "$DIR/error.log" >&2
            die "$KIND did not start; its messages are in $DIR/error.log"
        fi
    done
    write_env
    if [ -n "$parent" ]; then watch "$parent"; fi
    cat "$DIR/env"
}

# watch PARENT leaves a process behind that ends the server after its parent.
watch() {
    local since
    since=$(started "$1") || since=gone
    setsid "$SUPPORT/server.sh" watchdog "$1" "$since" "$DIR" "$SERVER_PID" "$(started "$SERVER_PID")" \
        </dev/null >/dev/null 2>&1 9>&- &
    disown $!
}

watchdog() {
    local parent=$1 parent_since=$2 dir=$3 server=$4 server_since=$5
    while alive "$parent" "$parent_since"; do
        alive "$server" "$server_since" || exit 0
        sleep 0.5
    done
    if alive "$server" "$server_since"; then
        kill -9 "$server" 2>/dev/null || true
    fi
    rm -rf "$dir/data" "$dir/socket" "$dir/socket.lock" "$dir/pid"
}

# finish SIGNAL DIR ends the server of DIR and returns when it is gone.
finish() {
    local signal=$1 dir=$2 pid since polls=0
    pid=$(value PID "$dir")
    since=$(value STARTED "$dir")
    if [ -z "$pid" ] || [ -z "$since" ]; then die "no server was started in $dir"; fi
    if alive "$pid" "$since"; then kill "-$signal" "$pid" 2>/dev/null || true; fi
    while alive "$pid" "$since"; do
        polls=$((polls + 1))
        if [ $polls -eq $STOP_POLLS_MAX ]; then
            say "the server in $dir does not end by itself"
            kill -9 "$pid" 2>/dev/null || true
        fi
        [ $polls -lt $((2 * STOP_POLLS_MAX)) ] || die "the server $pid in $dir cannot be ended"
        sleep 0.05
    done
}

case ${1:-} in
start | watchdog)
    "$@"
    ;;
stop) finish TERM "${2:?usage: server.sh stop DIR}" ;;
kill) finish KILL "${2:?usage: server.sh kill DIR}" ;;
*) die "usage: server.sh start mysql|mariadb DIR [options] | stop DIR | kill DIR" ;;
esac
