"""Stacks of networks, beside as many separate fits: `mlpx.bench.stacks`."""

SUITE = "stacks"


def bench_stacks(measure, contender):
    measure()
