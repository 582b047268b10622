#!/usr/bin/env bash
# Runs every fuzz target of tests/fuzz for a number of seconds: fuzz.sh SECONDS
#
# Inputs start from the committed corpora in tests/fuzz/corpus; what is found meanwhile goes into
# the cache, so that the tree stays as it was. A crash leaves its input in tests/fuzz/artifacts.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
seconds=${1:?usage: fuzz.sh SECONDS}
"$SUPPORT/setup.sh" fuzz
cd "$SUPPORT/../.."

fuzz_dir=tests/fuzz
# Coverage instrumentation needs a compiler flag that is unstable; the pinned compiler has it.
export RUSTC_BOOTSTRAP=1
cargo_fuzz() {
    PATH="$CANDADO_CACHE/cargo/bin:$PATH" cargo fuzz "$@"
}

mapfile -t targets < <(cargo_fuzz list --fuzz-dir "$fuzz_dir")
[ ${#targets[@]} -gt 0 ] || die "no fuzz targets in $fuzz_dir"
# The code under test has no unsafe blocks: overflow checks and panics are what can be found, not memory errors.
# A cold build takes longer than the runs: several codegen units for each crate use all processors.
options=(--fuzz-dir "$fuzz_dir" --sanitizer none --codegen-units 4)
cargo_fuzz build "${options[@]}"
for target in "${targets[@]}"; do
    say "$target for $seconds s"
    found=$CANDADO_CACHE/fuzz/$target
    mkdir -p "$found"
    committed=()
    [ ! -d "$fuzz_dir/corpus/$target" ] || committed=("$fuzz_dir/corpus/$target")
    cargo_fuzz run "${options[@]}" "$target" "$found" ${committed[@]+"${committed[@]}"} -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0
done
