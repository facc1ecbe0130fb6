"""
The 2-2-2 network, step by step
===============================

The network that many introductions compute by hand, with every number printed in the
order in which back-propagation finds it, and drawn at its edge. What the formulas mean
is told on the page :doc:`/worked-example`; here the numbers are made, drawn, and
followed for ten thousand steps.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# The network before the first step
# ---------------------------------
#
# Two inputs, two hidden units, two outputs; logistic units; squared error
# :math:`L = \frac{1}{2} \sum_k (\hat y_k - y_k)^2`; one sample. The biases keep their
# values, as in the books. ``W1[i, j]`` leads from input ``i`` to hidden unit ``j``.

import numpy as np

import mlpx

W1, b1 = np.array([[0.15, 0.25], [0.20, 0.30]]), np.array([0.35, 0.35])
W2, b2 = np.array([[0.40, 0.50], [0.45, 0.55]]), np.array([0.60, 0.60])
x, y = np.array([[0.05, 0.10]]), np.array([[0.01, 0.99]])

layers = [mlpx.Dense(2, 2, "logistic", bias="frozen") for _ in range(2)]
net = mlpx.Network(layers, loss="squared_error", dtype="float64")
net.set_weights([W1, W2], [b1, b2])


def show(**values):
    """Print names and numbers."""
    for name, value in values.items():
        numbers = ", ".join(f"{number:.8f}" for number in np.ravel(value))
        print(f"{name:>5} = {numbers}")


# %%
# Forward
# -------

trace = net.forward(x)
show(z1=trace.z[0], a1=trace.a[1], z2=trace.z[1], y_hat=trace.a[2])

# %%
# Error terms, from the last layer to the first
# ---------------------------------------------

gradients = net.backward(trace, y)
show(L=gradients.loss, d2=gradients.delta[1], d1=gradients.delta[0])

# %%
# The same by hand, from the two lines that are back-propagation:

a1, y_hat = trace.a[1], trace.a[2]
d2 = (y_hat - y) * y_hat * (1 - y_hat)
d1 = d2 @ W2.T * a1 * (1 - a1)
assert np.allclose(d2, gradients.delta[1], rtol=1e-13, atol=0)
assert np.allclose(d1, gradients.delta[0], rtol=1e-13, atol=0)

# %%
# Gradients of the weights, row by row
# ------------------------------------

assert np.allclose(a1.T @ d2, gradients.weights[1], rtol=1e-13, atol=0)
assert np.allclose(x.T @ d1, gradients.weights[0], rtol=1e-13, atol=0)
show(dW2=gradients.weights[1], dW1=gradients.weights[0])

# %%
# The picture
# -----------
#
# A unit carries its activation and, in red, its error term. An edge carries its weight
# and, in red, the gradient: the activation at its left end times the error term at its
# right.

import matplotlib.pyplot as plt


def write(ax, across, up, value, derivative, **style):
    """Write a number, and in red below it a derivative."""
    style = {"ha": "center", "fontsize": 9, **style}
    ax.text(across, up + 0.05, f"{value:.5f}", va="bottom", **style)
    if derivative is not None:
        ax.text(across, up - 0.05, f"{derivative:+.5f}", va="top", color="C3", **style)


def draw(ax, trace, gradients, weights):
    """Draw the network with its numbers."""
    places = [[(4 * layer, 2.2 * (1 - unit)) for unit in range(2)] for layer in range(3)]
    box = {"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none"}
    for layer, W in enumerate(weights):
        for i, j in np.ndindex(2, 2):
            start, end = np.array(places[layer][i]), np.array(places[layer + 1][j])
            ax.plot(*zip(start, end, strict=True), color="0.75", lw=1.2, zorder=0)
            at = start + (0.5 if i == j else 0.3) * (end - start)
            write(ax, *at, W[i, j], gradients.weights[layer][i, j], bbox=box)
    for layer, units in enumerate(places):
        for unit, (across, up) in enumerate(units):
            ax.plot(across, up, "o", ms=54, mfc="white", mec="black")
            delta = gradients.delta[layer - 1][0, unit] if layer else None
            write(ax, across, up, trace.a[layer][0, unit], delta)
    for across, title in zip((0, 4, 8), ("inputs", "hidden units", "outputs"), strict=True):
        ax.text(across, 3.05, title, ha="center", fontsize=10)
    ax.set(xlim=(-0.9, 8.9), ylim=(-0.7, 3.3))
    ax.axis("off")


figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
draw(ax, trace, gradients, [W1, W2])
plt.show()

# %%
# The update, and what it does to the error
# -----------------------------------------
#
# Each weight goes against its gradient, times the learning rate 0.5:

step = {"batch_size": 1, "optimizer": mlpx.SGD(0.5)}
first = net.fit(x, y, epochs=1, **step)
assert np.allclose(net.weights[1], W2 - 0.5 * gradients.weights[1], rtol=1e-13, atol=0)
show(W2=net.weights[1], W1=net.weights[0], L=net.evaluate(x, y, metrics=())["loss"])

# %%
# Ten thousand steps
# ------------------
#
# With one sample an epoch is one step. The history has the error before each update:

later = net.fit(x, y, epochs=9_999, **step)
errors = [*first["loss"], *later["loss"], net.evaluate(x, y, metrics=())["loss"]]
print(f"error after 10 000 steps: {errors[-1]:.4e}, outputs:", net.predict(x).round(7))

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.loglog(np.arange(1, len(errors)), errors[1:])
for steps in (1, 100, 10_000):
    ax.plot(steps, errors[steps], "o", color="C3")
    at = (-8, -4) if steps == 10_000 else (6, 6)
    side = "right" if steps == 10_000 else "left"
    text = f"{errors[steps]:.3g}"
    ax.annotate(text, (steps, errors[steps]), at, textcoords="offset points", ha=side)
ax.set(xlabel="steps", ylabel="squared error", ylim=(1e-5, 1))
ax.grid(alpha=0.3)
plt.show()
