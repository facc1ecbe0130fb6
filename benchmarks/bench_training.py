"""Whole training steps, beside other libraries: `mlpx.bench.training`."""

SUITE = "training"


def bench_training(measure, contender):
    measure()
