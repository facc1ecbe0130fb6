"""Dropout, bit for bit: its masks follow from the raw words of the generator by the documented rule."""

import math

import numpy as np
import pytest

import mlpx
from mlpx import Dense, Dropout, Network


def lanes(n, seed=0, member=0, layer=0, step=0):
    """Return n 16-bit lanes: element j uses lane j mod 4, lowest first, of word j // 4 of its stream."""
    key = np.asarray([seed, (2 << 32) + member], dtype=np.uint64)
    raw = np.random.Philox(key=key, counter=np.asarray([0, layer, step, 0], dtype=np.uint64)).random_raw(n // 4 + 1)
    return np.asarray([int(raw[j // 4]) >> 16 * (j % 4) & 0xFFFF for j in range(n)])


def factors(shape, rate, scale=None, **stream):
    threshold = round(65536 * rate)
    factor = 65536 / (65536 - threshold) if scale is None else scale
    return np.where(lanes(math.prod(shape), **stream) >= threshold, factor, 0.0).reshape(shape)


def build(backend, rate=0.4, scale=None, **options):
    layers = [Dense(3, 5, "tanh"), Dropout(rate, scale), Dense(5, 7, "tanh"), Dropout(0.1), Dense(7, 2)]
    return Network(layers, dtype="float64", backend=backend, **options)


X = np.random.default_rng(0).normal(size=(6, 3))
Y = np.random.default_rng(1).normal(size=(6, 2))


def mask(net, layer=1, X=X):
    return mlpx.to_numpy(net.forward(X, training=True).layers[layer].mask)


@pytest.mark.parametrize("rate", [0.5, 0.4, 0.1, 0.9, 1 / 65536, 65535 / 65536])
@pytest.mark.parametrize("seed", [0, 2**63 + 5])
def test_masks_follow_the_documented_rule_bit_for_bit(rate, seed, backend):
    net = build(backend, rate, seed=seed)
    np.testing.assert_array_equal(mask(net), factors((6, 5), rate, seed=seed, layer=1))
    np.testing.assert_array_equal(mask(net, 3), factors((6, 7), 0.1, seed=seed, layer=3))


def test_a_lane_that_equals_the_threshold_is_kept(backend):
    drawn = lanes(30, layer=1)
    lane = int(np.sort(drawn)[12])
    kept = mask(build(backend, lane / 65536)).ravel() > 0
    np.testing.assert_array_equal(kept, drawn >= lane)


@pytest.mark.parametrize("rows", [1, 3])
def test_elements_are_counted_row_by_row(rows, backend):
    np.testing.assert_array_equal(mask(build(backend), X=X[:rows]), factors((6, 5), 0.4, layer=1)[:rows])


def test_the_share_of_dropped_elements_is_the_rate_and_the_mean_factor_is_one(backend):
    net = Network([Dropout(0.3), Dense(500, 1)], backend=backend)
    drawn = mask(net, 0, np.ones((400, 500), dtype=np.float32))
    n, rate = drawn.size, round(0.3 * 65536) / 65536
    assert np.mean(drawn == 0) == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / n))
    assert np.mean(drawn, dtype=np.float64) == pytest.approx(1, abs=4 * math.sqrt(rate / (1 - rate) / n))
    assert set(np.unique(drawn).tolist()) == {0.0, float(np.float32(1 / (1 - rate)))}


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_a_given_scale_takes_the_place_of_the_inverted_one(scale, backend):
    np.testing.assert_array_equal(mask(build(backend, scale=scale)), factors((6, 5), 0.4, scale, layer=1))
    nothing_dropped = Network([Dropout(0.0, scale), Dense(3, 1)], dtype="float64", backend=backend)
    np.testing.assert_array_equal(mask(nothing_dropped, 0), np.full((6, 3), scale))


@pytest.mark.parametrize("rate", [0.0, 0.49 / 65536])
def test_a_rate_that_rounds_to_zero_does_nothing(rate, backend):
    net = Network([Dropout(rate), Dense(3, 1)], dtype="float64", backend=backend)
    trace = net.forward(X, training=True)
    assert trace.layers[0].mask is None
    np.testing.assert_array_equal(mlpx.to_numpy(trace.a[-1]), mlpx.to_numpy(net.predict(X)))


@pytest.mark.parametrize("rate", [1.0, 65535.5 / 65536, -0.1, math.nan])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match="`rate` must be at least 0 and below"):
        Dropout(rate)
    with pytest.raises(ValueError, match="`dropout` must be at least 0 and below"):
        mlpx.MLP([2, 3, 2], dropout=rate)


def test_a_scale_of_zero_and_rates_for_too_few_members_are_refused():
    with pytest.raises(ValueError, match="`scale` must be above 0"):
        Dropout(0.5, 0.0)
    with pytest.raises(ValueError, match="`rate` must hold 3 numbers"):
        build("numpy", [0.1, 0.2], members=3)
    with pytest.raises(ValueError, match="`rate` must hold one number"):
        build("numpy", [0.1, 0.2])


def test_prediction_and_evaluation_do_not_drop(backend):
    net = build(backend)
    w, b = ([mlpx.to_numpy(x) for x in part] for part in (net.weights, net.biases))
    expected = np.tanh(np.tanh(X @ w[0] + b[0]) @ w[1] + b[1]) @ w[2] + b[2]
    np.testing.assert_allclose(mlpx.to_numpy(net.predict(X)), expected, rtol=1e-12)
    np.testing.assert_allclose(mlpx.to_numpy(net.forward(X).a[-1]), expected, rtol=1e-12)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(np.mean(np.sum((expected - Y) ** 2, axis=1)) / 2, rel=1e-12)


def test_forward_and_backward_multiply_by_the_same_factors(backend):
    net = build(backend)
    trace = net.forward(X, training=True)
    first, second = factors((6, 5), 0.4, layer=1), factors((6, 7), 0.1, layer=3)
    w, a, z = ([mlpx.to_numpy(x) for x in part] for part in (net.weights, trace.a, trace.z))
    np.testing.assert_allclose(z[1], (np.tanh(z[0]) * first) @ w[1], rtol=1e-12)
    np.testing.assert_allclose(z[2], (np.tanh(z[1]) * second) @ w[2], rtol=1e-12)
    np.testing.assert_allclose(a[1], np.tanh(z[0]), rtol=1e-12)
    grads = net.backward(trace, Y)
    d3 = (z[2] - Y) / 6
    d2 = (d3 @ w[2].T) * second * (1 - np.tanh(z[1]) ** 2)
    d1 = (d2 @ w[1].T) * first * (1 - np.tanh(z[0]) ** 2)
    for got, expected in zip(grads.delta, (d1, d2, d3), strict=True):
        np.testing.assert_allclose(mlpx.to_numpy(got), expected, rtol=1e-11, atol=1e-15)
    for got, x, d in zip(grads.weights, (X, np.tanh(z[0]) * first, np.tanh(z[1]) * second), (d1, d2, d3), strict=True):
        np.testing.assert_allclose(mlpx.to_numpy(got), x.T @ d, rtol=1e-11, atol=1e-15)


def test_members_have_rates_and_streams_of_their_own(backend):
    rates = [0.0, 0.4, 0.8]
    drawn = mask(build(backend, rates, seed=6, members=3))
    for i, rate in enumerate(rates):
        np.testing.assert_array_equal(drawn[i], factors((6, 5), rate, seed=6, member=i, layer=1))
    by_seeds = mask(build(backend, rates, seed=[6, 7, 6], members=3))
    for i, (rate, seed) in enumerate(zip(rates, [6, 7, 6], strict=True)):
        np.testing.assert_array_equal(by_seeds[i], factors((6, 5), rate, seed=seed, layer=1))
    np.testing.assert_array_equal(mask(build(backend, rates, seed=6, members=3).member(2)), drawn[2])


def test_each_step_of_fit_draws_anew_and_counters_go_on_over_fits(backend):
    net = Network([Dropout(0.4), Dense(3, 2)], dtype="float64", seed=3, backend=backend)
    w, b = mlpx.to_numpy(net.weights[0]).copy(), np.zeros(2)
    for epochs in (2, 1):
        net.fit(X, Y, epochs=epochs, batch_size=4, optimizer=mlpx.SGD(0.1), shuffle=False, progress=False)
    for step, rows in enumerate([slice(0, 4), slice(4, 6)] * 3):
        x = X[rows]
        x = x * factors(x.shape, 0.4, seed=3, step=step)
        r = (x @ w + b - Y[rows]) / len(x)
        w, b = w - 0.1 * x.T @ r, b - 0.1 * r.sum(axis=0)
    np.testing.assert_allclose(mlpx.to_numpy(net.weights[0]), w, rtol=1e-12)
    np.testing.assert_allclose(mlpx.to_numpy(net.biases[0]), b, rtol=1e-12)
    np.testing.assert_array_equal(mask(net, 0), factors((6, 3), 0.4, seed=3, step=6))
    net.reset()
    np.testing.assert_array_equal(mask(net, 0), factors((6, 3), 0.4, seed=3))


def test_a_batch_without_weight_draws_nothing(backend):
    weight = [1, 1, 0, 0, 1, 1]
    net = Network([Dropout(0.4), Dense(3, 2)], dtype="float64", backend=backend)
    net.fit(X, Y, epochs=1, batch_size=2, shuffle=False, sample_weight=weight, progress=False)
    np.testing.assert_array_equal(mask(net, 0), factors((6, 3), 0.4, step=2))


def test_dropping_a_stopped_member_does_not_change_the_draws_of_the_others(backend):
    def train(**options):
        layers = [Dropout(options.pop("rate")), Dense(3, 2)]
        net = Network(layers, dtype="float64", backend=backend, **options)
        rate = [1e-300, 0.05] if net.members else 0.05  # the first member stands still, and its patience ends
        net.fit(X, Y, epochs=6, batch_size=3, optimizer=mlpx.SGD(rate), patience=3, monitor="loss", progress=False,
                validation=(X, Y))  # fmt: skip
        return net

    stack, single = train(rate=[0.0, 0.3], members=2, seed=[5, 8]), train(rate=0.3, seed=8)
    assert stack.epochs_seen[0] < stack.epochs_seen[1]
    np.testing.assert_allclose(mlpx.to_numpy(stack.weights[0])[1], mlpx.to_numpy(single.weights[0]), rtol=1e-12)


def test_mlp_drops_after_every_hidden_activation_and_not_the_input():
    net = mlpx.MLP([2, 3, 4, 2], dropout=0.25)
    assert [layer.name for layer in net.layers] == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert net.layers[1] == net.layers[3] == Dropout(0.25)
    assert [layer.name for layer in mlpx.MLP([2, 3, 4, 2]).layers] == ["Dense"] * 3
