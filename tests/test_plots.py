"""Pictures: what the lines, images and levels of `mlpx.plots` hold."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import mlpx
from mlpx import plots

pytest.importorskip("matplotlib").use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

XOR = np.asarray([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TRUTH = np.asarray([0, 1, 1, 0])


@pytest.fixture(autouse=True)
def _no_figure_stays():
    settings = dict(plt.rcParams)
    yield
    plt.close("all")
    assert dict(plt.rcParams) == settings


@pytest.fixture
def net():
    return mlpx.MLP([2, 5, 1], activation="tanh", output="sigmoid", seed=1, dtype="float64")


@pytest.fixture
def stack():
    return mlpx.MLP([2, 5, 1], activation="tanh", output="sigmoid", members=3, dtype="float64")


def data_of(ax, label):
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return np.asarray(line.get_ydata(), dtype=float)


def drawn(ax):
    """Draw the figure, as saving it does, and return the axes' image."""
    ax.figure.canvas.draw()
    return np.asarray(ax.get_images()[0].get_array())


CALLS = {
    "training_curves": lambda ax: plots.training_curves({"loss": [2.0, 1.0]}, ax=ax),
    "decision_boundary": lambda ax: plots.decision_boundary(mlpx.MLP([2, 3, 3]), XOR, TRUTH, points=9, ax=ax),
    "activation": lambda ax: plots.activation("tanh", ax=ax),
    "weights": lambda ax: plots.weights(mlpx.MLP([2, 3, 1], output="linear"), ax=ax),
    "error_norms": lambda ax: plots.error_norms([[0.1, 1.0], [0.2, 2.0]], ax=ax),
    "loss_surface": lambda ax: plots.loss_surface(lambda a, b: a * b, points=5, ax=ax),
    "confusion_matrix": lambda ax: plots.confusion_matrix([0, 1], [0, 0], ax=ax),
    "range_test": lambda ax: plots.range_test(
        SimpleNamespace(learning_rates=[0.1, 1.0], losses=[1.0, 2.0], suggestion=None), ax=ax
    ),
}


def test_every_picture_is_tried():
    assert sorted(CALLS) == plots.__all__


@pytest.mark.parametrize("name", CALLS)
def test_a_picture_is_drawn_where_it_is_asked_for(name):
    figure, axes = plt.subplots(1, 2)
    assert CALLS[name](axes[1]) is axes[1]
    assert axes[1].has_data()
    assert not axes[0].has_data()
    assert plt.get_fignums() == [figure.number]
    assert axes[1].get_xlabel() or not axes[1].axison
    assert CALLS[name](None).figure is not figure
    assert len(plt.get_fignums()) == 2
    figure.canvas.draw()


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_axes_is_refused_before_a_figure_is_made(name):
    with pytest.raises(TypeError, match=r"`ax` must be one matplotlib Axes, got int"):
        CALLS[name](3)
    with pytest.raises(ValueError, match=r"`ax` must be flat, without a projection"):
        CALLS[name](plt.figure().add_subplot(projection="3d"))
    with pytest.raises(ValueError, match=r"`ax` must be flat, without a projection"):
        CALLS[name](plt.figure().add_subplot(projection="polar"))
    assert len(plt.get_fignums()) == 2


MISSING = """
import sys
sys.modules.update(dict.fromkeys(["matplotlib", "matplotlib.pyplot"]))
from mlpx import plots
try:
    plots.activation("tanh")
except ImportError as error:
    print(error)
"""


def test_without_matplotlib_the_message_says_what_to_install():
    out = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, text=True, check=True).stdout
    assert 'matplotlib, which is not installed; install it with: pip install "mlpx[plot]"' in out


# Training curves.


def test_curves_are_the_columns_of_the_history(net):
    history = net.fit(XOR, TRUTH, validation=(XOR, TRUTH), epochs=6, metrics="accuracy", progress=False)
    ax = plots.training_curves(history)
    np.testing.assert_array_equal(data_of(ax, "training"), history["loss"])
    np.testing.assert_array_equal(data_of(ax, "validation"), history["validation_loss"])
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), np.arange(1, 7))
    best = history.best_epoch
    assert data_of(ax, f"best epoch: {best}") == [history["validation_loss"][best - 1]]
    assert ax.get_yscale() == "linear"
    assert plots.training_curves(history, log=True, best=False).get_yscale() == "log"


