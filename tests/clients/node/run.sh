#!/usr/bin/env bash
# Runs mysql2; ../python/settings.py says which variables it needs. Arguments (--plain) go to it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../support/lib.sh"
"$SUPPORT/setup.sh" node
NODE_PATH="$CANDADO_CACHE/node/node_modules" node "$CLIENTS/node/matrix.js" "$@"
