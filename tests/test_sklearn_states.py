"""The estimators in every state: copied, written to, interrupted, watched, and with the arrays of any library."""

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")

from sklearn.base import clone

import mlpx
from mlpx.activations import custom
from mlpx.backends import Backend, library_of
from mlpx.sklearn import MLPClassifier, MLPRegressor
from mlpx.sklearn.outputs import outputs_many
from sklearn_pairs import data

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, classes = data("classes")
_, indicators = data("indicators")
_, numbers = data("numbers")
_, outputs = data("outputs")
SHORT = {"hidden_layer_sizes": (6,), "max_iter": 4, "batch_size": 16, "random_state": 0}


def sine(z: Any, xp: Any) -> Any:
    return xp.sin(z)


def cosine(z: Any, xp: Any) -> Any:
    return xp.cos(z)


def assert_same(found: Any, expected: Any, tolerance: float = 0.0) -> None:
    for name in ("coefs_", "intercepts_"):
        for own, other in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(own, other, rtol=tolerance, atol=tolerance)


# Arrays of any library.


def foreign(backend: Backend, array: Any) -> Any:
    with backend.context():
        return backend.asarray(array)


@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}, {"dropout": 0.3}], ids=str)
@pytest.mark.parametrize(("cls", "y"), [(MLPClassifier, classes), (MLPRegressor, outputs)], ids=["classes", "outputs"])
def test_every_backend_gives_what_numpy_gives(cls: type, y: Any, settings: dict, backend: Backend) -> None:
    expected = cls(**SHORT | settings).fit(X, y)
    found = cls(**SHORT | settings, backend=backend.name).fit(X, y)
    assert_same(found, expected, tolerance=1e-9)
    assert isinstance(found.coefs_[0], np.ndarray)
    assert isinstance(found.predict(X), np.ndarray)
    assert found.network_.backend.name == backend.name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_come_back_in_kind(dtype: str, backend: Backend) -> None:
    x, y = foreign(backend, X.astype(dtype)), foreign(backend, classes)
    model = MLPClassifier(**SHORT).fit(x, y)
    assert model.coefs_[0].dtype == dtype
    expected = MLPClassifier(**SHORT).fit(X.astype(dtype), classes)
    assert_same(model, expected, tolerance=1e-4 if dtype == "float32" else 1e-9)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        found = getattr(model, method)(x)
        assert library_of(found) is library_of(x)
        assert backend.array_device(found) == backend.device_name
        kept = expected if dtype == "float32" else model
        np.testing.assert_allclose(mlpx.to_numpy(found), getattr(kept, method)(X.astype(dtype)), rtol=1e-3)
    assert str(model.predict_proba(x).dtype).endswith(dtype)
    assert model.score(x, y) == model.score(X, classes)
    values = MLPRegressor(**SHORT).fit(x, foreign(backend, numbers)).predict(x)
    assert library_of(values) is library_of(x)
    assert values.shape == (60,)


def test_another_device_than_the_first() -> None:
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    x, y = strict.asarray(X, device=device), strict.asarray(classes, device=device)
    for settings in ({}, {"solver": "lbfgs"}, {"dropout": 0.3, "early_stopping": True, "clip_norm": 1.0}):
        model = MLPClassifier(**SHORT | settings).fit(x, y)
        assert model.predict(x).device == model.predict_log_proba(x).device == device
        assert_same(model, MLPClassifier(**SHORT | settings).fit(X, classes), tolerance=1e-9)


def test_a_fitted_estimator_takes_arrays_of_any_library(backend: Backend) -> None:
    model = MLPClassifier(**SHORT).fit(X, classes)
    found = model.predict_proba(foreign(backend, X))
    np.testing.assert_allclose(mlpx.to_numpy(found), model.predict_proba(X), rtol=1e-9)
    model.partial_fit(foreign(backend, X), foreign(backend, classes))
    assert_same(model, MLPClassifier(**SHORT).fit(X, classes).partial_fit(X, classes), tolerance=1e-9)


def test_types() -> None:
    half = MLPClassifier(**SHORT, dtype="float32").fit(X, classes)
    assert {array.dtype for array in (*half.coefs_, *half.intercepts_)} == {np.dtype("float32")}
    whole = MLPClassifier(**SHORT, dtype="float64").fit(X.astype("float32"), classes)
    assert whole.coefs_[0].dtype == np.float64
    one = MLPClassifier(**SHORT).fit(X.astype("float32"), classes)
    for _ in range(2):
        one.partial_fit(X.astype("float32"), classes)
    assert one.coefs_[0].dtype == one.predict_proba(X.astype("float32")).dtype == np.float32