def test_several_quantities_have_axes_of_their_own(net):
    history = net.fit(XOR, TRUTH, epochs=3, metrics="accuracy", progress=False)
    axes = plots.training_curves(history, ["loss", "accuracy"])
    assert axes.shape == (2,)
    np.testing.assert_array_equal(data_of(axes[1], "training"), history["accuracy"])
    _, given = plt.subplots(2)
    assert plots.training_curves(history, ["loss", "accuracy"], ax=given)[1] is given[1]
    with pytest.raises(ValueError, match="`ax` must hold 2 Axes, one for each of `names`; got 1"):
        plots.training_curves(history, ["loss", "accuracy"], ax=given[0])


def test_a_stack_is_drawn_as_its_members_and_their_median(stack):
    history = stack.fit(XOR, TRUTH, epochs=5, patience=2, optimizer=mlpx.SGD([0.1, 5.0, 300.0]), progress=False)
    losses = np.asarray(history["loss"])
    ax = plots.training_curves(history)
    for i in range(3):
        np.testing.assert_array_equal(ax.get_lines()[i].get_ydata(), losses[:, i])
    np.testing.assert_array_equal(data_of(ax, "training (median)"), np.nanmedian(losses, axis=1))
    np.testing.assert_array_equal(data_of(plots.training_curves(history, member=-1), "training"), losses[:, 2])
    best = [losses[epoch - 1, i] for i, epoch in enumerate(history.best_epoch)]
    np.testing.assert_array_equal(data_of(ax, "best epoch of each"), best)


def test_a_median_of_nothing_is_no_number():
    ax = plots.training_curves({"loss": [[1.0, 3.0], [np.nan, 2.0], [np.nan, np.nan]]})
    np.testing.assert_array_equal(data_of(ax, "training (median)"), [2.0, 2.0, np.nan])


def test_unfitting_histories_are_refused():
    with pytest.raises(ValueError, match=r"`names` must be columns of the history \('loss'\), got 'auc'"):
        plots.training_curves({"loss": [1.0]}, "auc")
    with pytest.raises(ValueError, match="`member` is for stacks"):
        plots.training_curves({"loss": [1.0]}, member=0)
    with pytest.raises(TypeError, match="`history` must be a History or columns by name, got list"):
        plots.training_curves([1.0])
    with pytest.raises(IndexError, match="`member` must be from 0 to 1, got 2"):
        plots.training_curves({"loss": [[1.0, 2.0]]}, member=2)
    for nothing in ([], None):
        with pytest.raises(ValueError, match="`names` must be a column of the history such as 'loss'"):
            plots.training_curves({"loss": [1.0]}, nothing)
    assert plt.get_fignums() == []


# Error norms and range tests.


def test_error_norms_are_one_line_a_layer():
    norms = np.geomspace(1e-6, 1, 12).reshape(4, 3)
    ax = plots.error_norms(SimpleNamespace(steps=[5, 10, 15, 20], delta_norms=norms))
    np.testing.assert_array_equal(data_of(ax, "layer 2"), norms[:, 1])
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), [5, 10, 15, 20])
    assert ax.get_yscale() == "log"
    with pytest.raises(ValueError, match="`steps` must hold one number a look, 4; got 2"):
        plots.error_norms(norms, steps=[1, 2])


def test_error_norms_of_a_stack_and_of_many_layers():
    norms = np.random.default_rng(0).uniform(0.1, 1, size=(4, 5, 9))
    np.testing.assert_array_equal(data_of(plots.error_norms(norms), "layer 9"), np.median(norms, axis=1)[:, 8])
    ax = plots.error_norms(norms, member=3)
    np.testing.assert_array_equal(data_of(ax, "layer 1"), norms[:, 3, 0])
    assert ax.get_legend() is None
    assert len(ax.figure.axes) == 2  # a color bar says which layer


def test_an_error_term_of_zero_is_left_out_of_the_logarithm():
    ax = plots.error_norms([[0.0], [1.0]])
    np.testing.assert_array_equal(data_of(ax, "layer 1"), [np.nan, 1.0])


