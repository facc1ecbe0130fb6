"""What may come in, and the one clear sentence for everything else."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import mlpx
from mlpx.backends import Backend

N = 12
RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(N, 3)), np.arange(N) % 2
TEXT = np.array(["no", "yes"])[Y]


def make(backend: Backend | str = "numpy", output: str = "softmax", **options) -> mlpx.MLP:
    units = 2 if output == "softmax" else 1
    return mlpx.MLP([3, 4, units], output=output, backend=backend, **{"dtype": "float64"} | options)


def state(net: mlpx.Network) -> tuple:
    return mlpx.to_numpy(net.vector).tobytes(), tuple(net.epochs_seen), tuple(net.steps_seen), net.classes


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.astype(float)
    changed[5, ...] = value
    return changed


class Sparse:
    """As SciPy's matrices are for those who do not know them."""

    shape = (N, 3)

    def toarray(self) -> np.ndarray:
        return X


# Refusals. Each names the argument.

WRONG_X = {
    "NaN": (with_value(X, np.nan), ValueError),
    "infinity": (with_value(X, -np.inf), ValueError),
    "no rows": (X[:0], ValueError),
    "too narrow": (X[:, :2], ValueError),
    "one-dimensional": (X[0], ValueError),
    "one axis too many": (X[None], ValueError),
    "a number": (1.0, ValueError),
    "complex": (X + 0j, TypeError),
    "objects": (X.astype(object), TypeError),
    "text": (X.astype(str), TypeError),
    "dates": (np.zeros((N, 3), dtype="M8[s]"), TypeError),
    "masked": (np.ma.masked_array(X, mask=X > 0), ValueError),
    "ragged": ([[1.0, 2.0, 3.0], [1.0, 2.0]], ValueError),
    "sparse": (Sparse(), TypeError),
}


@pytest.mark.parametrize("case", WRONG_X)
def test_wrong_features_are_refused_by_name(backend: Backend, case: str) -> None:
    wrong, error = WRONG_X[case]
    net = make(backend)
    before = state(net)
    for call in (
        lambda: net.fit(wrong, Y),
        lambda: net.predict(wrong),
        lambda: net.forward(wrong),
        lambda: net.evaluate(wrong, Y),
    ):
        with pytest.raises(error, match="`X`"):
            call()
    with pytest.raises(error, match=re.escape("`validation[0]`")):
        net.fit(X, Y, validation=(wrong, Y))
    assert state(net) == before


def test_a_path_is_no_array(backend: Backend) -> None:
    for path in ("a.bin", Path("a.bin")):
        for name, arguments in (("X", (path, Y)), ("y", (X, path))):
            with pytest.raises(TypeError, match=rf"`{name}` must be an array, got the text .*a.bin.*numpy.memmap"):
                make(backend).fit(*arguments)


def test_a_flat_file_is_answered_by_its_shape(backend: Backend, tmp_path: Path) -> None:
    X.tofile(tmp_path / "rows")
    flat = np.memmap(tmp_path / "rows", dtype=X.dtype, mode="r")
    with pytest.raises(ValueError, match=rf"`X`.*got \({3 * N},\). For a memmap give shape=\({N}, 3\)"):
        make(backend).fit(flat, Y)
    with pytest.raises(ValueError, match=r"For one sample use `X` in double brackets"):
        make(backend).fit(flat[:4], Y)


def test_a_type_is_called_by_its_own_name(backend: Backend) -> None:
    with pytest.raises(ValueError, match=r"too large for float64; the first"):
        make(backend).predict(with_value(X, np.inf))


def test_too_large_for_the_type_is_refused(backend: Backend) -> None:
    with pytest.raises(ValueError, match=r"`X`.*float32"):
        make(backend, dtype="float32").predict(with_value(X, 1e39))


