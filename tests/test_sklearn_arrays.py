"""Arrays of any library: checked as scikit-learn checks them, left where they are, and given back in kind."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier as Reference
from sklearn.utils.validation import validate_data

import mlpx
from mlpx.backends import Backend, library_of
from mlpx.backends.gathering import HostRows
from mlpx.sklearn import arrays, sparse
from mlpx.sklearn.predictions import labels, probabilities
from mlpx.sklearn.sparse import dense_rows

RNG = np.random.default_rng(3)
X = RNG.standard_normal((40, 5)).astype("float32")
Y = np.where(X[:, 0] > 0, "b", "a")


class Blank(BaseEstimator):
    """Knows nothing yet."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def foreign(backend: Backend, array: Any) -> Any:
    """Return an array of the backend's library as a user has it."""
    with backend.context():
        return backend.asarray(array)


def refusal(function: Any) -> str:
    with pytest.raises((ValueError, TypeError)) as error:
        function()
    return str(error.value)


def taken(estimator: Any, x: Any) -> Any:
    """Return features as a fit takes them in; the estimator learns their number and names."""
    return arrays.check_training_data(estimator, x, np.zeros(x.shape[0]), reset=True)[0]


@pytest.fixture(params=[False, True], ids=["plain", "dispatch"])
def dispatch(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Without and with scikit-learn's own support of array libraries."""
    with sklearn.config_context(array_api_dispatch=request.param):
        yield request.param


# Features.


@pytest.mark.usefixtures("dispatch")
def test_an_array_stays_where_it_is(backend: Backend) -> None:
    estimator = Blank()
    x = foreign(backend, X)
    found, y = arrays.check_training_data(estimator, x, Y, reset=True)
    if backend.name == "numpy":
        assert np.shares_memory(found, x)
    else:
        assert found is x
    assert isinstance(y, np.ndarray)
    assert estimator.n_features_in_ == 5
    assert not hasattr(estimator, "feature_names_in_")
    assert arrays.check_features(estimator, x) is not None


WRONG: dict[str, Any] = {
    "one axis": np.ones(4, "float32"),
    "three axes": np.ones((2, 2, 2), "float32"),
    "no axis": np.asarray(1.0),
    "no rows": np.ones((0, 3), "float32"),
    "no features": np.ones((3, 0), "float32"),
    "nan": np.asarray([[1.0, np.nan]], "float32"),
    "infinity": np.asarray([[1.0, np.inf]], "float64"),
    "both": np.asarray([[np.inf, -np.inf]], "float32"),
    "complex": np.ones((2, 2), "complex64"),
}


@pytest.mark.usefixtures("dispatch")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_refused_in_scikit_learns_words(kind: str, backend: Backend) -> None:
    x, y = foreign(backend, WRONG[kind]), np.zeros(len(np.atleast_1d(WRONG[kind])))
    with sklearn.config_context(array_api_dispatch=False):
        wanted = refusal(
            lambda: validate_data(Reference(), WRONG[kind], y, dtype=(np.float64, np.float32), multi_output=True)
        )
    assert refusal(lambda: arrays.check_training_data(Reference(), x, y, reset=True)) == wanted
    assert refusal(lambda: arrays.check_features(Reference(), x)) == wanted


@pytest.mark.usefixtures("dispatch")
def test_large_numbers_are_finite_though_their_sum_is_not(backend: Backend) -> None:
    x = foreign(backend, np.full((4, 2), 3e38, "float32"))
    assert taken(Blank(), x).shape == (4, 2)


@pytest.mark.usefixtures("dispatch")
def test_number_and_names_of_features_are_compared(backend: Backend) -> None:
    pd = pytest.importorskip("pandas")
    estimator = Blank()
    taken(estimator, pd.DataFrame(X, columns=list("abcde")))
    assert estimator.feature_names_in_.tolist() == list("abcde")
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Blank was fitted with"):
        arrays.check_features(estimator, foreign(backend, X))
    taken(estimator, foreign(backend, X))
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.raises(ValueError, match="X has 4 features, but Blank is expecting 5 features as input"):
        arrays.check_features(estimator, foreign(backend, X[:, :4]))


@pytest.mark.usefixtures("dispatch")
def test_rows_and_targets_must_be_as_many(backend: Backend) -> None:
    for y in (Y[:-1], foreign(backend, np.zeros(39))):
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[40, 39\]"):
            arrays.check_training_data(Blank(), foreign(backend, X), y, reset=True)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        arrays.check_training_data(Blank(), foreign(backend, X), None, reset=True)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        arrays.check_training_data(Blank(), foreign(backend, X), np.full(40, np.nan), reset=True)


def test_tables_and_lists_become_numpy() -> None:
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    for given in (frame, pl.from_pandas(frame), frame.to_numpy().tolist()):
        estimator = Blank()
        found, y = arrays.check_training_data(estimator, given, pd.Series([1, 0]), reset=True)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float64
        assert isinstance(y, np.ndarray)
        assert hasattr(estimator, "feature_names_in_") == (not isinstance(given, list))


def test_a_sparse_array_of_another_library_is_refused() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls these rows a beta version
        by_rows = torch.eye(3).to_sparse_csr()
    for tensor in (torch.eye(3).to_sparse(), by_rows):
        with pytest.raises(TypeError, match=r"`X` must be dense .* got a sparse Tensor; give its to_dense\(\)"):
            taken(Blank(), tensor)
    with pytest.raises(TypeError, match=r"`X` must be dense"):
        arrays.check_training_data(Blank(), torch.eye(3).to_sparse(), [0, 1, 0], reset=True)


def test_a_tensor_that_records_its_gradient_is_taken() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    found, _ = arrays.check_training_data(Blank(), x, Y, reset=True)
    assert mlpx.MLP([5, 2], backend=arrays.backend_for(found)).predict(found).shape == (40, 2)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        taken(Blank(), x / 0 * 0)


# Targets and weights.


@pytest.mark.usefixtures("dispatch")
def test_targets_and_weights_come_to_the_host(backend: Backend) -> None:
    index = (Y == "b").astype("int64")
    _, y = arrays.check_training_data(Blank(), X, foreign(backend, index), reset=True)
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, index)
    weight = np.linspace(0, 1, 40)
    for x in (X, foreign(backend, X), sp.csr_array(X)):
        found = arrays.check_weights(foreign(backend, weight), x)
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, weight)
    assert arrays.check_weights(None, X) is None
    wrong = refusal(lambda: arrays.check_weights(foreign(backend, weight[:5]), X))
    assert wrong == refusal(lambda: arrays.check_weights(weight[:5], X))
    assert "sample_weight" in wrong


