"""Faults that were reported once, and the rules that they broke."""

import contextlib
import copy
import dataclasses
import inspect
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mlpx
from mlpx import activations, initializers, losses, schedules
from mlpx.backends import Backend

RNG = np.random.default_rng(11)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))
HUGE = 1e4  # whose exponential overflows, whatever the type
FEW = mlpx.SGD(1e-12)


def vector_of(net: mlpx.Network) -> np.ndarray:
    return mlpx.to_numpy(net.vector).copy()


def assert_same_history(found: mlpx.History, wanted: mlpx.History, rtol: float = 1e-12) -> None:
    assert set(found) == set(wanted)
    for name in wanted:
        assert np.all(np.isfinite(wanted[name])), name
        assert_allclose(found[name], wanted[name], rtol=rtol, err_msg=name)


# Numbers may be NumPy's scalars.

HALF, TWO, YES = np.float64(0.5), np.int64(2), np.bool_(True)
DESCRIPTIONS = [
    activations.leaky_relu(gamma=np.float64(0.2)),
    activations.elu(np.float64(0.3)),
    activations.swish(np.float64(1.7)),
    losses.huber(np.float64(0.3)),
    losses.quantile(np.float64(0.9)),
    initializers.uniform(HALF),
    initializers.normal(HALF),
    initializers.constant(HALF),
    mlpx.Dropout(HALF, scale=np.float64(1.5)),
    mlpx.AlphaDropout(HALF),
    mlpx.Dense(TWO, TWO, max_norm=HALF),
    mlpx.Embedding(TWO, [(np.int64(0), TWO, TWO)]),
    mlpx.Maxout(TWO, TWO, pieces=TWO, max_norm=HALF),
    mlpx.PReLU(TWO, gamma=HALF),
    schedules.Constant(HALF),
    schedules.Step(HALF, factor=HALF, every=TWO),
    schedules.Exponential(HALF, decay=HALF),
    schedules.InverseScaling(HALF, power=HALF),
    schedules.InverseTime(HALF, half_life=HALF),
    schedules.Linear(HALF, np.float64(0.9), over=TWO),
    schedules.WarmupCosine(HALF, warmup_steps=TWO, steps=np.int64(5), minimum=np.float64(0.1)),
    schedules.OneCycle(HALF, steps=np.int64(5), rise=HALF, start_divisor=TWO, end_divisor=np.float64(10)),
    schedules.OnPlateau(HALF, factor=HALF, patience=TWO, minimum=np.float64(0.1)),
    mlpx.SGD(HALF, momentum=HALF, nesterov=YES),
    mlpx.Adam(HALF, beta_1=HALF, beta_2=HALF, epsilon=HALF, epsilon_hat=YES),
    mlpx.AdamW(HALF, weight_decay=HALF),
    mlpx.RMSProp(HALF, rho=HALF, momentum=HALF, epsilon=HALF),
]
BY_NAME = pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda d: f"{d.family} {d.name}")


@BY_NAME
def test_numbers_of_a_description_are_plain_ones(description) -> None:
    for field in dataclasses.fields(description):
        assert not isinstance(getattr(description, field.name), np.generic), field.name
    config = json.loads(json.dumps(description.to_config()))
    assert type(description).from_config(config) == description
    assert "np." not in repr(description)


def test_every_description_with_a_number_is_among_them() -> None:
    numbers = ("float", "int", "Numbers")
    known = {
        cls
        for family in mlpx.activations.Description.__subclasses__()
        for cls in family.known.values()
        if cls.__module__.startswith("mlpx.") and any(str(f.type).startswith(numbers) for f in dataclasses.fields(cls))
    }
    assert known == {type(description) for description in DESCRIPTIONS}


