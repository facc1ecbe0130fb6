"""
Two loss surfaces of the smallest deep network
==============================================

A network with one input, one hidden unit and one output, both logistic and without biases,
is the function

.. math:: \\hat y = \\sigma(w_2\\, \\sigma(w_1 x)).

It has two parameters, so its loss can be drawn in full. For the single sample x = 1, y = 1
this example draws two losses: the squared error and the cross-entropy. Neither is convex,
and the squared error is flat just where the network is most wrong.
"""

# %%
# The network
# -----------

import matplotlib.pyplot as plt
import numpy as np

import mlpx
from mlpx import plots

X, y = [[1.0]], [[1.0]]


def network(loss):
    """Return the network with the weights 1 and 1."""
    layers = [
        mlpx.Dense(1, 1, "logistic", bias=False),
        mlpx.Dense(1, 1, "logistic", bias=False),
    ]
    net = mlpx.Network(layers, loss=loss, dtype="float64")
    net.set_weights([[[1.0]], [[1.0]]], [None, None])
    return net


losses = {"squared error": "squared_error", "cross-entropy": "binary_cross_entropy"}
nets = {title: network(loss) for title, loss in losses.items()}
print(nets["squared error"])

# %%
# The surfaces
# ------------
#
# ``loss_surface`` takes two single parameters: here the weight from input 0 to unit 0 of
# the first layer, and that of the second.

both = (("weights", 0, 0, 0), ("weights", 1, 0, 0))
options = {"parameters": both, "x_limits": (-8, 8), "y_limits": (-8, 8), "points": 65}

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for ax, (title, net) in zip(axes, nets.items(), strict=True):
    plots.loss_surface(net, X, y, ax=ax, **options)
    ax.set(title=title, xlabel="$w_1$", ylabel="$w_2$")
plt.show()

# %%
# The same in three dimensions:

figure = plt.figure(figsize=(10, 4.4), layout="constrained")
for i, (title, net) in enumerate(nets.items()):
    ax = figure.add_subplot(1, 2, i + 1, projection="3d")
    plots.loss_surface(net, X, y, kind="surface", ax=ax, **options)
    ax.set(title=title, xlabel="$w_1$", ylabel="$w_2$")
    ax.view_init(elev=30, azim=-125)
plt.show()

# %%
# The answer is right where w₂ is large and w₁ is not very negative: then the hidden unit is
# on, and the output is pushed to 1. It is wrong where w₂ is very negative and the hidden
# unit is on. Where w₁ is very negative, the hidden unit is off, the output is
# :math:`\sigma(0) = 1/2` whatever w₂ is, and both surfaces are a plain.
#
# Neither surface is convex
# -------------------------
#
# A function L is convex if between any two points it lies below the chord: in the middle of
# a and b, :math:`L(\frac{a+b}{2}) \le \frac{L(a) + L(b)}{2}`. One pair of points for which
# this does not hold is enough to refute it. The search looks at random pairs and
# keeps the worst one.


def sigma(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def squared_error(w):
    """Half the squared difference from 1, for weights of shape (..., 2)."""
    return 0.5 * (sigma(w[..., 1] * sigma(w[..., 0])) - 1) ** 2


def cross_entropy(w):
    """Minus the logarithm of the output."""
    return -np.log(sigma(w[..., 1] * sigma(w[..., 0])))


rng = np.random.default_rng(0)
a, b = rng.uniform(-8, 8, size=(2, 200_000, 2))
worst = {}
for title, function in {
    "squared error": squared_error,
    "cross-entropy": cross_entropy,
}.items():
    above = function((a + b) / 2) - (function(a) + function(b)) / 2
    worst[title] = a[above.argmax()], b[above.argmax()]
    share = (above > 1e-12).mean()
    print(
        f"{title}: above the chord in {share:.0%} of the pairs, by up to {above.max():.3f}"
    )
    assert above.max() > 0.1

# %%
# The surface over the worst chord, beside the chord itself:

along = np.linspace(0, 1, 200)
functions = {"squared error": squared_error, "cross-entropy": cross_entropy}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for ax, (title, function) in zip(axes, functions.items(), strict=True):
    start, end = worst[title]
    ends = function(np.stack([start, end]))
    ax.plot(along, function(start + along[:, None] * (end - start)), label="loss")
    ax.plot([0, 1], ends, "--", label="chord")
    ax.set(title=title, xlabel="way from a to b", ylabel="loss")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
plt.show()

# %%
# The squared error is flat where it is wrong
# -------------------------------------------
#
# Follow w₂ from right to wrong, with the hidden unit on (w₁ = 4). The slope by w₂ is what a
# step of gradient descent is made of. That of the squared error has the factor
# :math:`\hat y (1 - \hat y)`, the slope of the output's logistic function. It goes to 0
# when the output goes to 0, the most wrong answer of all. In the cross-entropy this factor
# cancels: the error term is :math:`\delta = \hat y - y`, and stays near -1.

w2 = np.linspace(-20, 8, 141)
slopes = {title: [] for title in nets}
for title, net in nets.items():
    for value in w2:
        net.set_weights([[[4.0]], [[value]]], [None, None])
        gradients = net.backward(net.forward(X), y)
        slopes[title].append(-float(gradients.weights[1][0, 0]))

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
points = np.stack([np.full_like(w2, 4.0), w2], axis=-1)
for color, (title, function) in zip(("#0072B2", "#D55E00"), functions.items(), strict=True):
    axes[0].plot(w2, function(points), color=color, label=title)
    axes[1].plot(w2, slopes[title], color=color, label=title)
axes[0].set(ylabel="loss", ylim=(0, 6), title="loss, $w_1 = 4$")
axes[1].set(ylabel=r"$-\partial L / \partial w_2$", title="slope")
for ax in axes:
    ax.set(xlabel="$w_2$")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
plt.show()

# %%
# At w₂ = -20 the answer is as wrong as can be:

ratio = slopes["cross-entropy"][0] / slopes["squared error"][0]
print(f"output {sigma(-20 * sigma(4.0)):.1e} instead of 1")
print(f"slope of the squared error {slopes['squared error'][0]:.1e},", end=" ")
print(f"of the cross-entropy {slopes['cross-entropy'][0]:.2f}, {ratio:.0e} times as steep")
assert ratio > 1e6

# %%
# So gradient descent on the squared error hardly moves where it should move most. From
# w₂ = -6 the cross-entropy finds the right answer in 300 steps, the squared error does not.
# That is why a logistic output is trained with the cross-entropy: its surface is steep
# where the network is wrong.

for start in (-6.0, -20.0):
    for title, net in nets.items():
        net.set_weights([[[4.0]], [[start]]], [None, None])
        net.fit(X, y, epochs=300, optimizer=mlpx.SGD(0.5), progress=False)
        output = float(net.predict(X)[0, 0])
        print(f"from w₂ = {start:g}, {title}: output {output:.2g} after 300 steps")

# %%
# Steep is not convex, though. From w₂ = -20 the cross-entropy leaves at once, but it also
# pulls w₁ down, which switches the hidden unit off: the answer becomes 1/2, on the plain at
# the left of the first picture, and stays there.
