#!/usr/bin/env bash
# Installs what the tests, the demo and the benchmarks need and prints one line per step.
#
#   setup.sh [build] [tls] [mysql] [mariadb] [samples] [python] [sample-app] [sqlmap] [suites] [node] [php] [bench] [deny] [fuzz] [netns] | all
#
# Without arguments: build, mysql, mariadb. Every part is skipped quickly when it is there.
# Database servers are not installed into the system: their packages are unpacked into the
# cache (CANDADO_CACHE) and run with the C library that they were built for, so nothing is
# started at boot and nothing can conflict with what the machine has.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

APT_UPDATED=no

apt_update() {
    if [ "$APT_UPDATED" = no ]; then
        say "apt: refreshing package lists"
        as_root apt-get -qq update >&2 || die "apt-get update failed"
        APT_UPDATED=yes
    fi
}

# need_packages PACKAGE.. installs missing packages and starts no service.
need_packages() {
    local missing=() package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "not a Debian or Ubuntu system; install by hand: ${missing[*]}"
    apt_update
    say "apt: installing ${missing[*]}"
    local policy=/usr/sbin/policy-rc.d guarded=no
    if [ ! -e "$policy" ]; then
        # Exit code 101 tells invoke-rc.d that services may not be started.
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        guarded=yes
    fi
    local status=0
    # --no-remove: a MySQL or MariaDB of the machine's owner is never replaced.
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends --no-remove "${missing[@]}" >&2 || status=$?
    if [ "$guarded" = yes ]; then
        as_root rm -f "$policy"
    fi
    [ "$status" -eq 0 ] || die "apt-get could not install: ${missing[*]}"
}

# has COMMAND.. is true when every command exists.
has() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || return 1
    done
}