WRONG_Y = {
    "too few": ("softmax", Y[:5], ValueError),
    "none": ("softmax", Y[:0], ValueError),
    "an index too large": ("softmax", Y + 1, ValueError),
    "an index below 0": ("softmax", Y - 1, ValueError),
    "three labels": ("softmax", np.array(list("abc"))[np.arange(N) % 3], ValueError),
    "one label": ("softmax", np.full(N, "a"), ValueError),
    "three labels for one sigmoid": ("sigmoid", np.array(list("abc"))[np.arange(N) % 3], ValueError),
    "label NaN": ("softmax", np.where(Y, np.nan, 1.0), ValueError),
    "mixed labels": ("softmax", np.array([1, "a"] * 6, dtype=object), TypeError),
    "labels missing": ("softmax", np.array(["a", None] * 6, dtype=object), TypeError),
    "bytes": ("softmax", np.array([b"a", b"b"])[Y], TypeError),
    "complex": ("softmax", Y + 0j, TypeError),
    "probabilities that do not sum to 1": ("softmax", np.full((N, 2), 0.4), ValueError),
    "negative probabilities": ("softmax", np.tile([1.5, -0.5], (N, 1)), ValueError),
    "one hot of three": ("softmax", np.eye(3)[np.arange(N) % 3], ValueError),
    "above 1 for a sigmoid": ("sigmoid", Y * 2.5, ValueError),
    "negative counts": ("exp", Y - 1.0, ValueError),
    "NaN": ("linear", with_value(X[:, 0], np.nan), ValueError),
    "two outputs for one": ("linear", X[:, :2], ValueError),
    "complex values": ("linear", X[:, 0] + 0j, TypeError),
    "text for values": ("linear", TEXT, TypeError),
    "masked": ("linear", np.ma.masked_array(X[:, 0], mask=Y), ValueError),
    "ragged": ("linear", [[1.0]] * 11 + [[1.0, 2.0]], ValueError),
}


@pytest.mark.parametrize("case", WRONG_Y)
def test_wrong_targets_are_refused_by_name(backend: Backend, case: str) -> None:
    output, wrong, error = WRONG_Y[case]
    net = make(backend, output)
    before = state(net)
    with pytest.raises(error, match="`y`"):
        net.fit(X, wrong)
    with pytest.raises((ValueError, TypeError), match="`y`"):
        net.evaluate(X, wrong)
    with pytest.raises((ValueError, TypeError), match=re.escape("`validation[1]`")):
        net.fit(X, Y if output != "linear" else X[:, 0], validation=(X, wrong))
    assert state(net) == before


def test_unknown_labels_are_named(backend: Backend) -> None:
    net = make(backend)
    net.fit(X, TEXT, epochs=1)
    before = state(net)
    for call in (
        lambda: net.fit(X, np.where(Y, "yes", "perhaps")),
        lambda: net.evaluate(X, np.where(Y, "yes", "perhaps")),
        lambda: net.fit(X, TEXT, validation=(X, np.full(N, "perhaps"))),
    ):
        with pytest.raises(ValueError, match=r"'no', 'yes'.*'perhaps'"):
            call()
    assert state(net) == before


WRONG_FIT = {
    "validation": ["0.2", True, 0, 1, 1.5, -0.1, np.nan, (X,), (X, Y, None, 1), X, {}, []],
    "epochs": ["3", 2.5, 0, -1, None, True],
    "batch_size": ["3", 2.5, 0, None, True],
    "optimizer": ["adan", 3, None, mlpx.Adam],
    "patience": ["3", 2.5, 0, True],
    "monitor": ["accurcy", 3, None, ["loss"]],
    "metrics": ["accurcy", 3, [3], None, mlpx.metrics.accuracy],
    "sample_weight": ["a", Y[:3], -np.ones(N), np.zeros(N), np.full(N, np.nan), X, Y + 0j, 3.0],
    "class_weight": ["balance", 3, {0: "a"}, {0: -1}, {9: 1}, {0: np.inf}, [1, 2], np.ones(2), {0: 0, 1: 0}],
    "label_smoothing": ["a", 1, -0.1, None, True, np.nan],
    "clip_norm": ["a", 0, -1, (1, 2), True, np.inf],
    "shuffle": ["no", None, 2],
    "subsets": [3, [[0]], "abc"],
    "shared_order": ["no", None],
    "callbacks": [3, [3], None, "abc"],
    "progress": ["no", None],
}


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name, values in WRONG_FIT.items() for wrong in values])
def test_wrong_arguments_of_fit_are_refused_by_name(name: str, wrong: object) -> None:
    net = make()
    before = state(net)
    with pytest.raises((ValueError, TypeError), match=rf"`{name}(\[.*\])?`"):
        net.fit(X, TEXT if name != "class_weight" else Y, **{name: wrong})
    assert state(net) == before


