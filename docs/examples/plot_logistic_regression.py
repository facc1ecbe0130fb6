r"""
Logistic regression needs no back-propagation
=============================================

A network of one layer has nothing to propagate back through: the error term of the
output is known at once, :math:`\delta = \hat y - y`, and the gradient is one product,
:math:`X^\mathsf{T} (\hat y - y)`. That network is logistic regression. Here it is
trained on the breast cancer data that come with scikit-learn, and its coefficients are
compared with those of scikit-learn's ``LogisticRegression``.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# The data and the reference
# --------------------------
#
# 569 tumors, 30 measured features, benign or malignant. The features are scaled to mean
# 0 and standard deviation 1.

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

data = load_breast_cancer()
X, y = StandardScaler().fit_transform(data.data), data.target
n, features = X.shape

reference = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12).fit(X, y)

# %%
# The same penalty
# ----------------
#
# scikit-learn minimizes :math:`C \sum_i L_i + \frac{1}{2} \|w\|^2`, mlpx the mean loss
# with its penalty, :math:`\frac{1}{n} \sum_i L_i + \frac{\lambda}{2} \|w\|^2`. Divided
# by :math:`Cn` the first is the second with :math:`\lambda = 1 / (Cn)`. The bias has no
# penalty in either.

import mlpx

net = mlpx.MLP([features, 1], output="sigmoid", l2=1 / n, dtype="float64", seed=0)

# %%
# The gradient is one product
# ---------------------------
#
# What ``backward`` returns, and what is written in two lines, are the same numbers:

w, b = net.weights[0], net.biases[0]
y_hat = 1 / (1 + np.exp(-(X @ w + b)))
by_hand = X.T @ (y_hat - y[:, None]) / n + w / n

gradients = net.backward(net.forward(X), y)
print(f"largest difference: {np.abs(gradients.weights[0] - by_hand).max():.0e}")

# %%
# Gradient descent
# ----------------
#
# The risk is convex, so that every start leads to the same minimum. All rows make one
# batch, and an epoch is a step. A callback notes how far the coefficients are from the
# reference.

distances = {}


def follow(name):
    """Return a callback that notes the largest difference of a coefficient."""
    distances[name] = []

    def note(run):
        difference = run.net.weights[0][:, 0] - reference.coef_[0]
        distances[name].append(np.abs(difference).max())

    return note


optimizers = {
    "gradient descent": mlpx.SGD(0.5),
    "with momentum 0.9": mlpx.SGD(0.5, momentum=0.9),
    "with Nesterov's momentum 0.98": mlpx.SGD(0.5, momentum=0.98, nesterov=True),
}
for name, optimizer in optimizers.items():
    net.reset()
    net.fit(X, y, epochs=3000, batch_size=n, optimizer=optimizer, callbacks=follow(name))
    print(f"{name}: {distances[name][-1]:.0e}")

# %%
# The estimator with ``hidden_layer_sizes=()`` is the same network, with ``alpha`` in
# the place of :math:`1/C`. Its solver ``"lbfgs"`` estimates curvature from earlier
# gradients and needs few steps. It ends where the loss hardly falls any more; the loss
# is flat at its minimum, so the coefficients are then right to three digits only.

from mlpx.sklearn import MLPClassifier

estimator = MLPClassifier(
    (), solver="lbfgs", alpha=1.0, tol=1e-12, max_iter=2000, max_fun=10_000
)
estimator.fit(X, y)
difference = np.abs(estimator.coefs_[0][:, 0] - reference.coef_[0]).max()
print(f"L-BFGS after {estimator.n_iter_} iterations: {difference:.0e}")

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for name, distance in distances.items():
    ax.loglog(np.arange(1, len(distance) + 1), distance, label=name)
ax.axhline(
    difference, color="black", ls=":", label=f"L-BFGS, {estimator.n_iter_} iterations"
)
ax.set(xlabel="steps", ylabel="largest difference of a coefficient")
ax.grid(alpha=0.3)
ax.legend(frameon=False, loc="lower left")
plt.show()

# %%
# The coefficients
# ----------------
#
# Beside each other they cannot be told apart:

order = np.argsort(reference.coef_[0])
figure, ax = plt.subplots(figsize=(7, 6.4), layout="constrained")
ax.barh(range(features), reference.coef_[0][order], color="0.8", label="LogisticRegression")
ax.plot(net.weights[0][order, 0], range(features), "|", ms=9, mew=2, label="mlpx, Nesterov")
ax.set_yticks(range(features), [data.feature_names[i] for i in order], fontsize=8)
ax.set(
    xlabel="coefficient (per standard deviation of the feature)",
    ylim=(-0.8, features - 0.2),
)
ax.axvline(0, color="black", lw=0.8)
ax.grid(alpha=0.3, axis="x")
ax.legend(frameon=False, loc="lower right")
plt.show()