setup_build() {
    local wanted=()
    has cc || wanted+=(gcc libc6-dev)
    has make || wanted+=(make)
    has openssl || wanted+=(openssl)
    has flock setsid || wanted+=(util-linux)
    has git || wanted+=(git)
    [ ${#wanted[@]} -eq 0 ] || need_packages "${wanted[@]}"
    has cargo || die "cargo is missing: install Rust first"
    say "build tools: ready"
}

# repository prints the address of the machine's own package archive. No address is
# written down here, so a mirror that the machine was given is the one that is used.
repository() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' |
        awk -v suite="$(suite)" '$2 == suite { print $1; exit }'
}

suite() {
    (. /etc/os-release && echo "${VERSION_CODENAME:-}")
}

distribution() {
    (. /etc/os-release && echo "$ID")
}

# unpack KIND SUITE COMPONENTS PACKAGES fills $CANDADO_CACHE/KIND with packages and all that
# they depend on, without running their scripts. The folder appears only when it is complete.
unpack() {
    local kind=$1 from=$2 components=$3 packages=$4 archive
    local folder=$CANDADO_CACHE/$kind building=$CANDADO_CACHE/$kind.tmp.$$
    need_packages mmdebstrap
    archive=$(repository)
    if [ -z "$archive" ]; then
        apt_update
        archive=$(repository)
    fi
    [ -n "$archive" ] || die "$kind: the machine has no package source for $(suite)"
    say "$kind: unpacking $packages from $from"
    mkdir -p "$CANDADO_CACHE"
    if ! as_root mmdebstrap --quiet --variant=extract --mode=root \
        --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' \
        --include="$packages" --components="$components" "$from" "$building" "$archive" >&2; then
        as_root rm -rf --one-file-system "$building"
        say "error: $kind: the package archive does not give $packages from $from"
        return 1
    fi
    as_root chown -R "$(id -u):$(id -g)" "$building"
    rm -rf "${building:?}"/usr/share/{doc,man,locale,info,zoneinfo} "${building:?}"/{dev,var}
    wrap "$building"
    if ! "$building/candado-bin/server" --no-defaults --version >/dev/null; then
        rm -rf "$building"
        say "error: $kind: the server from $from does not run here"
        return 1
    fi
    echo "$UNPACK_REVISION" >"$building/candado-bin/revision"
    rm -rf "$folder"
    mv "$building" "$folder"
}

# unpacked KIND is true when the folder of that kind is there and up to date.
unpacked() {
    [ -n "$(bin_dir "$1")" ] && [ "$(cat "$CANDADO_CACHE/$1/candado-bin/revision" 2>/dev/null)" = "$UNPACK_REVISION" ]
}

# Raised when the starters or the list of packages change: folders of another revision are made anew.
UNPACK_REVISION=2

# wrap FOLDER writes a starter for each database program in an unpacked folder. It calls the
# folder's own dynamic loader, because the packages may need a newer C library than the machine has.
wrap() {
    local folder=$1 loader program name
    loader=$(cd "$folder" && find . -path '*-linux-gnu/ld-linux-*.so.*' -printf '%P\n' -quit)
    [ -n "$loader" ] || die "no dynamic loader in $folder"
    mkdir -p "$folder/candado-bin"
    for program in "$folder"/usr/sbin/{mysqld,mariadbd} "$folder"/usr/bin/{mysql,mariadb}*; do
        [ -x "$program" ] || continue
        # Scripts find nothing in this folder; only programs are wrapped.
        [ "$(head -c 4 "$program" | tail -c 3)" = ELF ] || continue
        name=${program##*/}
        sed -e "s|@LOADER@|$loader|g" -e "s|@PROGRAM@|${program#"$folder"/}|g" >"$folder/candado-bin/$name" <<'STARTER'
#!/bin/sh
root=$(cd "$(dirname "$0")/.." && pwd)
triple=$(basename "$(dirname "@LOADER@")")
libs=$root/usr/lib/$triple:$root/lib/$triple
for private in "$root"/usr/lib/mysql-router "$root"/usr/lib/mysql-router/private "$root"/usr/lib/"$triple"/mysqlrouter/private; do
    [ ! -d "$private" ] || libs=$libs:$private
done
# Where the clients find authentication plugins; each kind has its own variable.
export LIBMYSQL_PLUGIN_DIR="${LIBMYSQL_PLUGIN_DIR:-$root/usr/lib/mysql/plugin}"
export MARIADB_PLUGIN_DIR="${MARIADB_PLUGIN_DIR:-$root/usr/lib/$triple/libmariadb3/plugin}"
exec "$root/@LOADER@" --library-path "$libs" --argv0 "$root/@PROGRAM@" "$root/@PROGRAM@" "$@"
STARTER
        chmod 755 "$folder/candado-bin/$name"
    done
    if [ -x "$folder/candado-bin/mariadbd" ]; then
        ln -sf mariadbd "$folder/candado-bin/server"
    else
        ln -sf mysqld "$folder/candado-bin/server"
    fi
}

# system_mysql prints the path of a MySQL server (not MariaDB) of 8.0 or later on PATH.
system_mysql() {
    local server version
    server=$(command -v mysqld || true)
    [ -n "$server" ] && has mysql mysqldump || return 1
    version=$("$server" --no-defaults --version 2>/dev/null || true)
    case $version in
    *MariaDB*) return 1 ;;
    *' Ver 8.'* | *' Ver 9.'* | *' Ver '[1-9][0-9].*) echo "$server" ;;
    *) return 1 ;;
    esac
}

use_system_mysql() {
    local server=$1 folder=$CANDADO_CACHE/mysql building=$CANDADO_CACHE/mysql.tmp.$$ name
    mkdir -p "$building/candado-bin"
    ln -s "$server" "$building/candado-bin/mysqld"
    ln -s mysqld "$building/candado-bin/server"
    for name in mysql mysqldump mysqladmin mysqlrouter; do
        if has "$name"; then ln -s "$(command -v "$name")" "$building/candado-bin/$name"; fi
    done
    echo "$UNPACK_REVISION" >"$building/candado-bin/revision"
    rm -rf "$folder"
    mv "$building" "$folder"
}

