"""The computational graph: the worked example, its text and its picture."""

import numpy as np
import pytest

import mlpx
from mlpx.differentiation import gradient, graph, show_graph


def f(x, w, b, xp):
    return 1 / (xp.exp(-(w * x + b)) + 1)


def risk(W, c, w, x, y, xp):
    p = 1 / (1 + xp.exp(-xp.matmul(xp.tanh(xp.matmul(x, W) + c), w)))
    return -xp.mean(y * xp.log(p) + (1 - y) * xp.log(1 - p)) + 0.01 * xp.sum(W * W)


def arguments():
    rng = np.random.default_rng(0)
    shapes = ((2, 3), (3,), (3,), (4, 2))
    return [*(rng.normal(size=shape) for shape in shapes), np.asarray([0.0, 1.0, 1.0, 0.0])]


def test_the_worked_example():
    found = graph(f, 1.0, 0.0, 0.0)
    assert [node.name for node in found.nodes] == ["x", "w", "b", "v1", "v2", "v3", "v4", "v5", "f"]
    assert float(found["w"].derivative) == float(found["b"].derivative) == 0.25
    assert float(found["x"].derivative) == 0.0
    assert float(found["f"].value) == 0.5
    assert [float(node.derivative) for node in found.nodes[3:]] == [0.25, 0.25, -0.25, -0.25, -0.25, 1.0]
    assert [node.formula for node in found.nodes[3:]] == ["w * x", "v1 + b", "-v2", "exp(v3)", "v4 + 1", "1 / v5"]
    assert found["v1"].inputs == (1, 0)
    with pytest.raises(KeyError, match="`name` must be one of x, w, b"):
        found["z"]


def test_the_derivatives_are_those_of_the_gradient_on_every_backend(ops):
    arrays = [ops.asarray(a) for a in arguments()]
    found = graph(risk, *arrays)
    for name, slope in zip("Wcwxy", gradient(risk)(*arrays), strict=True):
        np.testing.assert_allclose(found[name].derivative, mlpx.to_numpy(slope), rtol=1e-13)
    assert found["risk"].formula.count("+") == 1


def test_the_text_has_at_most_80_columns_and_names_all_arguments():
    lines = str(graph(risk, *arguments())).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["step", "from", "value", "d", "risk", "/", "d", "step"]
    labels = str(graph(lambda x, n, xp: xp.sum(n * x), np.ones(2), np.asarray([1, 2])))
    assert "n * x" in labels  # an argument that is not differentiated by
    text = str(graph(lambda x, xp: xp.sum(xp.take(x[1:, ::2], xp.asarray([0]), axis=0), axis=None), np.ones((3, 4))))
    assert "x[1:, ::2]" in text
    assert "axis=0" in text


def test_what_has_no_graph_is_refused():
    with pytest.raises(ValueError, match="depends on its arguments"):
        graph(lambda x, xp: 1.0, 2.0)
    with pytest.raises(ValueError, match=r"one number, got an array of shape \(2,\)"):
        graph(lambda x, xp: x, np.ones(2))


@pytest.mark.parametrize(("function", "values"), [(f, (1.0, 0.0, 0.0)), (risk, arguments())])
def test_the_picture_has_all_nodes_apart_and_their_labels_inside(function, values):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    ax = show_graph(function, *values)
    ax.figure.canvas.draw()
    found = graph(function, *values)
    extents = [p.get_window_extent() for p in ax.patches if isinstance(p, FancyBboxPatch) and p.get_zorder() == 2]
    assert len(extents) == len(found.nodes)
    for i, one in enumerate(extents):
        assert not any(one.overlaps(other) for other in extents[i + 1 :])
    texts = [t for t in ax.texts if t.get_text()]
    assert len(texts) == 3 * len(found.nodes)
    for i, text in enumerate(texts):
        own, box = text.get_window_extent(), extents[i // 3]
        assert box.x0 <= own.x0
        assert own.x1 <= box.x1
        assert box.y0 <= own.y0
        assert own.y1 <= box.y1
    plt.close(ax.figure)


def test_the_picture_goes_into_given_axes():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots()
    assert show_graph(f, 1.0, 0.0, 0.0, ax=ax) is ax
    assert "df/dw = 0.25" in [text.get_text() for text in ax.texts]
    plt.close(figure)
