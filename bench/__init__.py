"""Benchmarks: one file per hot path, peers beside us in the same run on the same input. See docs/performance.md."""