# Copies.

STATES: dict[str, Any] = {
    "fit": lambda: MLPClassifier(**SHORT).fit(X, classes),
    "partial_fit": lambda: MLPClassifier(**SHORT).partial_fit(X, classes, classes=[0, 1, 2]),
    "L-BFGS": lambda: MLPClassifier(**SHORT, solver="lbfgs").fit(X, classes),
    "early stopping": lambda: MLPClassifier(**SHORT, early_stopping=True).fit(X, classes),
    "dropout": lambda: MLPClassifier(**SHORT, dropout=0.3).fit(X, classes),
    "an optimizer": lambda: MLPClassifier(**SHORT, optimizer=mlpx.AdamW(1e-2)).fit(X, classes),
    "an own activation": lambda: MLPClassifier(**SHORT, activation=custom(sine, cosine)).fit(X, classes),
    "a callback": lambda: MLPClassifier(**SHORT, callbacks=[mlpx.Callback()]).fit(X, classes),
    "words": lambda: MLPClassifier(**SHORT).fit(X, np.array(["a", "b", "c"])[classes]),
    "indicators": lambda: MLPClassifier(**SHORT).fit(X, indicators),
    "a loss": lambda: MLPRegressor(mlpx.losses.quantile(0.3), **SHORT).fit(X, outputs),
    "a generator": lambda: MLPRegressor(**SHORT | {"random_state": np.random.RandomState(3)}).fit(X, numbers),
}


def through_joblib(estimator: Any) -> Any:
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def targets_of(estimator: Any) -> Any:
    if isinstance(estimator, MLPRegressor):
        return outputs if estimator.n_outputs_ == 3 else numbers
    return indicators if estimator.out_activation_ == "logistic" else estimator.classes_[classes]


@pytest.mark.parametrize(
    "through",
    [lambda each: pickle.loads(pickle.dumps(each)), through_joblib, copy.deepcopy],
    ids=["pickle", "joblib", "copy"],
)
@pytest.mark.parametrize("state", STATES)
def test_copies_predict_and_go_on_alike(state: str, through: Any) -> None:
    one = STATES[state]()
    other = through(one)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    y = targets_of(one)
    if one.early_stopping or one.solver == "lbfgs":
        one.set_params(warm_start=True).fit(X, y)
        other.set_params(warm_start=True).fit(X, y)
    else:
        one.partial_fit(X, y)
        other.partial_fit(X, y)
    assert_same(one, other)


@pytest.mark.parametrize("state", STATES)
def test_a_clone_knows_nothing_and_learns_the_same(state: str) -> None:
    one = STATES[state]()
    fresh = clone(one)
    assert not hasattr(fresh, "coefs_")
    if state not in ("partial_fit", "a generator"):  # whose generator has gone on
        assert_same(fresh.fit(X, targets_of(one)), one)


def test_a_shallow_copy_does_not_change_the_original() -> None:
    one = MLPClassifier(**SHORT).fit(X, classes)
    before, losses = one.predict_proba(X), list(one.loss_curve_)
    copy.copy(one).partial_fit(X, classes)
    np.testing.assert_array_equal(one.predict_proba(X), before)
    assert one.loss_curve_ == losses


# Attributes that are written to.


def test_weights_in_place_are_used_at_once() -> None:
    model = MLPClassifier(**SHORT).fit(X, classes)
    for array in (*model.coefs_, *model.intercepts_):
        array[:] = 0
    np.testing.assert_allclose(model.predict_proba(X), 1 / 3)
    np.testing.assert_array_equal(mlpx.to_numpy(model.network_.weights[0]), 0)
    model.coefs_[1] = np.eye(6, 3)
    model.intercepts_ = [np.ones(6), np.zeros(3)]
    odds = np.exp([1.0, 1.0, 1.0])
    np.testing.assert_allclose(model.predict_proba(X), np.tile(odds / odds.sum(), (60, 1)))


@pytest.mark.parametrize("shape", ["one", "many"])
def test_predictions_are_those_of_the_network(shape: str, backend: Backend) -> None:
    """Also of more rows than go through the layers at once."""
    options = SHORT | {"hidden_layer_sizes": (40, 6), "activation": ["tanh", "relu"], "dropout": 0.2}
    models = [MLPClassifier(**options | {"random_state": i}, backend=backend.name).fit(X, classes) for i in range(2)]
    rows = np.tile(X, (70, 1)) + np.arange(4200)[:, None] / 4200
    found = outputs_many(models, rows, rows) if shape == "many" else [model.predict_proba(rows) for model in models]
    for model, own in zip(models, found, strict=True):
        np.testing.assert_allclose(own, model.network_.predict(rows), rtol=1e-12)


