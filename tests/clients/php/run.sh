#!/usr/bin/env bash
# Runs Laravel's query builder; ../python/settings.py says which variables it needs. Arguments (--plain) go to it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../support/lib.sh"
"$SUPPORT/setup.sh" php
php "$CLIENTS/php/laravel_same.php" "$@"
