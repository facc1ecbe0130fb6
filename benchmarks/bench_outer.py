"""The weight gradient as a sum of outer products, in four ways: `mlpx.bench.outer`."""

SUITE = "outer"


def bench_outer(measure, contender):
    measure()