def test_features_beyond_the_range_of_the_network_are_refused() -> None:
    model = MLPRegressor(**SHORT).fit(X.astype("float32"), numbers)
    with pytest.raises(ValueError, match="too large for float32; the first at \\[1, 0\\]"):
        model.predict([[0.0] * 5, [1e300] * 5])


@pytest.mark.parametrize("go_on", ["partial_fit", "fit"])
def test_training_goes_on_from_weights_that_were_written(go_on: str) -> None:
    models = [MLPRegressor(**SHORT, warm_start=True).fit(X, numbers) for _ in range(2)]
    models[0].coefs_[0][:] *= 0.5
    models[1].coefs_ = [0.5 * models[1].coefs_[0], models[1].coefs_[1].tolist()]
    models[1].coefs_[1] = np.asarray(models[1].coefs_[1])
    for model in models:
        getattr(model, go_on)(X, numbers)
    assert_same(*models)
    untouched = MLPRegressor(**SHORT, warm_start=True).fit(X, numbers)
    getattr(untouched, go_on)(X, numbers)
    assert not np.allclose(untouched.coefs_[0], models[0].coefs_[0])


def test_weights_of_another_shape_are_refused() -> None:
    model = MLPRegressor(**SHORT, warm_start=True).fit(X, numbers)
    model.coefs_[0] = np.zeros((5, 7))
    with pytest.raises(ValueError, match=r"`coefs_` have the shapes \[\(5, 7\), \(6, 1\)\]"):
        model.fit(X, numbers)
    model.set_params(hidden_layer_sizes=(3,))
    with pytest.raises(ValueError, match="keep both as they were, or fit with warm_start=False"):
        model.partial_fit(X, numbers)


# Callbacks.


def test_callbacks_of_every_form() -> None:
    seen: list[Any] = []

    class Record(mlpx.Callback):
        def start(self, run: Any) -> None:
            seen.append("start")

        def epoch(self, run: Any) -> None:
            seen.append(run.epoch)

        def end(self, run: Any) -> None:
            seen.append("end")

    MLPClassifier(**SHORT, callbacks=Record()).fit(X, classes)
    assert seen == ["start", 1, 2, 3, 4, "end"]
    rows: list[dict] = []
    model = MLPClassifier(**SHORT, callbacks=(Record(), lambda run: rows.append(dict(run.row)))).fit(X, classes)
    assert [row["loss"] for row in rows] == model.loss_curve_
    expected = MLPClassifier(**SHORT).fit(X, classes)
    assert_same(model, expected)


def test_a_callback_ends_training() -> None:
    model = MLPClassifier(**SHORT, callbacks=lambda run: run.stop() if run.epoch == 2 else None).fit(X, classes)
    assert model.n_iter_ == 2
    assert_same(model, MLPClassifier(**SHORT | {"max_iter": 2}).fit(X, classes))


@pytest.mark.parametrize("early_stopping", [False, True], ids=["", "early stopping"])
@pytest.mark.parametrize("when", ["start", "begin", "epoch"])
def test_an_interruption_leaves_a_model(when: str, early_stopping: bool) -> None:
    class Interrupt(mlpx.Callback):
        pass

    def interrupt(self: Any, run: Any) -> None:
        if run.epoch == 2 or when == "start":
            raise KeyboardInterrupt

    setattr(Interrupt, when, interrupt)
    model = MLPClassifier(**SHORT, callbacks=Interrupt(), early_stopping=early_stopping)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        model.fit(X, classes)
    assert model.n_iter_ == len(model.loss_curve_) == (0 if when == "start" else 2)
    assert model.predict(X).shape == (60,)
    model.set_params(callbacks=None, early_stopping=False).partial_fit(X, classes)
    assert len(model.loss_curve_) == model.n_iter_ + (0 if when == "start" else 2)


def test_an_error_of_a_callback_comes_through() -> None:
    def fail(run: Any) -> None:
        if run.epoch == 2:
            msg = "boo"
            raise RuntimeError(msg)

    model = MLPClassifier(**SHORT, callbacks=fail)
    with pytest.raises(RuntimeError, match="boo"):
        model.fit(X, classes)
    assert (model.n_iter_, model.t_, model.loss_curve_) == (0, 0, [])
    assert_same(model.set_params(callbacks=None).fit(X, classes), MLPClassifier(**SHORT).fit(X, classes))


