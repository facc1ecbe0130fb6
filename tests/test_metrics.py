"""Metrics against scikit-learn's of the same name, from `evaluate` and from the history of a fit."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mlpx
from mlpx.backends import Backend

reference = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the reference")

N = 57
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 4))
TARGETS = {
    "softmax": RNG.integers(0, 3, size=N),
    "two softmax": RNG.integers(0, 2, size=N),
    "sigmoid": RNG.integers(0, 2, size=(N, 1)),
    "sigmoids": RNG.integers(0, 2, size=(N, 3)),
    "linear": RNG.normal(size=(N, 1)),
    "linears": RNG.normal(size=(N, 3)) * [1, 10, 100] + [0, 5, 1000],
}
UNITS = {"softmax": 3, "two softmax": 2, "sigmoid": 1, "sigmoids": 3, "linear": 1, "linears": 3}
WEIGHTS = {"plain": None, "weighted": RNG.uniform(0.1, 3.0, size=N), "some zero": RNG.integers(0, 3, size=N)}


def make(kind: str, backend: Backend | str = "numpy", **options) -> mlpx.MLP:
    output = kind.split()[-1].rstrip("s") if kind != "softmax" else kind
    return mlpx.MLP([4, 5, UNITS[kind]], output=output, backend=backend, **{"dtype": "float64", "seed": 1} | options)


def decided(kind: str, p: np.ndarray) -> np.ndarray:
    return np.argmax(p, axis=1) if "softmax" in kind else (p > 0.5).astype(int)


def area(kind: str, y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    if kind == "softmax":
        return reference.roc_auc_score(y, p, sample_weight=w, multi_class="ovr")
    return reference.roc_auc_score(y, p[:, 1] if kind == "two softmax" else p, sample_weight=w)


SCORES = {
    "accuracy": lambda kind, y, p, w: reference.accuracy_score(y, decided(kind, p), sample_weight=w),
    "error_rate": lambda kind, y, p, w: 1 - reference.accuracy_score(y, decided(kind, p), sample_weight=w),
    "roc_auc": area,
    "r2": lambda _, y, p, w: reference.r2_score(y, p, sample_weight=w),
    "rmse": lambda _, y, p, w: reference.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda _, y, p, w: reference.mean_absolute_error(y, p, sample_weight=w),
}
PAIRS = [
    (kind, name) for kind in TARGETS for name in SCORES if (name in ("r2", "rmse", "mae")) == kind.startswith("linear")
]


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("kind", TARGETS)
def test_metrics_are_those_of_scikit_learn(backend: Backend, kind: str, weight: str) -> None:
    net, y, w = make(kind, backend), TARGETS[kind], WEIGHTS[weight]
    names = [name for own, name in PAIRS if own == kind]
    values = net.evaluate(X, y, metrics=names, sample_weight=w)
    assert list(values) == ["loss", *names]
    for name in names:
        assert_allclose(values[name], SCORES[name](kind, y, net.predict(X), w), rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", TARGETS)
def test_metrics_add_up_over_the_batches_of_an_epoch(backend: Backend, kind: str) -> None:
    """A learning rate of almost zero leaves the outputs as they are, so that the whole epoch has one score."""
    net, y, w = make(kind, backend), TARGETS[kind], WEIGHTS["weighted"]
    names = [name for own, name in PAIRS if own == kind and name != "roc_auc"]
    p = net.predict(X)
    history = net.fit(X, y, epochs=1, batch_size=10, sample_weight=w, metrics=names, optimizer=mlpx.SGD(1e-15))
    for name in names:
        assert_allclose(history[name], [SCORES[name](kind, y, p, w)], rtol=1e-8, err_msg=name)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "linears"])
def test_validation_rows_get_their_metrics(backend: Backend, kind: str) -> None:
    net, y, w = make(kind, backend), TARGETS[kind], WEIGHTS["weighted"]
    names = [name for own, name in PAIRS if own == kind]
    history = net.fit(X, y, epochs=2, validation=(X, y, w), metrics=names, optimizer=mlpx.SGD(1e-6))
    p = net.predict(X)
    for name in names:
        expected = SCORES[name](kind, y, p, w)
        assert_allclose(history[f"validation_{name}"][history.best_epoch - 1], expected, rtol=1e-12)
    assert "roc_auc" not in history  # it needs all outputs at once


def test_each_member_has_its_own_area(backend: Backend) -> None:
    net, y = make("sigmoid", backend, members=2), TARGETS["sigmoid"][:, 0]
    w = np.stack([WEIGHTS["weighted"], WEIGHTS["some zero"]])
    subsets = [np.arange(50), np.arange(20, 57)]
    history = net.fit(
        X, y, epochs=1, validation=0.5, metrics="roc_auc", sample_weight=w, subsets=subsets, shuffle=False
    )
    for i, (rows, p) in enumerate(zip(subsets, net.predict(X), strict=True)):
        out = rows[-math.ceil(len(rows) / 2) :]
        expected = reference.roc_auc_score(y[out], p[out, 0], sample_weight=w[i][out])
        assert_allclose(history["validation_roc_auc"][0][i], expected, rtol=1e-12)


def test_more_rows_than_are_computed_at_once_have_one_score(backend: Backend) -> None:
    net, rows = make("softmax", backend, members=2), np.tile(np.arange(N), 160)
    w = RNG.uniform(size=(2, len(rows)))
    names = ("accuracy", "roc_auc")
    values = net.evaluate(X[rows], TARGETS["softmax"][rows], metrics=names, sample_weight=w)
    for i, p in enumerate(net.predict(X)):
        for name in names:
            expected = SCORES[name]("softmax", TARGETS["softmax"][rows], p[rows], w[i])
            assert_allclose(values[name][i], expected, rtol=1e-11)


def test_tied_scores_count_one_half(backend: Backend) -> None:
    net, x = make("sigmoid", backend), np.round(X[:, :1]) @ np.ones((1, 4))
    y, w = TARGETS["sigmoid"], WEIGHTS["weighted"]
    p = net.predict(x)
    assert len(np.unique(p)) < 10
    for weight in (None, w):
        value = net.evaluate(x, y, metrics="roc_auc", sample_weight=weight)["roc_auc"]
        assert_allclose(value, reference.roc_auc_score(y, p, sample_weight=weight), rtol=1e-12)


@pytest.mark.parametrize("y", [np.zeros((N, 1)), np.ones((N, 1))])
def test_the_area_is_not_a_number_where_a_class_is_missing(backend: Backend, y: np.ndarray) -> None:
    assert math.isnan(make("sigmoid", backend).evaluate(X, y, metrics="auc")["roc_auc"])


@pytest.mark.parametrize("offset", [0.0, 0.1, 7.0, 1e5])
def test_a_constant_target_is_worth_one_or_nothing(backend: Backend, offset: float) -> None:
    """As scikit-learn has it, but also where the mean of the constant is rounded, as that of 0.1 is."""
    net = mlpx.MLP([4, 1], output="linear", initializer="zeros", dtype="float64", backend=backend)
    y = np.full((N, 1), offset)
    for bias in (offset, offset + 1):
        net.set_weights(net.weights, [[bias]])
        assert net.evaluate(X, y)["r2"] == (bias == offset)


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
def test_r2_holds_for_targets_far_from_zero(offset: float) -> None:
    """Such as years or seconds since 1970: the spread counts, not the size."""
    net = mlpx.MLP([4, 1], output="linear", dtype="float64")
    net.set_weights(net.weights, [[offset]])
    y = net.predict(X) + RNG.normal(size=(N, 1))
    assert_allclose(net.evaluate(X, y)["r2"], reference.r2_score(y, net.predict(X)), rtol=1e-6)


def test_all_labels_of_a_sample_must_be_right() -> None:
    net = mlpx.MLP([1, 2], output="sigmoid", initializer="zeros", dtype="float64")
    net.set_weights(net.weights, [[1.0, -1.0]])
    values = net.evaluate([[0.0]] * 4, [[1, 0], [1, 1], [0, 0], [0, 1]], metrics=("accuracy", "error_rate"))
    assert (values["accuracy"], values["error_rate"]) == (0.25, 0.75)


def test_the_default_metric_fits_the_output() -> None:
    assert [list(make(kind).evaluate(X, TARGETS[kind])) for kind in ("softmax", "sigmoids", "linear")] == [
        ["loss", "accuracy"],
        ["loss", "accuracy"],
        ["loss", "r2"],
    ]


@pytest.mark.parametrize(
    ("kind", "name"), [("softmax", "r2"), ("softmax", "mae"), ("linear", "accuracy"), ("linear", "roc_auc")]
)
def test_a_metric_that_says_nothing_is_refused(kind: str, name: str) -> None:
    net, y = make(kind), TARGETS[kind]
    for call in (
        lambda: net.evaluate(X, y, metrics=name),
        lambda: net.fit(X, y, metrics=name, validation=0.2),
        lambda: net.fit(X, y, monitor=name, validation=0.2),
    ):
        with pytest.raises(ValueError, match=rf"`(metrics|monitor)` '{name}'"):
            call()
    assert net.steps_seen == [0]


def test_the_area_needs_validation_rows() -> None:
    for options in ({"metrics": "roc_auc"}, {"monitor": "roc_auc"}):
        with pytest.raises(ValueError, match=r"roc_auc.*`validation`"):
            make("softmax").fit(X, TARGETS["softmax"], **options)
