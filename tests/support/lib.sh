# shellcheck shell=bash
# Shared by setup.sh and server.sh: where the cache is, and how messages look.
# Sourced, never run. Needs bash.

# A failure inside $(..) ends the script too.
shopt -s inherit_errexit

# Everything that is downloaded or built once lives here, outside of the work tree.
CANDADO_CACHE=${CANDADO_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/candado}
# The node modules and the Python environment belong to the lock files that they were made from.
SUPPORT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CLIENTS=$(cd "$SUPPORT/.." && pwd)/clients

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# as_root COMMAND.. runs a command with root's rights.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this step needs root or sudo: $*"
    fi
}

# once NAME COMMAND.. runs a command while holding a lock of that name, so that parallel
# callers wait for the first one's result.
once() {
    local name=$1
    shift
    mkdir -p "$CANDADO_CACHE/locks"
    (
        flock -w 900 9 || die "waited 15 minutes for another '$name' step"
        # The lock must not leak into servers that outlive this step.
        "$@" 9>&-
    ) 9>"$CANDADO_CACHE/locks/$name"
}

# bin_dir KIND prints the folder with the programs of a server kind, or nothing.
bin_dir() {
    if [ -x "$CANDADO_CACHE/$1/candado-bin/server" ]; then
        echo "$CANDADO_CACHE/$1/candado-bin"
    fi
}
