#!/usr/bin/env bash
# Runs mysql2 and the ORMs; ../python/settings.py says which variables it needs. Arguments (--plain) go to both programs.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../support/lib.sh"
"$SUPPORT/setup.sh" node
NODE_PATH="$CANDADO_CACHE/node/node_modules" node "$CLIENTS/node/matrix.js" "$@"
# After the matrix, which reads the rows that Python left.
NODE_PATH="$CANDADO_CACHE/node/node_modules" node "$CLIENTS/node/orms_same.js" "$@"
