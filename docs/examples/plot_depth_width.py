"""
Depth against width at equal parameter count
============================================

A network can be made larger in two ways: by more units in a layer, or by more layers.
Here both cost the same: networks of one to eight hidden layers get, as nearly as whole
units allow, one number of parameters, and all learn the handwritten digits that come
with scikit-learn.
"""

# %%
# The data
# --------
#
# 1797 images of 8 x 8 pixels. 600 of them are kept for the test, in equal shares of the
# classes.

from itertools import pairwise

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=600, stratify=y, random_state=0
)

# %%
# Widths for a number of parameters
# ---------------------------------
#
# A layer from :math:`m` to :math:`n` units has :math:`mn` weights and :math:`n` biases.
# One hidden layer of :math:`w` units between 64 inputs and 10 outputs has
# :math:`75w + 10` parameters, and each further layer of :math:`w` units adds
# :math:`w^2 + w`. So the deeper network must be narrower. The widths are made equal,
# then single layers get one unit more, as long as that comes nearer to the number asked
# for.


def count(widths):
    """Return the number of weights and biases of a network."""
    return sum((m + 1) * n for m, n in pairwise(widths))


def widths_for(parameters, depth):
    """Return the widths of a network with `depth` hidden layers."""
    width = 1
    while count([64, *[width + 1] * depth, 10]) <= parameters:
        width += 1
    choices = [[64, *[width + 1] * k, *[width] * (depth - k), 10] for k in range(depth + 1)]
    return min(choices, key=lambda widths: abs(count(widths) - parameters))


depths, budgets = [1, 2, 3, 4, 6, 8], [3_000, 6_000, 15_000]
networks = {(b, d): widths_for(b, d) for b in budgets for d in depths}
for budget, depth in networks:
    widths = networks[budget, depth]
    print(f"{count(widths):6d} parameters:", "-".join(map(str, widths)))
    assert abs(count(widths) / budget - 1) < 0.02

# %%
# Eight networks of each shape
# ----------------------------
#
# One training says little: another seed gives other initial weights, another order of
# the rows, and another accuracy. So each shape is trained from eight seeds, side by
# side as one stack, and the picture shows the mean with the standard deviation over the
# seeds. The training is the same for all: Adam with a rate that falls along half a
# cosine, 30 epochs, nothing chosen by a look at the test rows.

import mlpx

seeds, epochs = 8, 30
train_accuracy, test_accuracy = ({} for _ in range(2))
for shape, widths in networks.items():
    net = mlpx.MLP(widths, activation="relu", members=seeds, seed=0)
    adam = mlpx.Adam(mlpx.schedules.WarmupCosine(3e-3))
    net.fit(X_train, y_train, epochs=epochs, batch_size=64, optimizer=adam)
    train_accuracy[shape] = net.evaluate(X_train, y_train)["accuracy"]
    test_accuracy[shape] = net.evaluate(X_test, y_test)["accuracy"]

# %%
# What is seen
# ------------

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
panels = zip(axes, ("training", "test"), (train_accuracy, test_accuracy), strict=True)
for ax, rows, accuracy in panels:
    for i, budget in enumerate(budgets):
        errors = [100 * (1 - np.asarray(accuracy[budget, depth])) for depth in depths]
        at = np.asarray(depths) + 0.08 * (i - 1)  # beside each other, not one over another
        mean, deviation = np.mean(errors, axis=1), np.std(errors, axis=1, ddof=1)
        ax.errorbar(at, mean, deviation, fmt="o-", capsize=3, label=f"{budget:,}")
    ax.set(xlabel="hidden layers", ylabel=f"error on {rows} rows (%)", xticks=depths)
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
axes[1].legend(title="parameters", frameon=False, loc="upper left")
plt.show()

for budget in budgets:
    errors = [100 * (1 - np.mean(test_accuracy[budget, depth])) for depth in depths]
    print(f"{budget:6d} parameters:", "  ".join(f"{error:.2f} %" for error in errors))

# %%
# On these images depth does not pay. On the training rows a second and a third layer
# lower the error: the same number of parameters fits more. But on the test rows the
# network with one hidden layer is the best of each row of the table, or as good as the
# next one within the scatter, and beyond four layers the error grows, most where there
# are few parameters. A narrow layer lets little through, and what it loses no later
# layer can bring back.
#
# This is a statement about 1200 small images, about a plain network, and about one way
# to train it; larger images with more structure, other layers and skip connections are
# why deep networks are used. What the picture does show: at equal cost depth is not
# better by itself.