def test_a_range_test_shows_its_losses_and_its_suggestion():
    rates, losses = np.geomspace(1e-4, 10, 6), np.asarray([0.7, 0.6, 0.3, 0.2, 50.0, np.inf])
    ax = plots.range_test(SimpleNamespace(learning_rates=rates, losses=losses, suggestion=0.01))
    np.testing.assert_array_equal(data_of(ax, "loss"), losses)
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), rates)
    assert ax.get_xscale() == "log"
    assert ax.get_lines()[1].get_xdata()[0] == 0.01
    low, high = ax.get_ylim()
    assert low < 0.2
    assert 0.7 < high < 2
    with pytest.raises(TypeError, match="`result` must have the attribute 'losses'"):
        plots.range_test(SimpleNamespace(learning_rates=rates))


def test_a_range_test_of_a_stack_shows_its_members():
    rates, losses = np.geomspace(1e-4, 1, 5), np.random.default_rng(0).uniform(1, 2, size=(5, 3))
    result = SimpleNamespace(
        learning_rates=rates, losses=losses, smoothed=losses - 0.5, suggestion=np.asarray([0.1, np.nan, 0.2])
    )
    ax = plots.range_test(result)
    np.testing.assert_array_equal(data_of(ax, "smoothed loss (median)"), np.median(losses - 0.5, axis=1))
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), losses[:, 1])
    assert [line.get_xdata()[0] for line in ax.get_lines()[-2:]] == [0.1, 0.2]
    one = plots.range_test(result, member=2)
    np.testing.assert_array_equal(data_of(one, "smoothed loss"), losses[:, 2] - 0.5)
    assert "suggested: 0.2" in [line.get_label() for line in one.get_lines()]
    with pytest.raises(ValueError, match=r"`result.losses` must hold one number a learning rate, 4; got the shape"):
        plots.range_test(SimpleNamespace(learning_rates=rates[1:], losses=losses, suggestion=None))


# Activations.


@pytest.mark.parametrize("name", ["logistic", "leaky_relu", "gelu"])
def test_an_activation_is_drawn_with_its_derivative(name):
    ax = plots.activation(name, limits=(-2, 3), points=50)
    f, z = mlpx.activations.get(name), np.linspace(-2, 3, 50)
    value, slope = (line.get_ydata() for line in ax.get_lines())
    np.testing.assert_array_equal(value, f(z, np))
    slope = slope[~np.isnan(slope)]
    np.testing.assert_array_equal(slope, f.derivative(z if f.uses == "z" else f(z, np), np))
    assert ax.get_title().startswith(name)


def test_a_jump_breaks_the_line_and_a_steep_slope_does_not():
    (step,) = plots.activation("step").get_lines()  # it has no derivative
    y = step.get_ydata()
    assert np.isnan(y).sum() == 1
    assert set(y[~np.isnan(y)]) == {0.0, 1.0}
    steep = mlpx.activations.custom(lambda z, xp: xp.tanh(1e4 * z), lambda z, xp: 1e4 / xp.cosh(1e4 * z) ** 2)
    with np.errstate(over="ignore"):
        assert not np.isnan(plots.activation(steep, derivative=False).get_lines()[0].get_ydata()).any()


def test_parameters_that_are_not_usual_are_in_the_title():
    assert plots.activation("elu").get_title() == "elu"
    assert plots.activation(mlpx.activations.elu(0.5)).get_title() == "elu(gamma=0.5)"


def test_unfitting_activations_are_refused():
    with pytest.raises(ValueError, match="`activation` must act on one unit at a time"):
        plots.activation("softmax")
    with pytest.raises(ValueError, match="`limits` must be in order"):
        plots.activation("tanh", limits=(2, -2))
    assert plt.get_fignums() == []


# Weights.


def test_weights_are_the_image(net):
    ax = plots.weights(net, 0)
    np.testing.assert_array_equal(drawn(ax), net.weights[0])
    low, high = ax.get_images()[0].get_clim()
    assert -low == high == np.abs(net.weights[0]).max()


