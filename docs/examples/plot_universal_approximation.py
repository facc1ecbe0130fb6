"""
Universal approximation: how many hidden units a function needs
===============================================================

One hidden layer is enough for every continuous function on a bounded interval: with
sufficiently many units the network comes as near to it as one likes. The theorem says that
such weights exist. It does not say how many units are needed, nor that training finds them.
This example looks at both, for one function of one variable.
"""

# %%
# The function
# ------------
#
# A wave that becomes faster to the right, with a corner at 0.

import matplotlib.pyplot as plt
import numpy as np

import mlpx
from mlpx import plots


def target(x):
    """The function to approximate, on the interval from -1 to 1."""
    return np.sin(3 * np.pi * (x + 1) ** 1.5 / 2) * 0.6 + np.abs(x)


x = np.linspace(-1, 1, 100)[:, None]  # what is trained on
fine = np.linspace(-1, 1, 1001)[:, None]  # what the error is measured on

# %%
# Networks of four widths
# -----------------------
#
# A network with m hidden units is a weighted sum of m smooth steps,
#
# .. math:: \hat y(x) = \sum_{j=1}^m w_j \tanh(v_j x + b_j) + c.
#
# Each unit has its step where :math:`v_j x + b_j = 0`. With the usual initial biases of 0
# all steps would begin at x = 0, so here they are spread over the interval.
#
# For each m ten networks, which differ in their initial weights, are trained side by side
# as one stack. All have the same number of epochs, and a learning rate that goes to 0.

widths = (2, 5, 20, 100)
epochs, members = 1500, 10


def approximate(m):
    """Return ten trained networks with m hidden units, and the history of training."""
    wide = mlpx.initializers.uniform(10.0)
    hidden = mlpx.Dense(1, m, "tanh", initializer=wide, bias_initializer=wide)
    net = mlpx.Network(
        [hidden, mlpx.Dense(m, 1, "linear")], members=members, dtype="float64"
    )
    rate = mlpx.schedules.WarmupCosine(0.03)
    history = net.fit(
        x,
        target(x),
        epochs=epochs,
        batch_size=len(x),
        optimizer=mlpx.Adam(rate),
        progress=False,
    )
    return net, history


stacks, histories, errors = {}, {}, {}
for m in widths:
    stacks[m], histories[m] = approximate(m)
    off = stacks[m].predict(fine) - target(fine)
    errors[m] = np.sqrt((off**2).mean(axis=(1, 2)))
    print(f"m = {m:3}: {stacks[m].n_parameters:3} parameters,", end=" ")
    print(f"error {np.median(errors[m]):.4f} in the median, {errors[m].min():.4f} at best")

# %%
# What they compute
# -----------------
#
# The function is black, the ten networks are thin lines, and the one with the median error
# is the thick one.

figure, axes = plt.subplots(
    2, 2, figsize=(9, 6.4), sharex=True, sharey=True, layout="constrained"
)
for ax, m in zip(axes.flat, widths, strict=True):
    outputs = stacks[m].predict(fine)[..., 0]
    middle = np.argsort(errors[m])[members // 2]
    ax.plot(fine, outputs.T, color="#0072B2", linewidth=0.6, alpha=0.4)
    ax.plot(fine, target(fine), color="black", linewidth=1.2, label="function")
    ax.plot(fine, outputs[middle], "--", color="#D55E00", linewidth=1.8, label="network")
    ax.set(title=f"m = {m}", xlabel="x", ylabel="f(x)")
    ax.grid(alpha=0.3)
    ax.label_outer()
axes[0, 0].legend(frameon=False)
plt.show()

# %%
# Two units give two steps, and follow the coarse shape at most. Five can have every wave,
# if training puts the steps where they are needed: of ten starts some find this and others
# do not. With 20 units all follow the function, with 100 also into the corner.
#
# The error over m
# ----------------

figure, ax = plt.subplots(layout="constrained")
for m in widths:
    ax.plot([m] * members, errors[m], "o", color="#0072B2", markersize=4, alpha=0.5)
medians = [np.median(errors[m]) for m in widths]
ax.plot(widths, medians, "-o", color="#D55E00", label="median of ten networks")
ax.set(xscale="log", yscale="log", title="error on a fine grid")
ax.set(xlabel="hidden units m", ylabel="root mean squared error")
ax.set_xticks(widths, [str(m) for m in widths])
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend(frameon=False)
plt.show()

# %%
# What the theorem leaves open
# ----------------------------
#
# The best of the networks with five units is several times as good as the median: the good
# weights exist, and most starts do not lead there. The loss of the ten over training shows
# where they part.

ax = plots.training_curves(histories[5], log=True, best=False)
ax.set_title("m = 5, ten starts")
plt.show()

ratio = np.median(errors[5]) / errors[5].min()
print(f"m = 5: the median error is {ratio:.1f} times the least one")

# %%
# Outside the interval nothing is promised. There the ten networks, which agree inside, go
# ten ways.

wide = np.linspace(-2, 2, 801)[:, None]
outputs = stacks[100].predict(wide)[..., 0]
figure, ax = plt.subplots(layout="constrained")
ax.axvspan(-1, 1, color="#eeeeee", label="interval of training")
ax.plot(wide, outputs.T, color="#0072B2", linewidth=0.8, alpha=0.6)
inside = np.abs(wide[:, 0]) <= 1
ax.plot(wide[inside], target(wide[inside]), color="black", label="function")
ax.set(xlabel="x", ylabel="output", title="m = 100, ten networks")
ax.legend(frameon=False)
plt.show()
