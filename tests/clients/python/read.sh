#!/usr/bin/env bash
# Runs the independent reader with the arguments that it is given.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../support/lib.sh"
"$SUPPORT/setup.sh" python >&2
export PYTHONDONTWRITEBYTECODE=1
exec "$CANDADO_CACHE/python/bin/python" "$CLIENTS/python/independent_reader.py" "$@"