def test_what_needs_a_cross_entropy_or_classes_is_refused() -> None:
    for options, name in (
        ({"label_smoothing": 0.1}, "label_smoothing"),
        ({"class_weight": "balanced"}, "class_weight"),
    ):
        with pytest.raises(ValueError, match=f"`{name}`"):
            make(output="linear").fit(X, X[:, 0], **options)


WRONG_NETWORK = {
    "sizes": [3, [3], [], "ab", None],
    "sizes[1]": [[3, 0, 2], [3, "a", 2], [3, 2.5, 2]],
    "activation": ["rleu", 3, None, ["relu", "relu"], lambda z: z, lambda z, xp: z[..., :1]],
    "output": ["softmx", 3, None],
    "loss": ["cross_entrpy", 3, "binary_cross_entropy"],
    "l2": ["a", -1, None, (1, 2), np.nan],
    "dropout": ["a", 1, -0.1, None, (0.1, 0.2)],
    "input_dropout": ["a", 1, (0.1, 0.2)],
    "max_norm": ["a", 0, -1.0],
    "initializer": ["he_unifrm", 3],
    "dtype": ["float8", np.float32, None],
    "seed": [-1, 2**64, 1.5, None, [1]],
    "members": [0, "a", 2.5, True],
    "backend": ["numpi", 3],
    "device": ["cuda:0", "gpu", 3],
    "precision": ["tf32"],
}


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, wrong) for name, values in WRONG_NETWORK.items() for wrong in values]
)
def test_wrong_arguments_of_a_network_are_refused_by_name(name: str, wrong: object) -> None:
    options = {"sizes": [3, 4, 2], name.partition("[")[0]: wrong}
    with pytest.raises((ValueError, TypeError), match=re.escape(f"`{name}`")):
        mlpx.MLP(options.pop("sizes"), **options)


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: make("torhc"), "torch"),
        (lambda: make(activation="rleu"), "relu"),
        (lambda: make(output="softmx"), "softmax"),
        (lambda: make(loss="cross_entrpy"), "cross_entropy"),
        (lambda: make(initializer="he_unifrm"), "he_uniform"),
        (lambda: make().fit(X, Y, optimizer="adan"), "Adam"),
        (lambda: make().fit(X, Y, metrics="accurcy"), "accuracy"),
        (lambda: make().fit(X, Y, monitor="accurcy"), "accuracy"),
    ],
)
def test_a_slip_of_the_pen_gets_a_hint(call, near: str) -> None:
    with pytest.raises(ValueError, match=f"Did you mean '{near}'"):
        call()


def test_a_device_that_is_not_there_is_refused(backend: Backend) -> None:
    for device in ("cuda:99", "nowhere"):
        with pytest.raises(ValueError, match="`device`"):
            make(backend.name, device=device)


@pytest.mark.parametrize(
    "layers",
    [None, "abc", 3, [], [3], [mlpx.Dense(3, 4), mlpx.Dense(5, 2)], [mlpx.Dense(3, 4), mlpx.Dropout(0.5)]],
)
def test_layers_that_make_no_network_are_refused(layers: object) -> None:
    with pytest.raises((ValueError, TypeError), match="`layers"):
        mlpx.Network(layers)


WRONG_WEIGHTS = {
    "none": (None, ValueError),
    "a number": (3, ValueError),
    "too few": ([X[:3]], ValueError),
    "None": ([None, None], ValueError),
    "another shape": ([np.ones((4, 3)), np.ones((4, 2))], ValueError),
    "ragged": ([[[1.0, 2.0], [3.0]], np.ones((4, 2))], ValueError),
    "NaN": ([np.full((3, 4), np.nan), np.ones((4, 2))], ValueError),
    "too large for float32": ([np.full((3, 4), 1e39), np.ones((4, 2))], ValueError),
    "complex": ([np.ones((3, 4)) + 0j, np.ones((4, 2))], ValueError),
    "text": ([np.full((3, 4), "a"), np.ones((4, 2))], ValueError),
}


@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_wrong_weights_are_refused_by_name(backend: Backend, case: str) -> None:
    wrong, error = WRONG_WEIGHTS[case]
    net = make(backend, dtype="float32")
    before = state(net)
    with pytest.raises(error, match=r"`weights(\[0\])?`"):
        net.set_weights(wrong, net.biases)
    assert state(net) == before