make_mysql() {
    local server packages=mysql-server-core,mysql-client-core,mysql-router,mysql-common
    ! unpacked mysql || return 0
    if server=$(system_mysql); then
        use_system_mysql "$server"
    elif [ "$(distribution)" = debian ] && unpack mysql sid main "$packages"; then
        # Debian's releases carry MariaDB only; MySQL is in its development branch.
        :
    else
        say "error: mysql: install MySQL 8.0 or later (mysqld, mysql, mysqldump on PATH) and run this again"
        return 1
    fi
}

setup_mysql() {
    setup_tls
    once mysql make_mysql || die "mysql: not available here"
    say "mysql: $("$(bin_dir mysql)/server" --no-defaults --version | sed 's/.* Ver \([^ ]*\).*/\1/') ready"
}

make_mariadb() {
    ! unpacked mariadb || return 0
    local components=main
    [ "$(distribution)" = debian ] || components=main,universe
    unpack mariadb "$(suite)" "$components" mariadb-server-core,mariadb-client-core,mariadb-client
}

setup_mariadb() {
    setup_tls
    once mariadb make_mariadb || die "mariadb: not available here"
    say "mariadb: $("$(bin_dir mariadb)/server" --no-defaults --version | sed 's/.* Ver \([^ ]*\).*/\1/') ready"
}