@BY_NAME
def test_numpy_scalars_leave_the_type_as_it_is(description, backend: Backend, tmp_path: Path) -> None:
    hidden, loss, initializer, optimizer = "tanh", "squared_error", "auto", mlpx.SGD(0.1)
    layers = []
    match description.family:
        case "activation":
            hidden = description
        case "loss":
            loss = description
        case "initializer":
            initializer = description
        case "layer" if description.name == "Dropout":
            layers = [description]
        case "schedule":
            optimizer = mlpx.SGD(description)
        case "optimizer":
            optimizer = description
    layers = [mlpx.Dense(3, TWO, hidden, initializer=initializer), *layers, mlpx.Dense(TWO, 2)]
    net = mlpx.Network(layers, loss=loss, l2=np.float64(0.1), backend=backend)
    net.fit(X, Y, epochs=TWO, batch_size=np.int64(5), optimizer=optimizer, clip_norm=np.float64(9.0))
    trace = net.forward(X)
    assert [mlpx.to_numpy(a).dtype for a in (net.vector, *trace.z, *trace.a)] == [np.float32] * 6
    assert mlpx.to_numpy(net.backward(trace, Y).weights[0]).dtype == np.float32
    assert net.predict(X).dtype == np.float32
    net.save(tmp_path / "model.mlpx")
    back = mlpx.load(tmp_path / "model.mlpx", backend=backend)
    assert (back.layers, back.loss, back.l2) == (net.layers, net.loss, net.l2)
    assert_array_equal(mlpx.to_numpy(back.vector), mlpx.to_numpy(net.vector))


def test_a_custom_activation_with_a_numpy_scalar_leaves_the_type_as_it_is(backend: Backend) -> None:
    if backend.name == "array_api_strict":
        pytest.skip("array_api_strict takes no scalars of NumPy")
    root = np.sqrt(2)
    stretched = activations.custom(lambda z, xp: z * root, lambda z, xp: xp.ones_like(z) * root)
    net = mlpx.MLP([3, 4, 2], activation=stretched, output="linear", backend=backend)
    net.fit(X, Y, epochs=1, optimizer=mlpx.SGD(0.1))
    trace = net.forward(X)
    assert [mlpx.to_numpy(a).dtype for a in (net.vector, *trace.z, *trace.a)] == [np.float32] * 6
    assert {mlpx.to_numpy(g).dtype for g in net.backward(trace, Y).weights} == {np.dtype(np.float32)}
    assert net.predict(X).dtype == np.float32


# Rows that have no weight, or are nobody's.

OUTPUTS = {
    "exp": (HUGE, RNG.poisson(2.0, size=(12, 2)).astype(float), ["r2", "rmse", "mae"]),
    "linear": (3e38, Y, ["r2", "rmse", "mae"]),
    "softmax": (3e38, np.arange(12) % 2, ["accuracy"]),
    "sigmoid": (3e38, (Y > 0).astype(float), ["accuracy", "rmse"]),
    "step": (3e38, (Y > 0).astype(float), ["accuracy", "rmse"]),
}
BY_OUTPUT = pytest.mark.parametrize("output", OUTPUTS)


