r"""
Single samples against mini-batches
===================================

The textbook's stochastic gradient descent makes a step after each sample. Gradient
descent in its plain form makes one after a look at all. Mini-batches lie between: the
mean gradient of :math:`B` rows has a :math:`B`-th of the variance of that of one row,
and costs less than :math:`B` single ones, since one matrix product does the work. Here
are the path, the loss over epochs, over updates, and over seconds.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# The path of two weights
# -----------------------
#
# Logistic regression with two weights and no bias can be drawn whole. The question is
# whether a tumor is malignant, from its radius and its texture (the breast cancer data
# that come with scikit-learn, standardized). From the same start, with the same
# learning rate, three networks make 300 updates each: from one row, from 32 rows, and
# from all rows.

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler

import mlpx

data = load_breast_cancer()
X = StandardScaler().fit_transform(data.data[:, :2])
y = 1 - data.target
n = len(X)


def two_weights(w):
    """Return the network with these two weights."""
    net = mlpx.Network([mlpx.Dense(2, 1, "sigmoid", bias=False)], dtype="float64")
    net.set_weights([np.reshape(w, (2, 1))], [None])
    return net


def path(batch_size, updates=300, learning_rate=0.1):
    """Return the weights before each update and after the last."""
    random, w = np.random.default_rng(0), np.array([-1.0, 2.5])
    walked, rows = [w], np.array([], dtype=int)
    for _ in range(updates):
        if len(rows) < batch_size:  # an epoch is over
            rows = random.permutation(n)
        batch, rows = rows[:batch_size], rows[batch_size:]
        net = two_weights(w)
        gradients = net.backward(net.forward(X[batch]), y[batch])
        w = w - learning_rate * gradients.weights[0][:, 0]
        walked.append(w)
    return np.array(walked)


paths = {size: path(size) for size in (1, 32, n)}

# %%
# The loss over all rows as contour lines, and the three paths from the circle on:

import matplotlib.pyplot as plt

w1, w2 = np.meshgrid(np.linspace(-1.5, 4.5, 80), np.linspace(-0.5, 3, 60))
z = w1[..., None] * X[:, 0] + w2[..., None] * X[:, 1]
loss = np.mean(np.logaddexp(0, z) - y * z, axis=-1)

figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
for ax, (size, walked) in zip(axes, paths.items(), strict=True):
    ax.contour(
        w1, w2, loss, levels=np.geomspace(0.255, 2, 14), colors="0.75", linewidths=0.8
    )
    ax.plot(*walked.T, lw=1)
    ax.plot(*walked[0], "o", mfc="white", color="black")
    title = "all rows" if size == n else "32 rows" if size == 32 else "one row"
    ax.set(title=f"{title} an update", xlabel="weight of the radius")
axes[0].set_ylabel("weight of the texture")
plt.show()

# %%
# The mean of the steps is the same: each batch is drawn from the same rows. What
# differs is the scatter around it. How far one gradient lies from the gradient of all
# rows, in the mean over many batches, near the end of the path:

net = two_weights(paths[n][-1])


def gradient(rows):
    """Return the gradient of some rows."""
    return net.backward(net.forward(X[rows]), y[rows]).weights[0]


random, full = np.random.default_rng(1), gradient(np.arange(n))
for size in (1, 4, 16, 64):
    draws = [gradient(random.choice(n, size)) for _ in range(400)]
    scatter = np.sqrt(np.mean([np.sum((g - full) ** 2) for g in draws]))
    product = scatter * size**0.5
    print(f"{size:3d} rows: {scatter:.3f}, times the root of the rows: {product:.3f}")

# %%
# Training a network
# ------------------
#
# The digits, one hidden layer of 64 units, plain gradient descent. The mean of more
# rows is surer, and bears a larger learning rate; each size has one that went well. The
# loss is that of all rows, after each epoch.

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
n = len(X)

runs = {"1 row": (1, 0.02, 8), "32 rows": (32, 0.1, 40), "all rows": (n, 0.3, 200)}
histories = {}
for name, (size, rate, epochs) in runs.items():
    net = mlpx.MLP([64, 64, 10], seed=0)
    histories[name] = net.fit(
        X, y, epochs=epochs, batch_size=size, optimizer=mlpx.SGD(rate), validation=(X, y)
    )
    last = histories[name]["validation_loss"][-1]
    print(f"{name:>8} an update: loss after {epochs} epochs {last:.4f}")

# %%
# Over epochs, which cost about as many operations for each size, single rows win: they
# make 1797 updates where gradient descent makes one. Over updates it is the other way
# round: an update from all rows brings the most, and one from a single row the least.
# What counts in the end is time. A step of 32 rows is a product of matrices and takes
# little longer than a step of one row, so that its loss falls first; on this small
# network single rows can come level, and both leave gradient descent far behind. The
# loss of small batches is rough, as the path above is: the noise does not end unless
# the learning rate falls.

figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
for name, history in histories.items():
    losses = history["validation_loss"]
    epochs = np.arange(1, len(losses) + 1)
    updates = epochs * -(-n // runs[name][0])
    seconds = epochs / len(epochs) * history.seconds
    for ax, across in zip(axes, (epochs, updates, seconds), strict=True):
        ax.plot(across, losses, ".-", ms=4, label=f"{name} an update")
axes[0].set_ylabel("cross-entropy (mean over all rows)")
for ax, across in zip(axes, ("epochs", "updates", "seconds"), strict=True):
    ax.set(xlabel=across, xscale="log", yscale="log")
    ax.grid(alpha=0.3)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
plt.show()
