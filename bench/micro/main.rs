//! Micro benchmarks: `cargo bench --bench micro`. One file per part of the program.

#![expect(clippy::expect_used, reason = "a benchmark that cannot set itself up stops")]

mod envelope;

criterion::criterion_main!(envelope::benches);
