r"""
Vanishing gradients in ten layers
=================================

Back-propagation carries the error term from layer to layer,
:math:`\delta_l = f'(z_l) \odot (\delta_{l+1} W_{l+1}^\mathsf{T})`. Each layer
multiplies by a derivative, and that of the logistic function is at most 1/4. Through
ten layers little is left: the first layers learn nothing. Here the norm of
:math:`\delta_l` is followed layer by layer while three networks train, one of logistic
units, one of tanh, one of ReLU.
"""

# %%
# Three networks of ten layers
# ----------------------------
#
# The handwritten digits of scikit-learn; nine hidden layers of 32 units and a softmax
# layer. The initial weights are those that go with each activation: He's for ReLU,
# Glorot's for the other two.

import numpy as np
from sklearn.datasets import load_digits

import mlpx

X, y = load_digits(return_X_y=True)
X = X / 16

activations = ["logistic", "tanh", "relu"]
widths = [64, *[32] * 9, 10]
networks = {f: mlpx.MLP(widths, activation=f, dtype="float64", seed=0) for f in activations}

# %%
# Norms while training goes on
# ----------------------------
#
# `mlpx.Diagnostics` is a callback that looks into the network while it trains, here
# before the first epoch and after each, over all rows. It also says in words when
# gradients vanish.

import warnings

norms, histories = {}, {}
for name, net in networks.items():
    looks = mlpx.Diagnostics(every=1, rows=len(X))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        histories[name] = net.fit(
            X,
            y,
            epochs=30,
            batch_size=64,
            optimizer=mlpx.SGD(0.05),
            metrics="accuracy",
            callbacks=looks,
        )
    norms[name] = looks.delta_norms
    for warning in caught:
        print(f"{name}: {warning.message}\n")

# %%
# One line a layer, from the first (dark) to the last (light). With logistic units each
# layer passes on about a quarter of what it gets, and the first layer gets two
# millionths of what the last one has; the network stays at guessing. With tanh and
# ReLU, whose derivatives are 1 where the units are at work, all layers start within a
# factor of about two, and all of them learn. Later, where there is less left to learn,
# the lines even fan out the other way.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 3, figsize=(10, 3.8), sharey=True, layout="constrained")
colors = plt.get_cmap("viridis")(np.linspace(0, 0.92, 10))
for ax, (name, by_epoch) in zip(axes, norms.items(), strict=True):
    for layer, color in enumerate(colors):
        ax.semilogy(by_epoch[:, layer], color=color)
    accuracy = histories[name]["accuracy"][-1]
    ax.set(title=f"{name} (accuracy {100 * accuracy:.0f} %)", xlabel="epoch")
    ax.grid(alpha=0.3)
axes[0].set_ylabel(r"norm of the error term $\|\delta_l\|$")
bar = plt.cm.ScalarMappable(
    plt.Normalize(1, 10), plt.matplotlib.colors.ListedColormap(colors)
)
figure.colorbar(bar, ax=axes, label="layer", ticks=range(1, 11))
plt.show()

# %%
# The bound
# ---------
#
# For logistic units no norm can be larger than
# :math:`\frac{1}{4} \|W_{l+1}\| \, \|\delta_{l+1}\|`, with the largest singular value
# as the norm of the weights. How much of the bound is used:


def share_of_bound(net):
    """Return by layer the norm of the error term over its bound."""
    delta = [np.linalg.norm(d) for d in net.backward(net.forward(X), y).delta]
    weights = [np.linalg.norm(W, ord=2) for W in net.weights]
    bounds = [0.25 * W * d for W, d in zip(weights[1:], delta[1:], strict=True)]
    return np.array(delta[:-1]) / bounds


fresh = {f: mlpx.MLP(widths, activation=f, dtype="float64", seed=0) for f in activations}
figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for i, name in enumerate(activations):
    for net, line in ((fresh[name], "o--"), (networks[name], "s-")):
        when = "before" if net is fresh[name] else "after"
        ax.plot(
            range(1, 10),
            share_of_bound(net),
            line,
            color=f"C{i}",
            label=f"{name}, {when}",
            ms=4,
        )
ax.axhline(1, color="black", lw=1)
ax.set(
    xlabel="layer $l$", ylabel=r"$\|\delta_l\|$ over $0.25\,\|W_{l+1}\|\,\|\delta_{l+1}\|$"
)
ax.set(ylim=0, xticks=range(1, 10))
ax.grid(alpha=0.3)
ax.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.27))
plt.show()

for net in (fresh["logistic"], networks["logistic"]):
    assert np.all(share_of_bound(net) <= 1)
assert share_of_bound(networks["relu"]).max() > 1

# %%
# What is left of the error term on its way from the last layer to the first:

for when, nets in (("before", fresh), ("after", networks)):
    for name, net in nets.items():
        delta = net.backward(net.forward(X), y).delta
        left = np.linalg.norm(delta[0]) / np.linalg.norm(delta[-1])
        print(f"{name:>8}, {when:<6} training: {left:.1e}")
