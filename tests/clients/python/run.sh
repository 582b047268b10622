#!/usr/bin/env bash
# Runs the Python drivers and the ORMs; settings.py says which variables it needs.
# Arguments (--plain) go to all programs.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../support/lib.sh"
"$SUPPORT/setup.sh" python
export PYTHONDONTWRITEBYTECODE=1
# The matrix comes last: its rows stay for the other languages' programs to read.
"$CANDADO_CACHE/python/bin/python" "$CLIENTS/python/orm_same.py" "$@"
"$CANDADO_CACHE/python/bin/python" "$CLIENTS/python/orms_same.py" "$@"
"$CANDADO_CACHE/python/bin/python" "$CLIENTS/python/matrix.py" "$@"
