"""What it costs to leave diagnostics on: `mlpx.bench.diagnostics`."""

SUITE = "diagnostics"


def bench_diagnostics(measure, contender):
    measure()