def test_numbers_that_came_as_objects_become_numbers_where_asked() -> None:
    y = np.asarray([1, 2.5, 3], dtype=object)
    assert arrays.check_training_data(Blank(), X[:3], y, reset=True)[1].dtype == object
    assert arrays.check_training_data(Blank(), X[:3], y, reset=True, numeric=True)[1].dtype == np.float64
    torch = pytest.importorskip("torch")
    x = torch.tensor(X[:3])
    assert arrays.check_training_data(Blank(), x, y, reset=True, numeric=True)[1].dtype == np.float64


# Where and in what type a network computes.


def test_a_network_lives_where_the_features_are(backend: Backend) -> None:
    x = foreign(backend, X)
    assert arrays.backend_for(x) is mlpx.get_backend(backend.name, backend.device_name) or backend.name == "numpy"
    assert arrays.backend_for(x).name == backend.name
    assert arrays.backend_for(x, "numpy").name == "numpy"
    assert arrays.backend_for(X, backend.name).name == backend.name
    with mlpx.use_backend("array_api_strict"):
        assert arrays.backend_for(x).name == (backend.name if backend.name != "numpy" else "array_api_strict")
        assert arrays.backend_for(sp.csr_array(X)).name == "array_api_strict"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("float64", "float64"), ("float32", "float32"), ("float16", "float64"), ("int32", "float64"), ("bool", "float64")],
)
def test_types_follow_scikit_learns_rule(given: str, wanted: str, backend: Backend) -> None:
    if backend.name == "array_api_strict" and given == "float16":
        pytest.skip("the standard has no such type")
    x = taken(Blank(), foreign(backend, (X > 0).astype(given)))
    assert arrays.dtype_for(x) == wanted
    assert arrays.dtype_for(x, "float16") == "float16"
    reference = validate_data(Blank(), (X > 0).astype(given), dtype=(np.float64, np.float32))
    assert reference.dtype == wanted
    with pytest.raises(ValueError, match="`dtype` must be"):
        arrays.dtype_for(x, "int8")


# Sparse rows.


def test_a_small_sparse_matrix_is_dense_at_once() -> None:
    found = taken(Blank(), sp.csc_array(X))
    assert sp.issparse(found)
    np.testing.assert_array_equal(dense_rows(found), X)
    assert dense_rows(X) is X


