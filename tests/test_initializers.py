"""Initial values: moments, bounds and orthogonality, and the rules by which random words become numbers."""

import math

import numpy as np
import pytest

import mlpx
from mlpx import Dense, Dropout, Network, initializers
from mlpx.backends.host import PURPOSES, Key, Stream, permutations

# The rules of the specification, written again from the raw words of the generator.


def words(n, seed=0, member=0, purpose=0, layer=0, step=0):
    key = np.asarray([seed, (purpose << 32) + member], dtype=np.uint64)
    return np.random.Philox(key=key, counter=np.asarray([0, layer, step, 0], dtype=np.uint64)).random_raw(n)


def uniform(raw):
    return np.asarray([(int(word) >> 11) / 2**53 for word in raw])


def normal(raw):
    u, v = np.split(uniform(raw), 2)
    radius = np.sqrt(-2 * np.log(1 - u))
    return np.concatenate([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)])


def philox(counter, key):
    """Return the four words of a block of Philox4x64-10, as its paper defines them."""
    c, k, mask = list(counter), list(key), 2**64 - 1
    for _ in range(10):
        left, right = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(right >> 64) ^ c[1] ^ k[0], right & mask, (left >> 64) ^ c[3] ^ k[1], left & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return c


def test_words_are_those_of_philox_keyed_and_counted_as_documented():
    seed, member, layer, step = 2**64 - 3, 17, 5, 1234
    for purpose, number in (("weights", 0), ("shuffle", 1), ("dropout", 2), ("split", 3)):
        assert PURPOSES[purpose] == number
        key = (seed, number * 2**32 + member)
        expected = philox((1, layer, step, 0), key) + philox((2, layer, step, 0), key)
        stream = Stream(Key(seed, member), purpose, layer, step)
        assert [*stream.words(3).tolist(), *stream.words(5).tolist()] == expected  # a stream goes on
        assert words(8, seed, member, number, layer, step).tolist() == expected


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_numbers_follow_from_words_by_the_documented_rules(n):
    assert Stream(Key(3), "weights", 2).uniform((n,)).tolist() == uniform(words(n, seed=3, layer=2)).tolist()
    expected = normal(words(2 * math.ceil(n / 2), seed=3, layer=2))[:n]
    np.testing.assert_allclose(Stream(Key(3), "weights", 2).normal((n,)), expected, rtol=1e-13)
    order = sorted(range(n), key=lambda i: words(n, seed=3, purpose=1, step=4)[i])
    assert permutations([Key(3)], "shuffle", [4], n)[0].tolist() == order


def test_numbers_fill_an_array_row_by_row():
    for draw in ("uniform", "normal"):
        rows = getattr(Stream(Key(1), "weights"), draw)((3, 5))
        np.testing.assert_array_equal(rows.ravel(), getattr(Stream(Key(1), "weights"), draw)((15,)))


def test_fit_shuffles_each_epoch_by_the_words_of_that_epoch():
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(5, 1)), rng.normal(size=(5, 1)), 0.3
    net = Network([Dense(1, 1, bias=False)], dtype="float64", seed=9, backend="numpy")
    net.set_weights([[[w]]], [None])
    for epochs in (2, 1):  # counters go on over successive fits
        net.fit(X, y, epochs=epochs, batch_size=1, optimizer=mlpx.SGD(0.1), progress=False)
    for epoch in range(3):
        for i in np.argsort(words(5, seed=9, purpose=1, step=epoch)):
            w -= 0.1 * X[i, 0] * (X[i, 0] * w - y[i, 0])
    assert mlpx.to_numpy(net.weights[0])[0, 0] == pytest.approx(w, rel=1e-13)


# Moments and bounds.

SHAPE = (300, 500)
UNIFORM = {
    "glorot_uniform": (initializers.glorot_uniform(), math.sqrt(6 / 800)),
    "he_uniform": (initializers.he_uniform(), math.sqrt(6 / 300)),
    "lecun_uniform": (initializers.lecun_uniform(), math.sqrt(3 / 300)),
    "uniform": (initializers.uniform(), 0.05),
    "uniform(0.2)": (initializers.uniform(0.2), 0.2),
}
NORMAL = {
    "glorot_normal": (initializers.glorot_normal(), 2 / 800),
    "he_normal": (initializers.he_normal(), 2 / 300),
    "lecun_normal": (initializers.lecun_normal(), 1 / 300),
    "normal": (initializers.normal(), 0.05**2),
    "normal(0.2)": (initializers.normal(0.2), 0.2**2),
}