def test_tiles_are_the_units_weights():
    net = mlpx.MLP([6, 3, 2], seed=3)
    tiles = np.asarray(plots.weights(net, image_shape=(2, 3), columns=2).get_images()[0].get_array())
    for unit, (row, column) in enumerate([(0, 0), (0, 4), (3, 0)]):
        np.testing.assert_array_equal(tiles[row : row + 2, column : column + 3].ravel(), net.weights[0][:, unit])
    masked = np.ma.getmaskarray(plots.weights(net, image_shape=(2, 3), columns=2).get_images()[0].get_array())
    assert masked.sum() == 5 * 7 - 18


def test_weights_of_estimators_and_of_members(stack):
    W = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(drawn(plots.weights(SimpleNamespace(coefs_=[W]))), W)
    np.testing.assert_array_equal(drawn(plots.weights(stack, 1, member=2)), stack.weights[1][2])
    with pytest.raises(ValueError, match="`member` must say which of the 3 networks"):
        plots.weights(stack)


def test_a_maxout_layer_is_drawn_by_pieces():
    net = mlpx.MLP([3, 4, 2], activation="maxout")
    np.testing.assert_array_equal(drawn(plots.weights(net, piece=1)), net.weights[0][1])
    both = mlpx.MLP([3, 4, 2], activation="maxout", members=3)
    np.testing.assert_array_equal(drawn(plots.weights(both, member=2, piece=1)), both.weights[0][2, 1])
    for options, error, message in [
        ({}, ValueError, "`piece` must say which of the 2 pieces of the Maxout layer"),
        ({"member": 0}, ValueError, "`member` is for stacks, and this is none"),
        ({"piece": 2}, IndexError, "`piece` must be from 0 to 1, got 2"),
        ({"piece": "a"}, TypeError, "`piece` must be a whole number"),
        ({"layer": 1, "piece": 0}, ValueError, "`piece` is for Maxout layers, and this is none"),
    ]:
        with pytest.raises(error, match=message):
            plots.weights(net, **options)


def test_unfitting_weights_are_refused(net):
    with pytest.raises(IndexError, match="`layer` must be from 0 to 1"):
        plots.weights(net, 2)
    with pytest.raises(
        ValueError, match="`image_shape` must have as many pixels as the layer has inputs, 2; got 2 x 2"
    ):
        plots.weights(net, image_shape=(2, 2))
    with pytest.raises(TypeError, match="`net` must have `weights`"):
        plots.weights(3)
    assert plt.get_fignums() == []


# Decision boundaries.


def linear(dtype="float64", **options):
    """Return a network that is undecided where the first feature is 0.5."""
    net = mlpx.MLP([2, 1], output="sigmoid", dtype=dtype, **options)
    net.set_weights([[[8.0], [0.0]]], [[-4.0]])
    return net


def contour_points(ax):
    from matplotlib.contour import ContourSet

    sets = [part for part in ax.get_children() if isinstance(part, ContourSet)]
    return [np.concatenate([path.vertices for path in one.get_paths()]) for one in sets]


def test_the_boundary_is_where_the_probabilities_are_equal():
    ax = plots.decision_boundary(linear(), XOR, [0, 0, 1, 1], points=101)
    (boundary,) = contour_points(ax)
    np.testing.assert_allclose(boundary[:, 0], 0.5, atol=1e-9)
    image = drawn(ax)
    assert (image[:, 0, 2] > image[:, 0, 0]).all()  # left the blue of class 0, right the red of class 1
    assert (image[:, -1, 0] > image[:, -1, 2]).all()
    np.testing.assert_allclose(image[:, 50], 1)  # white between them
    for k, scatter in enumerate(ax.collections[-2:]):
        np.testing.assert_array_equal(scatter.get_offsets(), XOR[[0, 1] if k == 0 else [2, 3]])


