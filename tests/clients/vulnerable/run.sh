#!/usr/bin/env bash
# The vulnerable shop: its own tests with an attack on each injection point, or sqlmap.
#
#   run.sh functional honest|open|guarded    see functional.py
#   run.sh sqlmap open|guarded               see sqlmap.py
#
# CANDADO_HOST, CANDADO_PORT, CANDADO_USER, CANDADO_PASSWORD and CANDADO_DATABASE say where the database is.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../support/lib.sh"
export PYTHONDONTWRITEBYTECODE=1
case ${1:-} in
functional) "$SUPPORT/setup.sh" python ;;
sqlmap) "$SUPPORT/setup.sh" python sqlmap ;;
*) die "functional or sqlmap?" ;;
esac
program=$1
shift
exec "$CANDADO_CACHE/python/bin/python" "$CLIENTS/vulnerable/$program.py" "$@"