def values(initializer, shape=SHAPE, seed=0):
    drawn = initializer(Stream(Key(seed), "weights"), shape)
    assert drawn.shape == shape
    assert drawn.dtype == np.float64
    return drawn


@pytest.mark.parametrize(("initializer", "bound"), UNIFORM.values(), ids=UNIFORM)
def test_uniform_initializers_fill_their_interval_evenly(initializer, bound):
    drawn = values(initializer)
    n = drawn.size
    assert bound * (1 - 20 / n) < np.max(np.abs(drawn)) <= bound
    assert abs(np.mean(drawn)) < 4 * bound / math.sqrt(3 * n)
    assert np.var(drawn) == pytest.approx(bound**2 / 3, rel=4 * math.sqrt(0.8 / n))
    counts, _ = np.histogram(drawn, bins=20, range=(-bound, bound))
    assert np.sum((counts - n / 20) ** 2 / (n / 20)) < 43.8  # chi squared of 19 degrees of freedom, 0.1 %
    np.testing.assert_allclose(drawn.ravel(), bound * (2 * uniform(words(n)) - 1), rtol=1e-14)


@pytest.mark.parametrize(("initializer", "variance"), NORMAL.values(), ids=NORMAL)
def test_normal_initializers_have_their_variance(initializer, variance):
    drawn = values(initializer)
    n, z = drawn.size, drawn / math.sqrt(variance)
    assert abs(np.mean(z)) < 4 / math.sqrt(n)
    assert np.var(z) == pytest.approx(1, rel=4 * math.sqrt(2 / n))
    assert np.mean(z**4) == pytest.approx(3, rel=4 * math.sqrt(96 / n) / 3)
    assert np.max(np.abs(z)) > 4  # not truncated
    assert abs(np.mean(z[:, :250] * z[:, 250:])) < 4 / math.sqrt(n / 2)
    np.testing.assert_allclose(drawn.ravel(), math.sqrt(variance) * normal(words(n)), rtol=1e-11, atol=1e-17)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5), (1, 3), (3, 1)])
def test_orthogonal_gives_orthonormal_columns_or_rows_with_positive_signs(shape):
    q = values(initializers.orthogonal(), shape)
    g = values(initializers.normal(1.0), shape[::-1] if shape[0] < shape[1] else shape)
    tall = q.T if shape[0] < shape[1] else q
    np.testing.assert_allclose(tall.T @ tall, np.eye(min(shape)), atol=1e-14)
    r = tall.T @ g
    np.testing.assert_allclose(np.tril(r, -1), 0, atol=1e-14)
    np.testing.assert_allclose(tall @ r, g, atol=1e-14)
    assert np.all(np.diag(r) > 0)


def test_constants_are_constant():
    assert np.all(values(initializers.zeros()) == 0)
    assert np.all(values(initializers.constant(-1.5)) == -1.5)
    assert np.all(values(initializers.constant()) == 0)


# What a network does with them.

GLOROT = ["identity", "logistic", "tanh", "hard_logistic", "hard_tanh", "exp"]
HE = ["relu", "leaky_relu", "elu", "softplus", "swish", "gelu", "mish"]
CHOICE = {
    **dict.fromkeys(HE, initializers.he_normal()),
    "selu": initializers.lecun_normal(),
    **dict.fromkeys(
        ["identity", "logistic", "tanh", "hard_logistic", "hard_tanh", "exp"], initializers.glorot_uniform()
    ),
}


@pytest.mark.parametrize("activation", sorted(CHOICE))
def test_auto_chooses_by_the_activation_that_follows(activation):
    net = mlpx.MLP([6, 5, 4], activation=activation, dtype="float64", backend="numpy")
    expected = CHOICE[activation](Stream(Key(0), "weights", 0), (6, 5))
    np.testing.assert_array_equal(net.weights[0], expected)
    assert np.all(net.biases[0] == 0)