def test_labels_are_those_that_the_network_learned():
    net = mlpx.MLP([2, 4, 3])
    net.fit(XOR, ["low", "mid", "mid", "top"], epochs=1, progress=False)
    ax = plots.decision_boundary(net, XOR, ["low", "mid", "mid", "top"], points=20, features=("a", "b"))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["low", "mid", "top"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    with pytest.raises(ValueError, match=r"`y` must hold labels that the model knows \(low, mid, top\), got .*'hot'"):
        plots.decision_boundary(net, XOR, ["low", "mid", "mid", "hot"], points=20)


def test_a_stack_is_drawn_as_a_mean_and_every_boundary():
    stack = mlpx.MLP([2, 1], output="sigmoid", members=2, dtype="float64")
    stack.set_weights([[[[8.0], [0.0]], [[8.0], [0.0]]]], [[[-2.0], [-6.0]]])
    boundaries = contour_points(plots.decision_boundary(stack, XOR, points=81))
    assert [round(points[:, 0].mean(), 3) for points in boundaries] == [0.25, 0.75, 0.5]
    assert len(contour_points(plots.decision_boundary(stack, XOR, member=0, points=81))) == 1


def test_an_output_that_is_no_probability_is_read_between_0_and_1():
    net = mlpx.MLP([2, 2, 1], activation="relu", output="linear", dtype="float64")
    net.set_weights([[[1, 1], [1, 1]], [[1], [-2]]], [[0, -1], [0]])
    (boundary,) = contour_points(plots.decision_boundary(net, XOR, TRUTH, points=101, margin=0))
    sums = boundary.sum(axis=1)  # x1 + x2 = 0.5 and 1.5
    np.testing.assert_allclose(np.minimum(np.abs(sums - 0.5), np.abs(sums - 1.5)), 0, atol=1e-9)


def test_estimators_are_drawn():
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression, RidgeClassifier

    y = np.asarray(["no", "no", "yes", "yes"])
    probable = LogisticRegression(C=100).fit(XOR, y)
    (boundary,) = contour_points(plots.decision_boundary(probable, XOR, y, points=41))
    np.testing.assert_allclose(boundary[:, 0], 0.5, atol=1e-2)
    decided = RidgeClassifier().fit(XOR, y)  # no probabilities
    image = drawn(plots.decision_boundary(decided, XOR, y, points=41))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 2


def test_columns_of_a_table_are_found_and_named():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression

    table = pandas.DataFrame(XOR, columns=["height", "weight"])
    ax = plots.decision_boundary(LogisticRegression().fit(table, [0, 0, 1, 1]), table, points=9)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "weight")


def test_unfitting_models_and_rows_are_refused(net):
    with pytest.raises(ValueError, match=r"`X` must have the shape \(N, 2\)"):
        plots.decision_boundary(net, np.ones((4, 3)))
    with pytest.raises(ValueError, match="`X` must be finite"):
        plots.decision_boundary(net, XOR * np.nan)
    with pytest.raises(TypeError, match="`model` must be a Network or have predict_proba or predict, got int"):
        plots.decision_boundary(3, XOR)
    with pytest.raises(ValueError, match="`model` must have one output, or softmax"):
        plots.decision_boundary(mlpx.MLP([2, 2], output="sigmoid"), XOR)
    with pytest.raises(TypeError, match="its predict gave 90 different values"):
        plots.decision_boundary(SimpleNamespace(predict=lambda X: X[:, 0] + X[:, 1] / 7), XOR, points=10)
    with pytest.raises(ValueError, match="`y` must hold one label for each of the 4 rows"):
        plots.decision_boundary(net, XOR, [0, 1], points=3)
    assert plt.get_fignums() == []


# Confusion matrices.


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
@pytest.mark.parametrize("labels", [None, ["c", "a"]])
def test_a_confusion_matrix_is_scikit_learns(normalize, labels):
    metrics = pytest.importorskip("sklearn.metrics")
    true, decided = np.random.default_rng(0).choice(["a", "b", "c", "d"], size=(2, 60))
    decided[decided == "d"] = "a"  # never decided: a column without a sum
    shown = drawn(plots.confusion_matrix(true, decided, labels, normalize))
    np.testing.assert_allclose(shown, metrics.confusion_matrix(true, decided, labels=labels, normalize=normalize))


def test_numbers_are_readable_on_both_ends():
    ax = plots.confusion_matrix([0] * 90 + [1] * 90 + [1], [0] * 90 + [1] * 90 + [0])
    assert [(t.get_text(), t.get_color()) for t in ax.texts] == [
        ("90", "white"), ("0", "black"), ("1", "black"), ("90", "white"),
    ]  # fmt: skip


