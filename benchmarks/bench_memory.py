"""Peak memory of a training run, beside what the plan predicts: `mlpx.bench.memory`."""

SUITE = "memory"


def bench_memory(measure, contender):
    measure()