@pytest.mark.parametrize("output", [*sorted(CHOICE), "softmax"])
def test_auto_is_glorot_uniform_for_the_output(output):
    net = mlpx.MLP([6, 5, 4], output=output, dtype="float64", backend="numpy")
    expected = initializers.glorot_uniform()(Stream(Key(0), "weights", 1), (5, 4))
    np.testing.assert_array_equal(net.weights[1], expected)


def test_a_given_initializer_is_used_for_weights_and_biases():
    layers = [Dense(6, 5, "relu", initializer="orthogonal", bias_initializer=initializers.constant(0.5)),
              Dense(5, 4, "relu", initializer=initializers.uniform(2.0), bias_initializer="normal")]  # fmt: skip
    net = Network(layers, dtype="float64", backend="numpy")
    np.testing.assert_allclose(net.weights[0].T @ net.weights[0], np.eye(5), atol=1e-14)
    assert net.biases[0].tolist() == [0.5] * 5
    raw = words(24, layer=1)
    np.testing.assert_allclose(net.weights[1].ravel(), 2 * (2 * uniform(raw[:20]) - 1), rtol=1e-14)
    np.testing.assert_allclose(net.biases[1], 0.05 * normal(raw[20:]), rtol=1e-13)  # the stream goes on
    np.testing.assert_array_equal(net.layers[0].initializer.name, "orthogonal")


def build(backend, **options):
    layers = [Dense(6, 5, "relu"), Dropout(0.5), Dense(5, 4, "tanh"), Dense(4, 3, "softmax")]
    return Network(layers, backend=backend, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_weights_are_equal_on_every_backend(dtype, backend):
    net = build(backend, seed=11, dtype=dtype)
    expected = [
        math.sqrt(2 / 6) * normal(words(30, seed=11, layer=0)).reshape(6, 5),
        math.sqrt(6 / 9) * (2 * uniform(words(20, seed=11, layer=2)) - 1).reshape(5, 4),
        math.sqrt(6 / 7) * (2 * uniform(words(12, seed=11, layer=3)) - 1).reshape(4, 3),
    ]
    for got, want, reference in zip(net.weights, expected, build("numpy", seed=11).weights, strict=True):
        np.testing.assert_allclose(mlpx.to_numpy(got), want, rtol=1e-6 if dtype == "float32" else 1e-13)
        if dtype == "float32":
            np.testing.assert_array_equal(mlpx.to_numpy(got), reference)


def test_initial_weights_of_a_member_do_not_depend_on_the_number_of_members(backend):
    few, many = build(backend, seed=4, members=2), build(backend, seed=4, members=5)
    single = build(backend, seed=4)
    for a, b, c in zip(few.weights, many.weights, single.weights, strict=True):
        a, b, c = (mlpx.to_numpy(x) for x in (a, b, c))
        np.testing.assert_array_equal(a, b[:2])
        np.testing.assert_array_equal(a[0], c)
        assert len({w.tobytes() for w in b}) == 5


def test_a_list_of_seeds_gives_each_member_the_weights_of_a_single_network(backend):
    stack = build(backend, seed=[8, 3, 8], members=3)
    for i, seed in enumerate([8, 3, 8]):
        for of_stack, of_one in zip(stack.weights, build(backend, seed=seed).weights, strict=True):
            np.testing.assert_array_equal(mlpx.to_numpy(of_stack)[i], mlpx.to_numpy(of_one))


def test_reset_draws_the_same_weights_again(backend):
    net = build(backend, seed=2)
    before = [mlpx.to_numpy(w).copy() for w in net.weights]
    net.fit(np.ones((4, 6)), [0, 1, 2, 0], epochs=1, progress=False)
    assert np.any(mlpx.to_numpy(net.weights[2]) != before[2])
    net.reset()
    for w, first in zip(net.weights, before, strict=True):
        np.testing.assert_array_equal(mlpx.to_numpy(w), first)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.get("he_norma"), "Did you mean 'he_normal'"),
        (lambda: initializers.uniform(0.0), "`limit` must be above 0"),
        (lambda: initializers.normal(-1.0), "`standard_deviation` must be above 0"),
        (lambda: initializers.constant(math.inf), "`value`"),
        (lambda: Dense(2, 2, initializer="glorot"), "`initializer` must be one of"),
    ],
)
def test_wrong_names_and_parameters_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