def pair(output: str, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return features with and without a huge row, targets and metrics."""
    huge, y, metrics = OUTPUTS[output]
    with_huge, without = X.copy(), X.copy()
    with_huge[row], without[row] = huge, 0.0
    return with_huge, without, y, metrics


def positive(output: str, hidden: list[int], **options) -> mlpx.MLP:
    """Return a network whose outputs grow with its features."""
    net = mlpx.MLP([3, *hidden, 2], output=output, seed=3, **options)
    w = [np.abs(mlpx.to_numpy(w)) + 0.2 for w in net.weights]
    net.set_weights(w, [mlpx.to_numpy(b) for b in net.biases])
    return net


@BY_OUTPUT
@pytest.mark.parametrize("hidden", [[], [4]])
@pytest.mark.parametrize("members", [None, 2])
def test_a_row_of_weight_zero_changes_nothing_though_it_overflows(
    backend: Backend, output: str, hidden: list[int], members
) -> None:
    nets, histories, scores, gradients = [], [], [], []
    row = 6
    weight = np.ones(12)
    weight[row] = 0
    *both, y, metrics = pair(output, row)
    for x in both:
        net = positive(output, hidden, members=members, backend=backend)
        scores.append(net.evaluate(x, y, metrics=metrics, sample_weight=weight))
        if not hidden:  # `forward` does not know the weights, so that hidden activations are not finite there
            gradients.append(mlpx.to_numpy(net.backward(net.forward(x), y, weight).weights[0]))
        options = {"batch_size": 5, "shuffle": False, "metrics": metrics, "validation": (x, y, weight)}
        histories.append(net.fit(x, y, epochs=2, optimizer=mlpx.SGD(1e-3), sample_weight=weight, **options))
        nets.append(net)
    for name, value in scores[1].items():
        assert np.all(np.isfinite(value))
        assert_allclose(scores[0][name], value, rtol=1e-6, err_msg=name)
    if gradients:
        assert_allclose(*gradients, rtol=1e-5, atol=1e-7)
    assert_same_history(*histories, rtol=1e-5)
    assert_allclose(vector_of(nets[0]), vector_of(nets[1]), rtol=1e-6)


@BY_OUTPUT
def test_rows_that_are_nobodys_touch_no_member(backend: Backend, output: str) -> None:
    """Shorter subsets are filled up with row 0, whatever stands there."""
    subsets = [range(1, 12), range(1, 4), range(5, 12)]
    nets, histories = [], []
    *both, y, metrics = pair(output, 0)
    for x in both:
        net = positive(output, [4], members=3, backend=backend)
        options = {"batch_size": 4, "metrics": metrics, "subsets": subsets, "validation": 0.3}
        histories.append(net.fit(x, y, epochs=2, optimizer=mlpx.SGD(1e-3), **options))
        nets.append(net)
    assert_same_history(*histories, rtol=1e-5)
    assert_allclose(vector_of(nets[0]), vector_of(nets[1]), rtol=1e-6)


@pytest.mark.parametrize("first", [1e15, 1e20])
def test_metrics_of_values_do_not_depend_on_a_row_that_does_not_count(backend: Backend, first: float) -> None:
    names, weight = ["r2", "rmse", "mae"], np.ones(12)
    weight[0] = 0
    scores, weighted, by_subset, held_out = [], [], [], []
    for value in (first, 0.0):
        y = Y.copy()
        y[0] = value
        net, stack = (mlpx.MLP([3, 2], output="linear", members=m, backend=backend) for m in (None, 2))
        scores.append(net.evaluate(X, y, metrics=names, sample_weight=weight))
        options = {"epochs": 1, "metrics": names, "optimizer": FEW, "shuffle": False}
        weighted.append(net.fit(X, y, sample_weight=weight, batch_size=5, **options))
        held_out.append(net.fit(X[1:], y[1:], validation=(X, y, weight), **options))
        by_subset.append(stack.fit(X, y, subsets=[range(1, 12), range(3, 12)], batch_size=5, **options))
    for name, value in scores[1].items():
        assert_allclose(scores[0][name], value, rtol=1e-5, err_msg=name)
    for histories in (weighted, by_subset, held_out):
        assert_same_history(*histories, rtol=1e-5)


# Large and small numbers.


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("size", [1.0, 1e25, 1e30])
def test_clip_norm_bounds_a_gradient_whose_square_overflows(backend: Backend, size: float, members) -> None:
    net = mlpx.Network([mlpx.Dense(2, 1, bias=False)], loss="absolute_error", members=members, backend=backend)
    stack = () if members is None else (members,)
    net.set_weights([np.zeros((*stack, 2, 1))], [None])
    net.fit([[size, 2 * size]], [-1.0], epochs=1, optimizer=mlpx.SGD(1.0), clip_norm=0.5)
    wanted = np.broadcast_to(-0.5 * np.asarray([[1.0], [2.0]]) / np.sqrt(5), (*stack, 2, 1))
    assert_allclose(mlpx.to_numpy(net.weights[0]), wanted, rtol=1e-5)


def differences(f, z: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """Return the central differences of a sum over all elements."""
    slope = np.zeros_like(z)
    for place in np.ndindex(z.shape):
        side = np.zeros_like(z)
        side[place] = h
        slope[place] = (f(z + side) - f(z - side)) / (2 * h)
    return slope


@pytest.mark.parametrize("excess", [9e-5, -9e-5, 0.0])
def test_the_gradient_of_cross_entropy_is_true_for_rows_that_nearly_sum_to_one(backend: Backend, excess: float) -> None:
    y = RNG.dirichlet(np.ones(4), size=12) * (1 + excess)
    net = mlpx.MLP([3, 4], dtype="float64", backend=backend)
    w, b = (mlpx.to_numpy(part[0]).copy() for part in (net.weights, net.biases))

    def risk(weights: np.ndarray) -> float:
        net.set_weights([weights], [b])
        return float(net.backward(net.forward(X), y).loss)

    wanted = differences(risk, w)
    net.set_weights([w], [b])
    found = mlpx.to_numpy(net.backward(net.forward(X), y).weights[0])
    assert np.linalg.norm(found - wanted) < 1e-6 * np.linalg.norm(wanted)


@pytest.mark.parametrize("apart", [0.03, -0.03, 0.1, -0.5])
def test_the_poisson_loss_of_large_counts_keeps_its_digits(ops: Backend, apart: float) -> None:
    y = np.asarray([[1e7], [1.5e7], [7e6]], dtype=np.float32)
    z = np.float32(np.log(y.astype(float)) + apart)
    found = losses.poisson().value_and_gradient(ops.asarray(z), ops.asarray(y), ops.xp)
    y, z = y.astype(float), z.astype(float)
    d = z - np.log(y)
    assert_allclose(mlpx.to_numpy(found[0]), (y * (np.expm1(d) - d))[:, 0], rtol=1e-3)
    assert_allclose(mlpx.to_numpy(found[1]), np.exp(z) - y, rtol=1e-3)


def test_a_network_of_counts_scores_the_same_in_both_types(backend: Backend) -> None:
    y = np.asarray([1e7, 1.2e7, 9e6, 8e6])
    x, scores = np.log(y * [1.03, 0.97, 1.02, 0.98])[:, None], []
    for dtype in ("float32", "float64"):
        net = mlpx.MLP([1, 1], output="exp", dtype=dtype, backend=backend)
        net.set_weights([[[1.0]]], [[0.0]])
        scores.append(net.evaluate(x, y)["loss"])
    assert scores[0] == pytest.approx(scores[1], rel=1e-3)


# Exceptions travel between processes.


def diverged() -> mlpx.DivergenceError:
    net = mlpx.Network([mlpx.Dense(1, 1)])
    net.set_weights([[[1e30]]], [[0.0]])
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit([[1.0]], [0.0], epochs=3)
    return caught.value


def not_there() -> mlpx.BackendUnavailableError:
    return mlpx.BackendUnavailableError("no cupy", name="cupy", path="/nowhere")


def unreadable() -> mlpx.ModelFileError:
    with pytest.raises(mlpx.ModelFileError) as caught:
        mlpx.load(Path(__file__).parent)
    return caught.value


def used_up() -> mlpx.SourceError:
    pieces = ((x, x) for x in ([[0.0]], [[1.0]]))
    with pytest.raises(mlpx.SourceError) as caught:
        mlpx.MLP([1, 1], output="linear").fit(mlpx.sources.Batches(pieces), epochs=2)
    return caught.value


MAKERS = {
    mlpx.MlpxError: lambda: mlpx.MlpxError("any"),
    mlpx.BackendUnavailableError: not_there,
    mlpx.DivergenceError: diverged,
    mlpx.ModelFileError: unreadable,
    mlpx.SourceError: used_up,
}


def test_every_exception_is_among_them() -> None:
    found = {c for c in vars(mlpx.exceptions).values() if inspect.isclass(c) and issubclass(c, mlpx.MlpxError)}
    assert found == set(MAKERS)


@pytest.mark.parametrize("cls", MAKERS)
@pytest.mark.parametrize("way", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_exceptions_come_through_a_pickle_with_their_attributes(cls: type[Exception], way) -> None:
    error = MAKERS[cls]()
    back = way(error)
    assert type(back) is cls
    assert (str(back), back.args) == (str(error), error.args)
    assert set(vars(back)) == set(vars(error))
    for name, value in vars(error).items():
        if isinstance(value, mlpx.History):
            assert repr(vars(getattr(back, name))) == repr(vars(value))  # NaN equals itself in print alone
        else:
            assert getattr(back, name) == value
    if cls is mlpx.BackendUnavailableError:
        assert (back.name, back.path) == ("cupy", "/nowhere")


# Interrupts.


@contextlib.contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, backend: Backend, names: tuple[str, ...], k: int):
    """Raise KeyboardInterrupt at the k-th call of these primitives; give the list of calls."""
    calls = []

    def counting(function, name: str):
        def call(*args, **options):
            calls.append(name)
            if len(calls) == k:
                raise KeyboardInterrupt
            return function(*args, **options)

        return call

    with monkeypatch.context() as patch:
        for name in names:
            patch.setattr(backend, name, counting(getattr(backend, name), name))
        yield calls


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("validation", [None, (X, Y)])
def test_an_interrupt_leaves_finite_weights_where_they_had_become_infinite(
    backend: Backend, members, validation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step makes the weights infinite; the epoch would notice it after the sixth."""
    k, stopped = 0, "interrupted"
    while True:
        k += 1
        net = mlpx.MLP([3, 2], output="linear", members=members, seed=1, backend=backend)
        net.set_weights([100 * mlpx.to_numpy(w) for w in net.weights], [mlpx.to_numpy(b) for b in net.biases])
        before = vector_of(net)
        try:
            with interrupted(monkeypatch, backend, ("asarray", "copy"), k) as calls:
                options = {"batch_size": 2, "validation": validation, "optimizer": mlpx.SGD(1e38)}
                stopped = net.fit(100 * X, Y, epochs=1, **options).stopped
        except KeyboardInterrupt:
            stopped = "interrupted"
        except mlpx.DivergenceError:
            stopped = "divergence"
        assert_array_equal(vector_of(net), before, err_msg=f"call {k}")
        assert len(calls) == k or stopped == "divergence"
        if stopped == "divergence":
            break
    assert k > 12, "the case shows nothing"


HALVES = [slice(0, 6), slice(6, 12)]
LEARNING = mlpx.SGD(0.2)


def start(backend: Backend | str, members: int | None) -> mlpx.MLP:
    return mlpx.MLP([3, 5, 2], activation="tanh", output="linear", dtype="float64", seed=4, members=members,
                    backend=backend)  # fmt: skip


def states(members: int | None, epochs: int) -> list[np.ndarray]:
    """Return the parameters before the first and after each step, two steps an epoch."""
    net = start("numpy", members)
    found = [vector_of(net)]
    for rows in HALVES * epochs:
        net.fit(X[rows], Y[rows], epochs=1, batch_size=6, optimizer=LEARNING, shuffle=False)
        found.append(vector_of(net))
    return found


def check_interrupted(net: mlpx.Network, known: list[np.ndarray], what: str) -> None:
    """Assert that each member has parameters that it had after some step."""
    for i in range(net.members or 1):
        own = vector_of(net) if net.members is None else vector_of(net)[i]
        apart = [np.max(np.abs(own - (k if net.members is None else k[i]))) for k in known]
        assert min(apart) < 1e-9, f"{what}: the weights are of no step; they are {min(apart):.1e} from the nearest"


def fit(net: mlpx.Network, validated: bool) -> mlpx.History | None:
    """Return the history; None where the interrupt came before training began."""
    try:
        return net.fit(X, Y, epochs=3, batch_size=6, optimizer=LEARNING, shuffle=False,
                       validation=(X, -Y) if validated else None)  # fmt: skip
    except KeyboardInterrupt:
        return None


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("validated", [False, True])
def test_an_interrupt_at_any_primitive_leaves_the_weights_of_a_step(
    backend: Backend, members, validated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("asarray", "copy", "to_numpy", "take_rows", "net_input", "loss_and_delta", "weight_gradient", "update")
    known, k, history = states(members, 3), 0, None
    while history is None or history.interrupted:
        k += 1 if backend.name != "jax" or k < 20 else 3
        net = start(backend, members)
        with interrupted(monkeypatch, backend, names, k) as calls:
            history = fit(net, validated)
        check_interrupted(net, known, f"call {k}")
        if history is None:
            assert k < 12 or calls[-1] != "update"
            assert_array_equal(vector_of(net), known[0])
    assert k > 15, "the case shows nothing"


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("validated", [False, True])
def test_an_interrupt_at_any_line_leaves_the_weights_of_a_step(members, validated: bool) -> None:
    """A real Ctrl-C comes between any two lines; here it comes at every 37th of the package."""
    known, folder = states(members, 3), str(Path(mlpx.__file__).parent)
    k, lines = 1, [0]

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(folder):
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == k:
                raise KeyboardInterrupt
        return trace

    old = sys.gettrace()
    while lines[0] >= k - 37:
        net = start("numpy", members)
        lines[0] = 0
        try:
            sys.settrace(trace)
            fit(net, validated)
        finally:
            sys.settrace(old)
        check_interrupted(net, known, f"line {k}")
        k += 37
    assert k > 1000, "the case shows nothing"


# Labels.

LABELS = pytest.mark.parametrize("labels", [(-1, 1), (1, 2), (-1.0, 1.0), (1.0, 2.0)])
BITS = (X[:, 0] > 0).astype(int)


@LABELS
@pytest.mark.parametrize("members", [None, 2])
def test_one_sigmoid_learns_two_numbers_as_labels(backend: Backend, labels: tuple, members) -> None:
    net = mlpx.MLP([3, 1], output="sigmoid", members=members, backend=backend)
    y = np.asarray(labels)[BITS]
    net.fit(X, y, epochs=60, optimizer=mlpx.Adam(0.1))
    assert net.classes == labels
    assert [type(label) for label in net.classes] == [type(label) for label in labels]
    found = net.predict_labels(X)
    assert_array_equal(found, y if members is None else [y] * members)
    assert np.all(net.evaluate(X, y)["accuracy"] == 1)


@LABELS
def test_one_sigmoid_learns_labels_of_each_member(backend: Backend, labels: tuple) -> None:
    x = np.stack([X, -X])
    y = np.asarray(labels)[np.stack([BITS, BITS])]
    net = mlpx.MLP([3, 1], output="sigmoid", members=2, backend=backend)
    net.fit(x, y, epochs=60, optimizer=mlpx.Adam(0.1))
    assert net.classes == labels
    assert_array_equal(net.predict_labels(x), y)
    assert_array_equal(net.evaluate(x, y)["accuracy"], [1, 1])


def test_numbers_between_0_and_1_are_no_labels_of_one_sigmoid(backend: Backend) -> None:
    for y in (np.linspace(0, 1, 12), BITS, BITS.astype(float)):
        net = mlpx.MLP([3, 1], output="sigmoid", backend=backend)
        net.fit(X, y, epochs=1)
        assert net.classes is None


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_boolean_one_hot_rows_are_targets(backend: Backend, output: str) -> None:
    rows, nets = np.eye(3)[np.arange(12) % 3], []
    for y in (rows.astype(bool), rows):
        net = mlpx.MLP([3, 3], output=output, backend=backend)
        net.fit(X, y, epochs=2, batch_size=5)
        assert net.classes is None
        assert "accuracy" in net.evaluate(X, y)
        nets.append(net)
    assert_allclose(vector_of(nets[0]), vector_of(nets[1]), rtol=1e-6)


@pytest.mark.parametrize(("output", "metric"), [("sigmoid", "rmse"), ("sigmoid", "mae"), ("sigmoid", "r2"),
                                                ("sigmoid", "accuracy"), ("softmax", "accuracy")])  # fmt: skip
@pytest.mark.parametrize("units", [1, 3])
def test_label_smoothing_does_not_change_training_metrics(
    backend: Backend, output: str, metric: str, units: int
) -> None:
    units = max(units, 2) if output == "softmax" else units
    y = np.arange(12) % units if output == "softmax" else (RNG.normal(size=(12, units)) > 0).astype(float)
    net = mlpx.MLP([3, units], output=output, dtype="float64", backend=backend)
    before = net.evaluate(X, y, metrics=metric)[metric]
    history = net.fit(X, y, epochs=1, batch_size=5, optimizer=FEW, label_smoothing=0.3, metrics=metric)
    assert history[metric][0] == pytest.approx(before, rel=1e-9)


# What a network holds.


def test_a_pickle_is_no_larger_than_the_parameters(backend: Backend) -> None:
    net = mlpx.MLP([20, 50, 2], dropout=0.1, backend=backend)
    x = RNG.normal(size=(3000, 20))
    net.fit(x, np.arange(3000) % 2, epochs=1, batch_size=256, validation=0.2, metrics="accuracy")
    net.backward(net.forward(x), np.arange(3000) % 2)
    assert len(pickle.dumps(net)) <= 1.5 * 4 * net.n_parameters + 20_000


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_changing_the_features_after_forward_does_not_change_backward(backend: Backend, dtype: str, own: bool) -> None:
    if own and backend.name == "jax":
        pytest.skip("arrays of JAX cannot be changed")
    net = mlpx.MLP([3, 4, 2], output="linear", dtype=dtype, backend=backend)
    x = X.astype(dtype)
    wanted = [mlpx.to_numpy(w).copy() for w in net.backward(net.forward(x.copy()), Y).weights]
    if own:
        with backend.context():
            x = backend.asarray(x)
    trace = net.forward(x)
    x[...] = 0.0
    for found, expected in zip(net.backward(trace, Y).weights, wanted, strict=True):
        assert_array_equal(mlpx.to_numpy(found), expected)


@pytest.mark.parametrize("members", [None, 2])
def test_a_shallow_copy_has_counters_of_its_own(backend: Backend, members) -> None:
    net = mlpx.MLP([3, 4, 2], output="linear", members=members, backend=backend)
    before, zeros = vector_of(net), [0] * (members or 1)
    other = copy.copy(net)
    other.fit(X, Y, epochs=2)
    assert (net.epochs_seen, net.steps_seen) == (zeros, zeros)
    assert other.epochs_seen == [2] * (members or 1)
    assert_array_equal(vector_of(net), before)
    net.reset()
    assert other.epochs_seen == [2] * (members or 1)


# Messages that say what to do.


@pytest.mark.parametrize("net", ["net", mlpx.MLP])
def test_a_range_test_takes_a_network(net: object) -> None:
    with pytest.raises(TypeError, match=r"`net` must be an mlpx\.Network, got (str|the class MLP)"):
        mlpx.learning_rate_range_test(net, X, Y)


def test_networks_take_one_list() -> None:
    with pytest.raises(TypeError, match=r"`layers` must be one list, such as \[Dense.*got 2 arguments without a name"):
        mlpx.Network(mlpx.Dense(2, 3), mlpx.Dense(3, 1))
    with pytest.raises(TypeError, match=r"`sizes` must be one list, such as \[64, 128, 10\].*got 3 arguments"):
        mlpx.MLP(2, 3, 1)
    assert [*inspect.signature(mlpx.MLP).parameters][:2] == ["sizes", "activation"]


def test_a_backend_is_an_object() -> None:
    with pytest.raises(TypeError, match=r"`backend` must be a name or an object, and Own is a class; give Own\(\)"):
        mlpx.MLP([2, 1], output="linear", backend=type("Own", (Backend,), {}))


def test_a_file_with_an_unknown_class_says_to_import_it(tmp_path: Path) -> None:
    path = tmp_path / "model.mlpx"
    bent = dataclasses.make_dataclass("bent_for_a_test", [], bases=(activations.tanh,), frozen=True)
    mlpx.MLP([2, 3, 1], activation=bent(), output="linear").save(path)
    del activations.Activation.known["bent_for_a_test"]
    with pytest.raises(
        mlpx.ModelFileError, match=r"'bent_for_a_test'\. If it is a class of your own, import the module"
    ):
        mlpx.load(path)
