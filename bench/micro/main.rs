//! Micro benchmarks: `cargo bench --bench micro`, or one group with `-- row`. One file per part of the program.

#![expect(clippy::expect_used, reason = "a benchmark that cannot set itself up stops")]

mod envelope;
mod firewall;
mod plan;
mod row;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    envelope::bench(&mut criterion);
    firewall::bench(&mut criterion);
    plan::bench(&mut criterion);
    row::bench(&mut criterion);
    criterion.final_summary();
}
