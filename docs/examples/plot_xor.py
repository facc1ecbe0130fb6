"""
XOR: how a hidden layer moves the points
========================================

The exclusive or of two inputs is 1 where they differ. It is the smallest problem that a
single unit cannot solve: no straight line has (0, 1) and (1, 0) on one side, (0, 0) and
(1, 1) on the other. A hidden layer solves it by moving the four points to places where one
line is enough.
"""

# %%
# A network that is solved by hand
# --------------------------------
#
# Two hidden ReLU units and one linear output unit, without any training:
#
# .. math:: h = \max(0,\; x W + c), \qquad \hat y = h\, w,
#    \qquad W = \begin{pmatrix} 1 & 1 \\ 1 & 1 \end{pmatrix},\quad c = (0, -1),\quad
#    w = \begin{pmatrix} 1 \\ -2 \end{pmatrix}.

import matplotlib.pyplot as plt
import numpy as np

import mlpx
from mlpx import plots

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([0, 1, 1, 0])

by_hand = mlpx.MLP([2, 2, 1], activation="relu", output="linear", dtype="float64")
by_hand.set_weights([[[1, 1], [1, 1]], [[1], [-2]]], [[0, -1], [0]])
trace = by_hand.forward(X)
for x, h, out in zip(X, trace.a[1], trace.a[2], strict=True):
    print(f"x = {x}   hidden units {h}   output {out[0]:g}")
assert np.array_equal(trace.a[2][:, 0], y)

# %%
# The first hidden unit counts the ones, the second says whether there are two. The points
# (0, 1) and (1, 0) come to lie on one place.
#
# Before and after
# ----------------
#
# The output unit sees only the hidden units. For it, the problem is the right picture: it
# cuts along the line :math:`h_1 - 2 h_2 = 1/2`. Back in the space of the inputs, at the
# left, the same cut consists of two lines.


def layer_after(net):
    """Return what comes after the hidden layer, as a network of its own."""
    output = net.layers[-1]
    after = mlpx.Network(
        [mlpx.Dense(2, 1, output.activation)], loss=net.loss, dtype="float64"
    )
    after.set_weights(net.weights[1:], net.biases[1:])
    return after


def before_and_after(net, title):
    """Draw the four points and the boundary, in the inputs and in the hidden units."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    hidden = net.forward(X).a[1]
    after = layer_after(net)
    plots.decision_boundary(net, X, y, margin=0.4, features=("$x_1$", "$x_2$"), ax=axes[0])
    features = ("$h_1$", "$h_2$")
    plots.decision_boundary(after, hidden, y, margin=0.4, features=features, ax=axes[1])
    for ax, points in zip(axes, (X, hidden), strict=True):
        texts = {}
        for x, point in zip(X, points, strict=True):
            texts.setdefault(tuple(point.round(3)), []).append(f"({x[0]:g}, {x[1]:g})")
        for place, names in texts.items():
            look = {
                "textcoords": "offset points",
                "xytext": (0, -8),
                "ha": "center",
                "va": "top",
            }
            ax.annotate(" and ".join(names), place, **look)
    axes[0].set_title("inputs")
    axes[1].set_title("hidden units")
    axes[1].get_legend().remove()
    figure.suptitle(title)


before_and_after(by_hand, "solved by hand")
plt.show()

# %%
# The same by training
# --------------------
#
# Does back-propagation find such a solution? With two logistic hidden units it depends on
# the initial weights. A stack trains fifty networks side by side that differ in nothing
# else.

settings = {"activation": "logistic", "output": "sigmoid", "dtype": "float64"}
sgd = mlpx.SGD(2.0, momentum=0.9)
small = mlpx.MLP([2, 2, 1], members=50, **settings)
history = small.fit(X, y, epochs=1000, batch_size=4, optimizer=sgd, progress=False)
solved = (small.predict_labels(X) == y).all(axis=1)
print(f"{solved.sum()} of {len(solved)} networks with 2 hidden units have learned XOR")

ax = plots.training_curves(history, log=True, best=False)
ax.set_title("2 hidden units, fifty starts")
plt.show()

# %%
# Some got stuck where the gradient is almost 0, though the loss is not. With five hidden
# units there is more than one way out:

large = mlpx.MLP([2, 5, 1], members=50, **settings)
large.fit(X, y, epochs=1000, batch_size=4, optimizer=sgd, progress=False)
good = (large.predict_labels(X) == y).all(axis=1)
print(f"{good.sum()} of {len(good)} networks with 5 hidden units have learned XOR")

# %%
# What the first of the successful small networks does with the points:

before_and_after(small.member(int(solved.argmax())), "trained, two logistic hidden units")
plt.show()

# %%
# The boundary over training
# --------------------------
#
# One network with five logistic hidden units, trained sample by sample as the textbook has
# it. ``fit`` goes on from the present weights, so that it can be called again and again.

net = mlpx.MLP([2, 5, 1], seed=1, **settings)
figure, axes = plt.subplots(
    2, 3, figsize=(9, 6), sharex=True, sharey=True, layout="constrained"
)
done = 0
for ax, epochs in zip(axes.flat, (0, 100, 200, 300, 500, 2000), strict=True):
    if epochs > done:
        net.fit(X, y, epochs=epochs - done, batch_size=1, optimizer=mlpx.SGD(0.5))
        done = epochs
    plots.decision_boundary(net, X, y, margin=0.4, features=("$x_1$", "$x_2$"), ax=ax)
    ax.set_title(f"{epochs} epochs, loss {net.evaluate(X, y)['loss']:.3f}")
    ax.label_outer()
    ax.get_legend().remove()
plt.show()
