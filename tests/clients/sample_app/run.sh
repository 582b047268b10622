#!/usr/bin/env bash
# The sample application of docker/sample-app, in an environment of its own, which is made from its requirements.
#
#   run.sh tables USER   makes its tables, as that user
#   run.sh suite         its own tests; they empty its tables
#   run.sh screens       what each account sees
#
# docker/sample-app/shop/accounts.py says which variables it reads.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../support/lib.sh"
"$SUPPORT/setup.sh" sample-app
# Nothing is written into the work tree.
export PYTHONPYCACHEPREFIX=$CANDADO_CACHE/sample-app/bytecode
cd "$SUPPORT/../../docker/sample-app"
python=$CANDADO_CACHE/sample-app/bin/python
what=${1:-}
[ $# -eq 0 ] || shift
case $what in
tables | screens) exec "$python" -m "shop.$what" "$@" ;;
suite) SHOP_TESTS_MAY_EMPTY_TABLES=1 exec "$python" -m pytest --quiet -p no:cacheprovider tests "$@" ;;
*) die "tables, suite or screens?" ;;
esac
