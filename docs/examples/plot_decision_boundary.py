"""
A decision boundary while it is learned
=======================================

A classifier cuts the space of its features into regions. A single logistic unit can only
cut along a straight line. A hidden layer bends the cut, and training moves it, step by
step, to where the classes meet. With two features all this can be seen.
"""

# %%
# Two spirals
# -----------
#
# Two arms wind around each other, with some noise. No straight line separates them.

import matplotlib.pyplot as plt
import numpy as np

import mlpx
from mlpx import plots


def spirals(rows, seed, noise=0.1):
    """Return points on two arms, and the number of their arm."""
    rng = np.random.default_rng(seed)
    arm = np.arange(rows) % 2
    along = np.sqrt(rng.uniform(0.02, 1.0, size=rows))  # the same density everywhere
    angle = 3 * np.pi * along + np.pi * arm
    X = 3 * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X + noise * rng.normal(size=X.shape), arm


X, y = spirals(400, seed=0)
X_new, y_new = spirals(1000, seed=1)

# %%
# A single unit is logistic regression. Its boundary is a line, and it is right for less
# than two thirds of the rows:

line = mlpx.MLP([2, 1], output="sigmoid")
line.fit(X, y, epochs=100, batch_size=32, optimizer=mlpx.Adam(0.05))
print(f"accuracy on new rows: {line.evaluate(X_new, y_new)['accuracy']:.2f}")
ax = plots.decision_boundary(line, X, y)
ax.set_title("a single logistic unit")
plt.show()

# %%
# Snapshots
# ---------
#
# Now a network with two hidden layers. A callback is called after each epoch, and draws the
# boundary where the epoch is one of those to show.

epochs = (1, 10, 30, 60, 120, 300)
figure, axes = plt.subplots(
    2, 3, figsize=(10, 6.6), sharex=True, sharey=True, layout="constrained"
)
panels = dict(zip(epochs, axes.flat, strict=True))


def snapshot(run):
    """Draw the network as it is now."""
    if run.epoch in panels:
        ax = plots.decision_boundary(run.net, X, y, ax=panels[run.epoch])
        ax.set_title(f"epoch {run.epoch}, loss {run.row['validation_loss']:.2f}")
        ax.label_outer()
        if run.epoch > 1:
            ax.get_legend().remove()


net = mlpx.MLP([2, 32, 32, 1], activation="tanh", output="sigmoid", seed=0)
history = net.fit(
    X,
    y,
    validation=(X_new, y_new),
    epochs=300,
    batch_size=64,
    optimizer=mlpx.Adam(0.01),
    metrics="accuracy",
    callbacks=snapshot,
)
plt.show()

# %%
# At first the boundary is nearly a line, as with a single unit. Then it bends, and closes
# around the arms piece by piece. The colors become deeper: the network gets sure. Where
# there are no rows, outside the spirals, it is just as sure, with no reason to be.
#
# The same as curves
# ------------------
#
# ``fit`` keeps the weights of the best epoch, by the loss on the rows that it was not
# trained on.

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
plots.training_curves(history, ["loss", "accuracy"], ax=axes)
plt.show()

print(f"accuracy on new rows: {net.evaluate(X_new, y_new)['accuracy']:.3f}")

# %%
# Other initial weights, other boundaries
# ---------------------------------------
#
# Networks that differ in nothing but their initial weights agree where there are rows, and
# disagree where there are none. A stack trains them side by side. The picture shows the
# mean of their probabilities, and each member's boundary as a thin line: pale regions are
# those where they do not agree.

stack = mlpx.MLP([2, 32, 32, 1], activation="tanh", output="sigmoid", members=8)
stack.fit(
    X, y, validation=(X_new, y_new), epochs=200, batch_size=64, optimizer=mlpx.Adam(0.01)
)
ax = plots.decision_boundary(stack, X, y, margin=0.5)
ax.set_title("eight networks")
plt.show()

scores = stack.evaluate(X_new, y_new)["accuracy"]
together = (stack.predict(X_new).mean(axis=0)[:, 0] > 0.5) == y_new
print(f"each: {scores.min():.3f} to {scores.max():.3f}; together: {together.mean():.3f}")
