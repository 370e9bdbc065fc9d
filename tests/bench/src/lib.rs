//! Benchmarks against reference servers in the same run.
