r"""
An auto-encoder of digits
=========================

An auto-encoder is a network that learns to give back what goes in: the targets are the
inputs, :math:`y = x`. That would be nothing to learn, were there not a narrow layer in
the middle. What passes through it is a code of the image, and the second half of the
network makes the image from the code again.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# The network
# -----------
#
# The images of handwritten digits that come with scikit-learn have 64 pixels, from 0 to
# 1. The first half goes from 64 over 128 units to the code, the second half back. The
# code layer is linear, so that a code may be any number; the last layer is logistic, as
# pixels are. The loss is the squared error.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import mlpx

X, labels = load_digits(return_X_y=True)
X_train, X_test, labels_train, labels_test = train_test_split(
    X / 16, labels, test_size=300, stratify=labels, random_state=0
)


def autoencoder(size):
    """Return a trained auto-encoder whose codes are `size` numbers."""
    net = mlpx.MLP(
        [64, 128, size, 128, 64],
        activation=["relu", "identity", "relu"],
        output="sigmoid",
        loss="squared_error",
        seed=0,
    )
    adam = mlpx.Adam(mlpx.schedules.WarmupCosine(3e-3))
    net.fit(X_train, X_train, epochs=60, batch_size=64, optimizer=adam)
    return net


sizes = [2, 4, 8, 16]
networks = {size: autoencoder(size) for size in sizes}

# %%
# Against principal components
# ----------------------------
#
# With linear units alone the best that an auto-encoder can do is known in closed form:
# it projects on the first principal components. So these are the measure for what the
# hidden layers bring. The error is that of images that were not trained on.

import matplotlib.pyplot as plt
from sklearn.decomposition import PCA


def error(images):
    """Return the root of the mean squared error of a pixel."""
    return np.sqrt(np.mean((images - X_test) ** 2))


def through_components(size):
    """Return the test images after a projection on principal components."""
    components = PCA(size).fit(X_train)
    return components.inverse_transform(components.transform(X_test))


figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
many = [1, *range(2, 21, 2)]
ax.plot(many, [error(through_components(k)) for k in many], label="principal components")
ax.plot(
    sizes, [error(networks[k].predict(X_test)) for k in sizes], "o-", label="auto-encoder"
)
ax.set(xlabel="numbers in the code", ylabel="error of a pixel (root mean square)", ylim=0)
ax.set_xticks([1, *many[1::2]])
ax.grid(alpha=0.3)
ax.legend(frameon=False)
plt.show()

# %%
# Images from codes
# -----------------
#
# The first image of each digit among the test rows, and what is left of it:

chosen = [int(np.flatnonzero(labels_test == digit)[0]) for digit in range(10)]
rows = {"image": X_test[chosen]}
rows |= {f"code of {k}": networks[k].predict(X_test[chosen]) for k in reversed(sizes)}

figure, axes = plt.subplots(len(rows), 10, figsize=(8.4, 4.6), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Codes of two numbers
# --------------------
#
# Two numbers can be drawn. ``forward`` keeps what each layer gives: ``a[0]`` is the
# input and ``a[2]`` the code. The network has never seen a label; the colors are put on
# afterwards. Most digits have a region of their own; 5, 7 and 8 lie over each other,
# and the images from codes of two numbers show it: that 7 and that 8 have become much
# the same.

codes = networks[2].forward(X_train).a[2]
figure, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
colors = plt.get_cmap("tab10")
for digit in range(10):
    own = codes[labels_train == digit]
    ax.scatter(*own.T, s=7, color=colors(digit), alpha=0.6)
    at = np.median(own, axis=0)
    box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": colors(digit)}
    ax.text(*at, str(digit), ha="center", va="center", fontsize=11, bbox=box)
ax.set(xlabel="first number of the code", ylabel="second number of the code")
plt.show()