def test_a_member_is_asked_for_by_number() -> None:
    for wrong in (1.0, "a", None):
        with pytest.raises(TypeError, match="`index`"):
            make(members=2).member(wrong)


# What is taken.


def test_any_number_of_rows_is_predicted(backend: Backend) -> None:
    """More than are computed at once."""
    rows = np.tile(X, (3000, 1))[:35000]
    net = make(backend, members=2)
    p = net.predict(rows)
    assert_allclose(p, np.tile(net.predict(X), (1, 3000, 1))[:, :35000], rtol=1e-13)
    p[...] = 0  # predictions are the user's


def foreign(name: str, array: np.ndarray):
    """Return an array of a library, skipping where it is missing."""
    if name == "numpy":
        return array
    return mlpx.get_backend(name).asarray(array.copy())


LIBRARIES = [info.name for info in mlpx.available_backends() if info.available]


@pytest.mark.parametrize("library", LIBRARIES)
def test_predictions_come_back_in_the_library_that_came_in(backend: Backend, library: str) -> None:
    net = make(backend)
    net.fit(foreign(library, X.astype(np.float32)), foreign(library, Y), epochs=1)
    given = foreign(library, X.astype(np.float32))
    for result in (net.predict(given), net.predict_labels(given)):
        assert type(result) is type(given)
        assert result.device == given.device
    assert mlpx.to_numpy(net.predict(given)).dtype == np.float64
    assert_allclose(mlpx.to_numpy(net.predict(given)), net.predict(X.astype(np.float32)), rtol=1e-12)
    net.classes = ("no", "yes")
    assert isinstance(net.predict_labels(given), np.ndarray)


LAYOUTS = {
    "lists": lambda x: x.tolist(),
    "tuples": lambda x: tuple(map(tuple, x.tolist())),
    "Fortran": np.asfortranarray,
    "negative strides": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "not contiguous": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "masked without a mask": np.ma.masked_array,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("read_only", [True, False])
def test_any_layout_is_taken_and_left_as_it_is(backend: Backend, layout: str, read_only: bool) -> None:
    x, y = LAYOUTS[layout](X), LAYOUTS[layout](np.eye(2)[Y])
    if read_only and isinstance(x, np.ndarray):
        x.flags.writeable = y.flags.writeable = False
    net, plain = make(backend), make(backend)
    net.fit(x, y, epochs=1)
    plain.fit(X, np.eye(2)[Y], epochs=1)
    assert_array_equal(np.asarray(x), X)
    assert_array_equal(np.asarray(y), np.eye(2)[Y])
    assert_array_equal(net.predict(x), plain.predict(X))
    assert isinstance(net.predict(x), np.ndarray)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "uint16", "int64", "uint64", "float16", "float32", "longdouble"]
)
def test_any_real_type_is_cast_once(backend: Backend, dtype: str) -> None:
    x = np.abs(X * 3).astype(dtype)
    before = x.copy()
    net = make(backend)
    assert_array_equal(net.predict(x), net.predict(x.astype(np.float64)))
    net.fit(x, (Y.astype(dtype) if dtype in ("int8", "int64", "uint64") else Y), epochs=1)
    assert_array_equal(x, before)
    assert x.dtype == before.dtype


def test_what_requires_a_gradient_is_taken_detached(backend: Backend) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch alone has such arrays")
    x = torch.tensor(X, requires_grad=True)
    net = make(backend)
    net.fit(x, torch.tensor(Y), epochs=1)
    assert not net.predict(x).requires_grad
    assert_allclose(net.predict(x).numpy(), net.predict(X), rtol=1e-12)
    assert_allclose(net.predict(x.bfloat16()).numpy(), net.predict(x.bfloat16().float()).numpy(), rtol=1e-12)


def test_pandas_tables_are_taken(backend: Backend) -> None:
    pandas = pytest.importorskip("pandas")
    whole = np.round(X * 3)
    columns = {
        "nullable": pandas.array(whole[:, 0], dtype="Int64"),
        "boolean": pandas.array(whole[:, 1] > 0, dtype="boolean"),
        "category": pandas.Categorical(whole[:, 2]),
    }
    table, plain = pandas.DataFrame(columns), np.column_stack([whole[:, 0], whole[:, 1] > 0, whole[:, 2]])
    net = make(backend)
    assert_array_equal(net.predict(table), net.predict(plain))
    for labels in (
        pandas.Series(TEXT),
        pandas.Series(TEXT, dtype="string"),
        pandas.Series(TEXT, dtype="category"),
        pandas.DataFrame({"target": TEXT}),
    ):
        net = make(backend)
        net.fit(table, labels, epochs=1)
        assert net.classes == ("no", "yes")
        assert set(net.predict_labels(table)) <= {"no", "yes"}
    table.loc[3, "nullable"] = pandas.NA
    with pytest.raises((ValueError, TypeError), match="`X`"):
        net.predict(table)


