//! Micro benchmarks: `cargo bench --bench micro`, or one group with `-- row`.

#![expect(clippy::expect_used, reason = "a benchmark may panic")]

mod row;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    row::bench(&mut criterion);
    criterion.final_summary();
}
