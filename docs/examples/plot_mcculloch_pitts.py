"""
Threshold units: logic, learning, and what one unit cannot do
=============================================================

A neuron of McCulloch and Pitts puts out 1 where its weighted inputs reach a threshold, and
0 elsewhere. One such unit does AND, OR and NOT. The perceptron learning rule finds its
weights from examples, where there are any. A search over all weights that can matter shows
which Boolean functions of two inputs have none: XOR and its negation. Two layers do those.
"""

# sphinx_gallery_thumbnail_number = 3

# %%
# Units and their lines
# ---------------------
#
# With two inputs a unit parts the plane by a line, :math:`w_1 x_1 + w_2 x_2 + b = 0`. It is
# 1 on the line and on the side to which the weights point. A truth table lists the values
# for the inputs in the order of ``threshold.rows(2)``; ``represent`` returns a unit for it.

import matplotlib.pyplot as plt
import numpy as np

import mlpx
from mlpx import threshold

corners = threshold.rows(2)
fill = plt.matplotlib.colors.ListedColormap(["white", "#cfe3f5"])


def draw_plane(ax, net, low=-0.5, high=1.5):
    """Color where a network puts out 1; draw where net inputs of its first layer are 0."""
    axis = np.linspace(low, high, 401)
    trace = net.forward(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    on = trace.a[-1].reshape(401, 401)
    ax.imshow(on, fill, origin="lower", extent=(low, high) * 2, vmin=0, vmax=1)
    for z in trace.z[0].T:
        if z.min() < 0 < z.max():
            ax.contour(axis, axis, z.reshape(401, 401), [0], colors="C0", linewidths=1.5)


def draw_corners(ax, points, table, size=60):
    """Mark points by their value: 1 is full, 0 is empty."""
    colors = np.where(np.asarray(table) == 1, "black", "white")
    ax.scatter(*np.transpose(points), s=size, c=colors, edgecolors="black", zorder=3)


units = {
    "AND": threshold.conjunction(),
    "OR": threshold.disjunction(),
    "NAND": threshold.represent([1, 1, 1, 0]),
    "NOT $x_1$": threshold.represent([1, 1, 0, 0]),
}
figure, axes = plt.subplots(1, 4, figsize=(11, 3.7), sharey=True, layout="constrained")
for ax, (name, unit) in zip(axes, units.items(), strict=True):
    draw_plane(ax, unit)
    draw_corners(ax, corners, unit.predict_labels(corners))
    (w1, w2), b = unit.weights[0][:, 0], unit.biases[0][0]
    ax.set(title=f"{name}: w = ({w1:g}, {w2:g}), b = {b:g}", xlabel="$x_1$")
    ax.set(xticks=[0, 1], yticks=[0, 1])
    ax.title.set_fontsize(10)
axes[0].set_ylabel("$x_2$")
figure.suptitle("output 1: full points, blue side; output 0: empty points", fontsize=10)
plt.show()

# %%
# The perceptron learning rule
# ----------------------------
#
# For one sample after the other, :math:`w \leftarrow w + \alpha (y - \hat y) x` and
# :math:`b \leftarrow b + \alpha (y - \hat y)`: nothing happens where the unit is right.
# This is gradient descent with one row a step on the loss `mlpx.losses.perceptron`, which a
# step output has by default. Here it learns to tell two kinds of iris by two lengths. To
# see each change of the line, the rows are given one by one.

from sklearn.datasets import load_iris

iris = load_iris()
X, y = iris.data[:100, [0, 2]], iris.target[:100]
order = np.random.default_rng(2).permutation(100)
X, y = X[order], y[order]


def learner():
    """Return a unit of two inputs with the weights 0."""
    return mlpx.MLP([2, 1], output="step", initializer="zeros", dtype="float64")


rule = {"optimizer": mlpx.SGD(1.0), "batch_size": 1, "shuffle": False}
net, path, right_in_a_row = learner(), [], 0
while right_in_a_row < len(X):
    for x_row, y_row in zip(X, y, strict=True):
        before = net.vector
        net.fit([x_row], [y_row], epochs=1, **rule)
        right_in_a_row += 1
        if np.any(net.vector != before):
            path.append(np.array(net.vector))
            right_in_a_row = 0
print(f"{len(path)} mistakes, the last weights are {path[-1].round(2)}")

# %%
# Training as usual makes the same updates. A callback ends it after an epoch without a
# mistake; ``"error_rate"`` counts each row as the unit was before its update.


def stop_when_right(run):
    """Stop after an epoch without a mistake."""
    if run.row["error_rate"] == 0:
        run.stop()


stopping = {**rule, "metrics": "error_rate", "callbacks": stop_when_right, "epochs": 25}
again = learner()
history = again.fit(X, y, **stopping)
assert np.array_equal(again.vector, path[-1])
mistakes = np.rint(np.array(history["error_rate"]) * len(X)).astype(int)
print("mistakes by epoch:", *mistakes)

# %%
# The convergence theorem bounds their number: if some unit of weights :math:`u` (bias
# included, of length 1) has all points :math:`(x, 1)` on their sides with a distance of at
# least :math:`\gamma`, and no point is longer than :math:`R`, there are at most
# :math:`(R / \gamma)^2` mistakes. Any unit that is right gives such a :math:`\gamma`; the
# one that was just found:

points = np.column_stack([X, np.ones(len(X))])
u = path[-1] / np.linalg.norm(path[-1])
gamma = np.min(np.where(y == 1, 1, -1) * (points @ u))
bound = np.max(np.sum(points**2, axis=1)) / gamma**2
assert len(path) <= bound
print(f"{len(path)} mistakes, at most {bound:.0f}")

# %%
# On a truth table the rule ends as well, if there is a line. On XOR it goes on for ever.
# (On the left, lines that miss the picture are not seen.)

tables = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}
curves = {
    name: 4 * np.array(learner().fit(corners, table, **stopping)["error_rate"])
    for name, table in tables.items()
}

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for kind, marker in ((0, "o"), (1, "^")):
    axes[0].scatter(
        *X[y == kind].T, marker=marker, s=25, c="white", edgecolors="black",
        label=f"Iris {iris.target_names[kind]}, output {kind}", zorder=3,
    )  # fmt: skip