def test_a_large_sparse_matrix_is_never_dense_as_a_whole() -> None:
    wide = sp.random_array((200_000, 1000), density=1e-5, format="csc", dtype="float32", rng=0)
    rows = dense_rows(wide)
    assert isinstance(rows, HostRows)
    assert rows.shape == (200_000, 1000)
    index = np.asarray([5, 3, 199_999, 3])
    np.testing.assert_array_equal(rows.take(index), wide.tocsr()[index].toarray())
    seen = 0
    for (start,), piece in rows.chunks():
        assert piece.nbytes <= 2**23
        seen += piece.shape[0]
        if start == 0:
            np.testing.assert_array_equal(piece, wide.tocsr()[: len(piece)].toarray())
    assert seen == 200_000


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.coo_array])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_networks_learn_from_sparse_rows_as_from_dense_ones(
    kind: Any, dtype: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend.name == "jax" and (kind, dtype) != (sp.csr_array, "float32"):
        pytest.skip("compiling takes long, and one case is enough")
    dense = (X * (X > 0) * 5).astype(dtype)
    monkeypatch.setattr(sparse, "MOST_DENSE", 0)
    found, y = arrays.check_training_data(Blank(), kind(dense), Y, reset=True)
    rows = dense_rows(found)
    assert isinstance(rows, HostRows)
    how: dict[str, Any] = {"epochs": 3, "batch_size": 16, "progress": False, "validation": 0.2, "metrics": "accuracy"}
    net, plain = (mlpx.MLP([5, 4, 2], dtype=arrays.dtype_for(found), backend=backend) for _ in range(2))
    history = net.fit(rows, y, **how)
    wanted = plain.fit(dense, y, **how)
    np.testing.assert_allclose(mlpx.to_numpy(net.vector), mlpx.to_numpy(plain.vector), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(history["validation_loss"], wanted["validation_loss"], rtol=1e-6)
    assert isinstance(net.predict(rows), np.ndarray)
    np.testing.assert_allclose(net.predict(rows), plain.predict(dense), rtol=1e-6)
    with pytest.raises(ValueError, match=r"`X` must have the shape \(n_samples, 6\), got \(40, 5\)"):
        mlpx.MLP([6, 2], backend=backend).predict(rows)


def test_few_long_rows_are_predicted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    take = HostRows.take
    monkeypatch.setattr(HostRows, "take", lambda self, index: taken.append(len(index)) or take(self, index))
    wide = sp.random_array((300, 2**17), density=1e-4, format="csr", dtype="float32", rng=0)
    monkeypatch.setattr(sparse, "MOST_DENSE", 0)
    net = mlpx.MLP([2**17, 2])
    outputs = net.predict(dense_rows(wide))
    assert taken == [128, 128, 44]  # 64 MiB
    np.testing.assert_allclose(outputs, net.predict(wide.toarray()), rtol=1e-5)
    net.evaluate(dense_rows(wide), np.zeros(300, int))
    assert max(taken) == 128


def test_sparse_input_is_refused_in_scikit_learns_words() -> None:
    bad = sp.csr_array(np.asarray([[1.0, np.nan]]))
    wanted = refusal(lambda: Reference().fit(bad, [0]))
    assert refusal(lambda: arrays.check_training_data(Reference(), bad, [0], reset=True)) == wanted


# Giving back.


@pytest.mark.usefixtures("dispatch")
def test_predictions_come_back_in_kind(backend: Backend) -> None:
    x = foreign(backend, X.astype("float64"))
    for sizes, output, activation in (([5, 3], "softmax", "softmax"), ([5, 1], "sigmoid", "logistic")):
        net = mlpx.MLP(sizes, output=output, dtype="float64", backend=arrays.backend_for(x))
        outputs = net.predict(x)
        found = probabilities(outputs)
        assert type(found) is type(x)
        assert str(found.dtype) == str(x.dtype)
        host = mlpx.to_numpy(found)
        np.testing.assert_allclose(host.sum(axis=1), 1, rtol=1e-15)
        classes = np.asarray([3, 5, 9])[: host.shape[1]]
        decided = labels(outputs, classes, activation, x)
        assert library_of(decided) is type(backend)
        np.testing.assert_array_equal(mlpx.to_numpy(decided), classes[host.argmax(axis=1)])
        text = labels(outputs, np.asarray(["x", "y", "z"]), activation, x)
        assert isinstance(text, np.ndarray)
        assert set(text) <= {"x", "y", "z"}


def test_several_sigmoids_decide_each_for_itself() -> None:
    outputs = np.asarray([[0.2, 0.7], [0.5, 0.9]])
    decided = labels(outputs, np.asarray([0, 1]), "logistic", X)
    np.testing.assert_array_equal(decided, [[0, 1], [0, 1]])
    assert probabilities(outputs) is outputs


def test_for_tables_lists_and_sparse_rows_numpy_comes_back() -> None:
    pd = pytest.importorskip("pandas")
    outputs = np.asarray([[0.2, 0.8]])
    for given in (pd.DataFrame(X), X.tolist(), sp.csr_array(X), X):
        assert isinstance(labels(outputs, np.asarray([1, 2]), "softmax", given), np.ndarray)