def test_unfitting_labels_are_refused():
    with pytest.raises(ValueError, match="`y_pred` must hold one label for each of the 2 of `y_true`, got 1"):
        plots.confusion_matrix([0, 1], [0])
    with pytest.raises(ValueError, match="`normalize` must be one of 'all', 'pred', 'true'"):
        plots.confusion_matrix([0, 1], [0, 1], normalize="rows")
    with pytest.raises(ValueError, match="`labels` must name at least one class of `y_true`"):
        plots.confusion_matrix([0, 1], [0, 1], labels=[7])
    with pytest.raises(ValueError, match="`labels` must name each class once"):
        plots.confusion_matrix([0, 1], [0, 1], labels=[1, 1])
    assert plt.get_fignums() == []


# Loss surfaces.


def heights_of(monkeypatch, *arguments, **options):
    """Return the axes' values and heights of a loss surface, as they reach matplotlib."""
    from matplotlib.axes import Axes

    seen = []
    original = Axes.contourf

    def contourf(self, x, y, z, **look):
        seen.append((np.asarray(x), np.asarray(y), np.ma.filled(z, np.nan), np.asarray(look["levels"])))
        return original(self, x, y, z, **look)

    monkeypatch.setattr(Axes, "contourf", contourf)
    plots.loss_surface(*arguments, **options)
    return seen[0]


def test_the_center_of_a_surface_is_the_networks_loss(net, monkeypatch):
    before = np.array(net.vector)
    x, y, heights, levels = heights_of(monkeypatch, net, XOR, TRUTH, points=21)
    assert x[10] == y[10] == 0
    assert heights[10, 10] == pytest.approx(net.evaluate(XOR, TRUTH)["loss"], rel=1e-12)
    assert levels[0] <= heights.min()
    assert levels[-1] >= heights.max()
    np.testing.assert_array_equal(net.vector, before)
    assert net.members is None
    assert net.dtype_name == "float64"


def test_random_directions_have_the_lengths_of_the_units_weights(net):
    from mlpx.plots.directions import random_directions

    plane = random_directions(net, 0)
    for direction in (plane.first, plane.second):
        moved = mlpx.MLP([2, 5, 1], activation="tanh", output="sigmoid", dtype="float64")
        moved._set_vector(direction)
        for d, w, b in zip(moved.weights, net.weights, moved.biases, strict=True):
            np.testing.assert_allclose(np.linalg.norm(d, axis=0), np.linalg.norm(w, axis=0), rtol=1e-12)
            assert not np.any(b)
    assert not np.allclose(plane.first, plane.second)
    np.testing.assert_array_equal(random_directions(net, 0).first, plane.first)
    assert not np.allclose(random_directions(net, 1).first, plane.first)


def test_a_surface_over_two_parameters_is_the_loss_with_these_values(net, monkeypatch):
    parameters = (("weights", 0, 1, 3), ("biases", 1, 0))
    x, y, heights, _ = heights_of(monkeypatch, net, XOR, TRUTH, parameters=parameters, points=7)
    assert x[3] == pytest.approx(net.weights[0][1, 3], rel=1e-12)
    assert y[3] == pytest.approx(net.biases[1][0], abs=1e-12)
    other = mlpx.MLP([2, 5, 1], activation="tanh", output="sigmoid", dtype="float64")
    for i, j in [(0, 0), (6, 2), (3, 5)]:
        W, b = ([np.array(part) for part in parts] for parts in (net.weights, net.biases))
        W[0][1, 3], b[1][0] = x[j], y[i]
        other.set_weights(W, b)
        assert heights[i, j] == pytest.approx(other.evaluate(XOR, TRUTH)["loss"], rel=1e-12)


def test_given_directions_lead_from_one_network_to_another(net, monkeypatch):
    other = mlpx.MLP([2, 5, 1], activation="tanh", output="sigmoid", seed=8, dtype="float64")
    directions = (other.vector - net.vector, np.ones(net.n_parameters))
    x, y, heights, _ = heights_of(
        monkeypatch, net, XOR, TRUTH, directions=directions, points=3, x_limits=(0, 2), y_limits=(-1, 1)
    )
    assert (x[1], y[1]) == (1, 0)
    assert heights[1, 1] == pytest.approx(other.evaluate(XOR, TRUTH)["loss"], rel=1e-12)


def test_a_function_is_drawn_as_it_is(monkeypatch):
    x, y, heights, levels = heights_of(monkeypatch, lambda a, b: 1 + a * a + 3 * b, points=5, y_limits=(0, 1), log=True)
    np.testing.assert_allclose(heights, 1 + x**2 + 3 * y[:, None])
    np.testing.assert_allclose(np.diff(np.log(levels)), np.log(13) / 15)