# make_tls makes one certificate authority and one certificate for 127.0.0.1, used by every
# private server. They protect nothing: they exist so that verification can be tested.
make_tls() {
    local folder=$CANDADO_CACHE/tls
    if [ -s "$folder/server-cert.pem" ] && openssl x509 -checkend 604800 -noout -in "$folder/server-cert.pem" >/dev/null; then
        return 0
    fi
    local building=$folder.tmp.$$
    mkdir -p "$building"
    (
        cd "$building"
        openssl req -x509 -newkey rsa:2048 -nodes -days 800 -subj '/CN=Candado test authority' \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
            -keyout ca-key.pem -out ca.pem
        openssl req -newkey rsa:2048 -nodes -subj '/CN=Candado test server' \
            -keyout server-key.pem -out server.csr
        printf '%s\n' 'subjectAltName=IP:127.0.0.1,DNS:localhost' 'basicConstraints=critical,CA:FALSE' \
            'extendedKeyUsage=serverAuth' >server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 800 \
            -extfile server.ext -out server-cert.pem
        chmod 600 ./*-key.pem
        rm -f server.csr server.ext ca.srl
    ) >"$building/log" 2>&1 || {
        cat "$building/log" >&2
        die "tls: openssl failed"
    }
    rm -rf "$folder" "$building/log"
    mv "$building" "$folder"
}

setup_tls() {
    has openssl || need_packages openssl
    once tls make_tls
}

# has_python is true when virtual environments can be made.
has_python() {
    has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null
}

make_python() {
    local folder=$CANDADO_CACHE/python wanted
    wanted=$(sha256sum <"$CLIENTS/python/requirements.txt")
    if [ -x "$folder/bin/python" ] && [ "$(cat "$folder/requirements.sha256" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    has_python || need_packages python3 python3-venv
    # mysqlclient is built from source against the C client library.
    has cc pkg-config || need_packages gcc libc6-dev pkg-config
    local headers
    headers=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -e "$headers/Python.h" ] || need_packages python3-dev
    need_packages default-libmysqlclient-dev
    say "python: installing the drivers"
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$CLIENTS/python/requirements.txt" >&2 ||
        die "python: the drivers cannot be installed"
    echo "$wanted" >"$folder/requirements.sha256"
}

setup_python() {
    once python make_python
    say "python: $("$CANDADO_CACHE/python/bin/python" --version) with drivers ready"
}

# The sample application has an environment of its own, made from what its image is made from.
make_sample_app() {
    local folder=$CANDADO_CACHE/sample-app wanted from=$SUPPORT/../../docker/sample-app/requirements-test.txt
    wanted=$(sha256sum <"$from")
    [ "$(cat "$folder/made-from" 2>/dev/null)" != "$wanted" ] || return 0
    say "sample-app: installing what it needs"
    rm -rf "$folder"
    python3 -m venv --without-pip "$folder" >&2
    "$CANDADO_CACHE/python/bin/pip" --python "$folder/bin/python" install --quiet --disable-pip-version-check \
        --no-compile --only-binary=:all: --require-hashes -r "$from" >&2 ||
        die "sample-app: its requirements cannot be installed"
    echo "$wanted" >"$folder/made-from"
}

setup_sample_app() {
    setup_python
    once sample-app make_sample_app
    say "sample-app: ready"
}

# sqlmap attacks the vulnerable application of the tests, in a run of its own. It has an environment of its own too.
SQLMAP=sqlmap==1.10.10

make_sqlmap() {
    local folder=$CANDADO_CACHE/sqlmap
    [ "$(cat "$folder/made-from" 2>/dev/null)" != "$SQLMAP" ] || return 0
    has_python || need_packages python3 python3-venv
    say "sqlmap: installing $SQLMAP"
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$SQLMAP" >&2 || die "sqlmap cannot be installed"
    echo "$SQLMAP" >"$folder/made-from"
}

setup_sqlmap() {
    once sqlmap make_sqlmap
    say "sqlmap: ready"
}

# The demo's customers, in a file, so that the demo itself needs no Python. The package carries the Chinook sample
# database; it is only unpacked, never installed or run.
SAMPLES_FROM="db.py==0.5.3 --hash=sha256:328236283ff90b419b0643bed8269287e68916f2076928c54e8afdfa1f44d437"

make_samples() {
    local folder=$CANDADO_CACHE/samples wanted
    wanted=$({ echo "$SAMPLES_FROM" && cat "$SUPPORT/samples.py"; } | sha256sum)
    if [ "$(cat "$folder/made-from" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    has_python || need_packages python3 python3-venv
    say "samples: fetching the Chinook sample database"
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m venv "$folder/venv" >&2
    echo "$SAMPLES_FROM" >"$folder/requirements.txt"
    "$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --dest "$folder" --require-hashes -r "$folder/requirements.txt" >&2 ||
        die "samples: ${SAMPLES_FROM%% *} cannot be fetched"
    python3 "$SUPPORT/samples.py" "$folder"/*.whl >"$folder/customers.json"
    rm -rf "$folder/venv"
    echo "$wanted" >"$folder/made-from"
}

setup_samples() {
    once samples make_samples
    say "samples: $CANDADO_CACHE/samples/customers.json ready"
}

# The servers' own test suites: statements for the tests that compare how they are read. Some 380 MB are fetched, and
# 160 MB of it kept.
SUITES_REVISION=1

# fetch_suite KIND SUITE PACKAGE puts the .test files of a package into the folder KIND, flat, under numbered names.
fetch_suite() {
    local kind=$1 from=$2 package=$3 archive apt
    archive=$(repository)
    [ -n "$archive" ] || die "suites: the machine has no package source for $(suite)"
    say "suites: fetching $package from $from"
    mkdir -p "apt/lists/partial" "apt/cache/archives/partial" "$kind"
    echo "deb $archive $from main" >apt/sources.list
    apt=(-qq -o "Dir::Etc::SourceList=$PWD/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt/cache" -o Acquire::Check-Valid-Until=false
        -o Acquire::Languages=none -o "APT::Sandbox::User=$(id -un)")
    apt-get "${apt[@]}" update >&2 || die "suites: the package lists of $from cannot be had"
    apt-get "${apt[@]}" download "$package" >&2 || die "suites: the package archive does not give $package from $from"
    mkdir unpacked
    dpkg-deb --extract "$package"_*.deb unpacked
    # Two files of one name are in different folders.
    local number=10000 file
    while read -r file; do
        number=$((number + 1))
        mv "$file" "$kind/$number-${file##*/}"
    done < <(find unpacked -name '*.test' | LC_ALL=C sort)
    rm -rf unpacked apt "$package"_*.deb
}