def test_polars_tables_are_taken(backend: Backend) -> None:
    polars = pytest.importorskip("polars")
    net = make(backend)
    net.fit(polars.DataFrame(X), polars.Series(TEXT), epochs=1)
    assert net.classes == ("no", "yes")
    assert_array_equal(net.predict(polars.DataFrame(X)), net.predict(X))


@pytest.mark.parametrize(
    ("output", "labels"),
    [
        *(
            (output, labels)
            for output in ("softmax", "sigmoid", "step")
            for labels in (("no", "yes"), (3, 7), (False, True))
        ),
        ("softmax", (-1.5, 0.5)),  # for a sigmoid floats are probabilities
    ],
)
def test_labels_come_back_as_they_came(backend: Backend, output: str, labels: tuple) -> None:
    # bare integers would be class indices
    values = np.array(labels, dtype=object if labels == (3, 7) else None)[Y]
    net = make(backend, output, seed=1)
    net.fit(X, values, epochs=200, optimizer=mlpx.Adam(0.05))
    assert net.classes == labels
    found = net.predict_labels(X)
    assert found.dtype == np.array(labels).dtype
    index = np.argmax(net.predict(X), axis=1) if output == "softmax" else (net.predict(X)[:, 0] > 0.5).astype(int)
    assert_array_equal(found, np.array(labels)[index])
    assert net.evaluate(X, values)["accuracy"] == np.mean(found == values)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_shape_type_and_stack_gives_finite_outputs_of_the_right_shape(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=2, max_size=4), label="sizes")
    members = data.draw(st.sampled_from([None, 1, 3]), label="members")
    n = data.draw(st.integers(1, 6), label="rows")
    dtype = data.draw(st.sampled_from(["float32", "float64", "int16", "uint8", "bool", "float16"]), label="dtype")
    stacked = members is not None and data.draw(st.booleans(), label="features by member")
    shape = (members, n, sizes[0]) if stacked else (n, sizes[0])
    limits = {"min_value": -1e3, "max_value": 1e3} if "float" in dtype else {}
    elements = hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False, **limits)
    x = data.draw(hnp.arrays(dtype, shape, elements=elements), label="X")
    name = data.draw(st.sampled_from(LIBRARIES), label="backend")
    net = mlpx.MLP(sizes, output="sigmoid", members=members, seed=n, backend=name)
    y = np.zeros((n, sizes[-1]))
    expected = (n, sizes[-1]) if members is None else (members, n, sizes[-1])
    before = x.copy()
    for fitted in (False, True):
        p = net.predict(x)
        assert p.shape == expected
        assert p.dtype == np.float32
        assert np.all((p >= 0) & (p <= 1))
        if not fitted and name != "jax":  # each new shape would be compiled
            net.fit(x, y, epochs=1, batch_size=data.draw(st.integers(1, 7), label="batch"), clip_norm=1.0)
    assert_array_equal(x, before)


@pytest.mark.parametrize("output", ["sigmoid", "step"])
def test_two_integers_are_labels_of_one_sigmoid_or_step_unit(output: str) -> None:
    net = mlpx.MLP([1, 1], output=output)
    x = [[-2.0], [-1.0], [1.0], [2.0]]
    net.fit(x, [-1, -1, 1, 1], epochs=60, optimizer=mlpx.Adam(0.1), progress=False)
    assert net.classes == (-1, 1)
    assert net.predict_labels(x).tolist() == [-1, -1, 1, 1]


def test_a_column_of_class_indices_is_taken_as_they_are() -> None:
    x, y = np.eye(3), np.array([[0], [2], [1]])
    column, flat = (mlpx.MLP([3, 3]) for _ in range(2))
    column.fit(x, y, epochs=2, progress=False)
    flat.fit(x, y[:, 0], epochs=2, progress=False)
    np.testing.assert_array_equal(column.vector, flat.vector)
