"""
Every activation and its derivative
===================================

The activation f turns the net input z of a unit into its value. Back-propagation multiplies
each error term by the derivative f'(z). So the derivative decides how much of the error
comes through a unit, and where it is 0 nothing comes through.
"""

# %%
# All of them
# -----------
#
# The pictures have the same axes, and can be compared. f is the full line, f' the dashed
# one. A gap is a jump, as in the derivative of ReLU at 0.

import matplotlib.pyplot as plt

from mlpx import activations, plots

several = ["identity", "step", "logistic", "tanh", "hard_logistic", "hard_tanh"]
several += ["relu", "leaky_relu", "elu", "selu", "softplus", "swish", "gelu", "mish", "exp"]

figure, axes = plt.subplots(
    5, 3, figsize=(9, 12), sharex=True, sharey=True, layout="constrained"
)
for ax, name in zip(axes.flat, several, strict=True):
    plots.activation(name, ax=ax)
    ax.set_ylim(-2, 3)
    ax.label_outer()
    if ax is not axes[0, 0]:
        ax.get_legend().remove()
plt.show()

# %%
# * The **identity** is for outputs that are any numbers. A network of such units alone is a
#   linear function, however many layers it has.
# * The **step** is the neuron of McCulloch and Pitts. Its derivative is 0 wherever there is
#   one, so it cannot be trained with gradients, and the package refuses to.
# * **logistic** and **tanh** are smooth steps. Both *saturate*: far from 0 their derivative
#   is nearly 0.
# * **ReLU** and what followed it (leaky_relu, elu, selu, softplus, swish, gelu, mish) have
#   a slope of about 1 for large net inputs, and differ in what they do below 0.
# * **exp** is for an output that is the mean of counts.
#
# The logistic function's slope
# -----------------------------
#
# The derivative of the logistic function is at most 1/4, at z = 0. That of tanh is at most
# 1, since :math:`\tanh z = 2\,\sigma(2z) - 1`. An error term that goes back through ten
# logistic layers is multiplied by ten such slopes, each at most 1/4.

import numpy as np

z = np.linspace(-6, 6, 10001)
for name in ("logistic", "tanh", "relu", "swish"):
    f = activations.get(name)
    slope = f.derivative(z if f.uses == "z" else f(z, np), np)
    at = abs(z[slope.argmax()])
    print(f"{name:8}  greatest slope {slope.max():.4f} at z = {at:.2f};", end="  ")
    print(f"ten layers: at most {slope.max() ** 10:.1e}")

# %%
# Parameters of activations
# -------------------------
#
# Some functions have a parameter. Swish is :math:`z\,\sigma(\beta z)`: with β = 0 it is the
# line z/2, and with a large β it comes close to ReLU.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, beta in zip(axes, (0.0, 1.0, 10.0), strict=True):
    plots.activation(activations.swish(beta), ax=ax)
    ax.set(ylim=(-1, 3), title=f"swish, β = {beta:g}")
    ax.label_outer()
plt.show()

# %%
# An activation of your own
# -------------------------
#
# A function and its derivative, both written with the functions of the array namespace
# ``xp``, make an activation. It is drawn, and trained with, as any other.

bump = activations.custom(
    lambda z, xp: xp.exp(-z * z), lambda z, xp: -2 * z * xp.exp(-z * z)
)
ax = plots.activation(bump)
ax.set_title("$e^{-z^2}$")
plt.show()