across = np.array([3.9, 7.4])
shades = plt.get_cmap("viridis_r")(np.linspace(0.1, 1, len(path)))
for i, (vector, shade) in enumerate(zip(path, shades, strict=True), start=1):
    w1, w2, b = vector
    if w2 != 0:
        style = {"lw": 2.5, "label": "last line"} if i == len(path) else {"lw": 1}
        axes[0].plot(across, -(w1 * across + b) / w2, c=shade, **style)
colors = plt.matplotlib.colors.ListedColormap(shades)
scale = plt.cm.ScalarMappable(plt.Normalize(0.5, len(path) + 0.5), colors)
figure.colorbar(scale, ax=axes[0], label="update", ticks=[1, 5, 10, len(path)])
axes[0].set(xlim=across, ylim=(0, 6), title="The line after the updates")
axes[0].set(xlabel="sepal length (cm)", ylabel="petal length (cm)")
axes[0].legend(loc="upper left", fontsize=8, framealpha=1)
for (name, curve), marker in zip(curves.items(), "os^", strict=True):
    axes[1].plot(np.arange(len(curve)) + 1, curve, marker=marker, label=name, ms=5)
axes[1].set(xlabel="epoch", ylabel="mistakes among the 4 rows", ylim=(-0.2, 4.3))
axes[1].set(title="The rule on truth tables", yticks=range(5))
axes[1].legend(loc="center right")
axes[1].grid(alpha=0.3)
plt.show()

# %%
# Which functions have a unit
# ---------------------------
#
# ``represent`` tries all whole weights up to a bound beyond which nothing new comes: if
# some unit computes a Boolean function of :math:`n` inputs, one with weights of at most
# :math:`2^{-n} (n+1)^{(n+1)/2}` does. For two inputs these are -1, 0 and 1. So where it
# finds nothing, there is nothing. Of the 16 functions of two inputs 14 have a unit:

names = [
    *("0", r"$x_1 \wedge x_2$ (AND)", r"$x_1 \wedge \neg x_2$", "$x_1$"),
    *(r"$\neg x_1 \wedge x_2$", "$x_2$", "XOR", r"$x_1 \vee x_2$ (OR)"),
    *("NOR", "XNOR", r"$\neg x_2$ (NOT)", r"$x_1 \vee \neg x_2$"),
    *(r"$\neg x_1$ (NOT)", r"$\neg x_1 \vee x_2$", "NAND", "1"),
]
grid = {"sharex": True, "sharey": True, "layout": "constrained"}
figure, axes = plt.subplots(4, 4, figsize=(8, 8.6), **grid)
for number, (name, ax) in enumerate(zip(names, axes.flat, strict=True)):
    table = [int(digit) for digit in f"{number:04b}"]
    unit = threshold.represent(table)
    if unit is None:
        ax.set_facecolor("#f7d6d6")
        ax.text(0.5, 0.5, "no line", ha="center", va="center", color="C3", fontsize=12)
        ax.set_aspect("equal")
    else:
        draw_plane(ax, unit)
        assert unit.predict_labels(corners).tolist() == table
    draw_corners(ax, corners, table)
    ax.set_title(name, fontsize=11)
    ax.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), xticks=[0, 1], yticks=[0, 1])
figure.supxlabel("$x_1$")
figure.supylabel("$x_2$")
plt.show()

# %%
# The share falls fast with the number of inputs:

print("inputs  functions  with a unit")
for n in range(1, 5):
    print(f"{n:6}  {2**2**n:9}  {threshold.count(n):11}")

# %%
# XOR with two layers
# -------------------
#
# One hidden unit does OR, the other AND. They map the two points of value 1 onto one place,
# and in the plane of the hidden units a line parts the values: OR and not AND.

net = threshold.exclusive_or()
hidden = net.forward(corners).a[1]
output = threshold.unit(net.weights[1][:, 0], net.biases[1][0])

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
draw_plane(axes[0], net)
draw_corners(axes[0], corners, tables["XOR"])
axes[0].set(title="Inputs: the band between two lines", xlabel="$x_1$", ylabel="$x_2$")
axes[0].text(0.02, 0.14, "OR", rotation=-45, color="C0")
axes[0].text(1.0, 0.66, "AND", rotation=-45, color="C0", va="top")
draw_plane(axes[1], output)
draw_corners(axes[1], hidden, tables["XOR"])
axes[1].set(title="Hidden units: one line is enough", xlabel="OR", ylabel="AND")
for (x1, x2), (h1, h2) in zip(corners, hidden, strict=True):
    above = 0.1 if (x1, x2) != (1, 0) else 0.22
    axes[1].text(h1, h2 + above, f"from ({x1}, {x2})", ha="center")
for ax in axes:
    ax.set(xticks=[0, 1], yticks=[0, 1])
plt.show()