def test_a_surface_in_three_dimensions(net):
    ax = plots.loss_surface(net, XOR, TRUTH, kind="surface", points=6)
    assert ax.get_zlabel() == "loss"
    ax.figure.canvas.draw()
    with pytest.raises(ValueError, match='`ax` must be made with projection="3d"'):
        plots.loss_surface(net, XOR, TRUTH, kind="surface", ax=plt.figure().add_subplot())


def test_a_plain_and_holes_can_be_drawn():
    plots.loss_surface(lambda a, b: 2.0, points=3).figure.canvas.draw()
    plots.loss_surface(lambda a, b: 2.0, points=3, log=True).figure.canvas.draw()
    plots.loss_surface(lambda a, b: np.nan if a > 1 else a, points=7).figure.canvas.draw()
    plots.loss_surface(lambda a, b: np.inf if a > 1 else a, points=7, kind="surface").figure.canvas.draw()


def test_a_member_has_the_surface_of_its_own_network(stack, monkeypatch):
    with pytest.raises(ValueError, match="`member` must say which of the 3 networks"):
        plots.loss_surface(stack, XOR, TRUTH)
    _, _, heights, _ = heights_of(monkeypatch, stack, XOR, TRUTH, member=1, points=3)
    assert heights[1, 1] == pytest.approx(stack.evaluate(XOR, TRUTH)["loss"][1], rel=1e-12)


def test_unfitting_surfaces_are_refused(net):
    refused = [
        (ValueError, "`X` and `y` must be given with a network", (net,), {}),
        (ValueError, "`kind` must be one of", (net, XOR, TRUTH), {"kind": "3d"}),
        (ValueError, r"`directions\[0\]` must have the shape \(21,\)",
         (net, XOR, TRUTH), {"directions": ([1.0], [2.0])}),
        (ValueError, r"`parameters\[1\]` must be \('weights'",
         (net, XOR, TRUTH), {"parameters": (("biases", 0, 0), 1)}),
        (IndexError, r"`parameters\[0\]` must be a parameter of the network",
         (net, XOR, TRUTH), {"parameters": (("weights", 0, 2, 0), ("biases", 0, 0))}),
        (ValueError, "exclude each other", (net, XOR, TRUTH), {"parameters": (), "directions": ()}),
        (TypeError, "`of` must be a Network or a function", (3,), {}),
        (TypeError, "`of` must return one number for two floats", (lambda a, b: "high",), {}),
        (ValueError, "`X` belongs to a network", (lambda a, b: a, XOR), {}),
        (ValueError, "`log` needs a loss above 0", (lambda a, b: -1.0,), {"log": True}),
    ]  # fmt: skip
    for error, message, arguments, options in refused:
        with pytest.raises(error, match=message):
            plots.loss_surface(*arguments, **options)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("backend", ["torch", "jax", "array_api_strict"])
def test_networks_of_other_libraries_are_drawn(backend, monkeypatch):
    pytest.importorskip(backend)
    net = mlpx.MLP([2, 4, 1], activation="tanh", output="sigmoid", dtype="float64", backend=backend)
    _, _, heights, _ = heights_of(monkeypatch, net, XOR, TRUTH, points=3)
    assert heights[1, 1] == pytest.approx(net.evaluate(XOR, TRUTH)["loss"], rel=1e-12)
    np.testing.assert_array_equal(drawn(plots.weights(net)), mlpx.to_numpy(net.weights[0]))
    assert len(contour_points(plots.decision_boundary(net, XOR, TRUTH, points=11))) <= 1


def test_a_function_with_a_pole_is_drawn_without_a_warning():
    ax = plots.activation(lambda z, xp: 1 / z, limits=(-1, 1), points=21)
    ax.figure.canvas.draw()
    assert not np.isfinite(ax.get_lines()[0].get_ydata()).all()


def test_names_of_many_classes_do_not_overlap():
    for count in (3, 11, 30):
        ax = plots.confusion_matrix(np.arange(count), np.arange(count))
        ax.figure.canvas.draw()
        boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
        assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))
