#!/usr/bin/env bash
# Everything that CI runs, fast first. All steps run even when one fails; a table at the end gives
# outcome and seconds of each. Exit code 1 when any step failed.
#
#   all.sh [STEP..]     only these steps, in the order of the table below
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$SUPPORT/../.."

FUZZ_SMOKE_SECONDS=${FUZZ_SMOKE_SECONDS:-6}
STEPS=(setup fmt clippy doc unit it clients deny fuzz bench)

step_setup() { "$SUPPORT/setup.sh" build mysql mariadb samples python sample-app node deny fuzz netns; }
step_fmt() { cargo fmt --check; }
step_clippy() { cargo clippy --locked --all-targets -- -D warnings; }
step_doc() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items; }
step_unit() { tests_of --lib; }
# The driver matrix is a module of its own in the integration tests; it has its own step.
step_it() { tests_of --test it -- --skip clients::; }
step_clients() { tests_of --test it -- --nocapture clients::; }
step_deny() { PATH="$CANDADO_CACHE/cargo/bin:$PATH" cargo deny --locked check --hide-inclusion-graph bans licenses sources; }
step_fuzz() { "$SUPPORT/fuzz.sh" "$FUZZ_SMOKE_SECONDS"; }
# Each benchmark once, without measuring: they must not rot.
step_bench() { cargo test --locked --benches; }

# tests_of ARGUMENTS.. runs tests and fails when there were none, which a filter can bring about.
tests_of() {
    local log status=0
    log=$(mktemp)
    cargo test --locked "$@" 2>&1 | tee "$log" || status=$?
    grep -q '^test result: ok\. [1-9]' "$log" || status=1
    rm -f "$log"
    return "$status"
}

run_step() {
    local name=$1 started=$SECONDS outcome=ok
    printf '\n======== %s ========\n' "$name"
    # In a process of its own, so that every step has the shell's strictness.
    bash "${BASH_SOURCE[0]}" --step "$name" || outcome=FAILED
    RESULTS+=("$(printf '%-10s %-8s %6d s' "$name" "$outcome" $((SECONDS - started)))")
    [ "$outcome" = ok ] || FAILED+=("$name")
}

if [ "${1:-}" = --step ]; then
    "step_${2:?}"
    exit
fi

RESULTS=() FAILED=()
if [ $# -eq 0 ]; then set -- "${STEPS[@]}"; fi
for step in "$@"; do
    declare -F "step_$step" >/dev/null || die "unknown step '$step'; steps are ${STEPS[*]}"
    run_step "$step"
done
printf '\n======== summary ========\n'
printf '%s\n' "${RESULTS[@]}"
printf '%-10s %-8s %6d s\n' total "" "$SECONDS"
if [ ${#FAILED[@]} -gt 0 ]; then
    echo "failed: ${FAILED[*]}"
    exit 1
fi