make_suites() {
    local folder=$CANDADO_CACHE/suites building=$CANDADO_CACHE/suites.tmp.$$
    [ "$(cat "$folder/revision" 2>/dev/null)" != "$SUITES_REVISION" ] || return 0
    [ "$(distribution)" = debian ] || die "suites: only Debian's archive has them"
    mkdir -p "$building"
    (
        cd "$building"
        fetch_suite mysql sid mysql-testsuite
        fetch_suite mariadb "$(suite)" mariadb-test-data
    )
    echo "$SUITES_REVISION" >"$building/revision"
    rm -rf "$folder"
    mv "$building" "$folder"
}

setup_suites() {
    once suites make_suites
    say "suites: $(find "$CANDADO_CACHE/suites" -name '*.test' | wc -l) files of the servers' own tests ready"
}

# cargo_tool CRATE VERSION builds one of cargo's plugins into the cache. Without optimisation:
# it is built once and runs for seconds.
cargo_tool() {
    local root=$CANDADO_CACHE/cargo
    [ "$(cat "$root/$1.version" 2>/dev/null)" != "$2" ] || return 0
    say "$1: building version $2"
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$CANDADO_CACHE/cargo-build cargo install --quiet --locked --debug \
        --force --root "$root" "$1@$2" >&2 || die "$1 cannot be built"
    rm -rf "$CANDADO_CACHE/cargo-build"
    echo "$2" >"$root/$1.version"
}

setup_deny() {
    setup_build
    once cargo cargo_tool cargo-deny 0.20.2
    say "cargo-deny: ready"
}

setup_fuzz() {
    setup_build
    has c++ || need_packages g++
    once cargo cargo_tool cargo-fuzz 0.13.2
    say "cargo-fuzz: ready"
}

make_node() {
    local folder=$CANDADO_CACHE/node wanted
    wanted=$(cat "$CLIENTS/node/package.json" "$CLIENTS/node/package-lock.json" | sha256sum)
    if [ "$(cat "$folder/lock.sha256" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    has node npm || need_packages nodejs npm
    say "node: installing the drivers"
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$CLIENTS/node/package.json" "$CLIENTS/node/package-lock.json" "$folder/"
    (cd "$folder" && npm ci --silent --ignore-scripts --no-audit --no-fund >&2) || die "node: the drivers cannot be installed"
    echo "$wanted" >"$folder/lock.sha256"
}

setup_node() {
    once node make_node
    say "node: $(node --version) with drivers ready"
}

# Laravel's query builder comes from the distribution, which packages it as a library.
setup_php() {
    has php && php -r 'exit(extension_loaded("pdo_mysql") && stream_resolve_include_path("Illuminate/Database/autoload.php") ? 0 : 1);' ||
        need_packages php-cli php-mysql php-illuminate-database
    say "php: $(php -r 'echo PHP_VERSION;') with Laravel's query builder ready"
}

# Three replicas are tested in network namespaces, which root may make.
setup_netns() {
    has ip || need_packages iproute2
    say "netns: $(ip -Version | sed 's/.*, //') ready"
}

setup_bench() {
    local wanted=()
    has haproxy || wanted+=(haproxy)
    has sysbench || wanted+=(sysbench)
    has strace || wanted+=(strace)
    has python3 || wanted+=(python3)
    [ ${#wanted[@]} -eq 0 ] || need_packages "${wanted[@]}"
    [ -x "$(bin_dir mysql)/mysqlrouter" ] || setup_mysql
    say "bench: haproxy, sysbench, strace and mysqlrouter ready"
}

main() {
    [ $# -gt 0 ] || set -- build mysql mariadb
    local part
    for part in "$@"; do
        case $part in
        build | tls | mysql | mariadb | samples | python | sample-app | sqlmap | suites | node | php | bench | deny | fuzz | netns) "setup_${part//-/_}" ;;
        all) main build mysql mariadb samples python sample-app node php bench deny fuzz netns ;;
        *) die "unknown part '$part'; parts are build, tls, mysql, mariadb, samples, python, sample-app, sqlmap, suites, node, php, bench, deny, fuzz, netns, all" ;;
        esac
    done
}

main "$@"
