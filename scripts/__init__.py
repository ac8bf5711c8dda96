"""Entry points: the `turbo-webnn` command, `demo`, `test`, and the drivers of benchmarks."""