@pytest.mark.parametrize(
    ("given", "message"), [([3], r"`callbacks\[0\]` must be a Callback"), (3, "'callbacks' parameter of MLPClassifier")]
)
def test_what_is_no_callback(given: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        MLPClassifier(**SHORT, callbacks=given).fit(X, classes)


def test_a_progress_bar_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    MLPClassifier(**SHORT, progress=True).fit(X, classes)
    assert "4/4" in terminal.getvalue()


def test_callbacks_of_scikit_learn_see_every_epoch() -> None:
    pytest.importorskip("sklearn.callback")
    tasks: list[str] = []

    class Watch:
        max_propagation_depth = 0

        def setup(self, *args: Any, **params: Any) -> None: ...

        def teardown(self, *args: Any, **params: Any) -> None: ...

        def on_fit_task_begin(self, *args: Any, **params: Any) -> None: ...

        def on_fit_task_end(self, estimator: Any, context: Any, **params: Any) -> None:
            tasks.append(context.task_name)

    for settings in ({}, {"solver": "lbfgs"}):
        tasks.clear()
        model = MLPClassifier(**SHORT, **settings)
        model.set_callbacks(Watch()).fit(X, classes)
        assert tasks.count("epoch") == model.n_iter_ == 4
        assert tasks[-1] == "fit"


# Parameters that change between two fits.


def test_partial_fit_after_another_optimizer_begins_with_a_fresh_memory() -> None:
    changes: list[dict] = [{"solver": "sgd"}, {"solver": "adam"}, {"momentum": 0.0, "solver": "sgd"},
                           {"optimizer": mlpx.RMSProp()}, {"optimizer": None}]  # fmt: skip
    model = MLPClassifier(**SHORT).partial_fit(X, classes, classes=[0, 1, 2])
    for change in changes:
        model.set_params(**change)
        alone = clone(model).partial_fit(X, classes, classes=[0, 1, 2])
        alone.coefs_, alone.intercepts_ = copy.deepcopy(model.coefs_), copy.deepcopy(model.intercepts_)
        alone._carried = None
        assert_same(model.partial_fit(X, classes), alone.partial_fit(X, classes))


def test_a_label_where_there_were_indicators() -> None:
    model = MLPClassifier(**SHORT).partial_fit(X, indicators, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"`y` must be indicators of shape \(n_samples, 3\), as before"):
        model.partial_fit(X, classes)


def test_weights_of_any_kind_of_number() -> None:
    model = MLPClassifier(**SHORT).fit(X, classes)
    expected = model.predict_proba(X)
    model.coefs_ = [coef.tolist() for coef in model.coefs_]
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    model.partial_fit(X, classes)
    model.coefs_ = [np.ones(coef.shape, dtype=int) for coef in model.coefs_]
    assert model.predict_proba(X).dtype == model.partial_fit(X, classes).coefs_[0].dtype == np.float64


@pytest.mark.parametrize("early_stopping", [False, True])
def test_gradient_descent_goes_on_after_lbfgs(early_stopping: bool) -> None:
    model = MLPClassifier(**SHORT, solver="lbfgs", warm_start=True).fit(X, classes)
    before = model.loss_
    model.set_params(solver="sgd", learning_rate_init=1e-6, early_stopping=early_stopping).fit(X, classes)
    assert len(model.loss_curve_) == 4
    assert model.loss_ == pytest.approx(before, abs=0.2)


@pytest.mark.parametrize("bad", [{"X_val": X[:, :2], "y_val": classes}, {"X_val": X, "y_val": classes + 7}])
def test_a_refused_fit_leaves_the_parameters(bad: dict) -> None:
    model = MLPClassifier(**SHORT).fit(X, classes)
    before = [coef.copy() for coef in model.coefs_]
    with pytest.raises(ValueError, match=r"X has 2 features|has classes not in"):
        model.fit(X, classes, **bad)
    for found, expected in zip(model.coefs_, before, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert model.t_ == SHORT["max_iter"] * len(X)


def test_parameters_that_a_user_has_set_are_gone_on_from() -> None:
    model = MLPRegressor(**SHORT, warm_start=True)
    rng = np.random.default_rng(0)
    model.coefs_ = [rng.normal(size=(X.shape[1], 6)), rng.normal(size=(6, 1))]
    model.intercepts_ = [np.zeros(6), np.zeros(1)]
    start = model.coefs_[0].copy()
    model.set_params(learning_rate_init=1e-12, max_iter=1).fit(X, numbers)
    np.testing.assert_allclose(model.coefs_[0], start, rtol=0, atol=1e-10)
