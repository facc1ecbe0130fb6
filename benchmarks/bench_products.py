"""The three products of a layer: `mlpx.bench.products`."""

SUITE = "products"


def bench_products(measure, contender):
    measure()
