"""Fits of the estimators, and with ``--full`` their search, beside scikit-learn's own: `mlpx.bench.estimators`."""

SUITE = "estimators"


def bench_estimators(measure, contender):
    measure()
