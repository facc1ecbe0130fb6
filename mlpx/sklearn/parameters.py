"""The parameters and attributes that both estimators share: what they may be, and what the docstrings say of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.callbacks import Callback
from mlpx.optimizers import Optimizer

__all__ = ["ATTRIBUTES", "CONSTRAINTS", "PARAMETERS", "documented"]

T = TypeVar("T", bound=type)

_NAMES = {*Activation.known, *Activation.aliases} - {"automatic", "custom", "formula", "softmax", "step"}
"""Of the activations that need no parameter and that a hidden layer can be trained with."""

CONSTRAINTS: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(_NAMES), Activation, callable, list, tuple],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "optimizer": [Optimizer, StrOptions({*Optimizer.known, *(name.lower() for name in Optimizer.known)}), None],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "alpha_mode": [StrOptions({"batch", "risk"})],
    "scoring": [str, callable, None],
    "callbacks": [list, tuple, Callback, callable, None],
    "progress": ["boolean"],
    "backend": [str, Backend, None],
    "device": [str, None],
    "dtype": [StrOptions({"float32", "float64"}), None],
}
"""As scikit-learn describes them."""

PARAMETERS = """\
hidden_layer_sizes : int or sequence of int, default=(100,)
    Units of each hidden layer; empty for none.
activation : str, Activation or sequence of these, default="relu"
    Of the hidden layers: scikit-learn's ``"identity"``, ``"logistic"``, ``"tanh"`` and ``"relu"``, any other name of
    `mlpx.activations`, an object such as ``mlpx.activations.leaky_relu(0.2)``, a function ``f(z, xp)`` of your own,
    whose derivative is found by `mlpx.activations.automatic`, or a list with one a layer.
solver : {"adam", "sgd", "lbfgs"}, default="adam"
    Adam (in the form that scikit-learn gives it), stochastic gradient descent, or L-BFGS with all rows in each step.
alpha : float, default=0.0001
    Strength of the L2 penalty; see `alpha_mode`.
batch_size : int or "auto", default="auto"
    Rows a step of Adam or gradient descent; ``"auto"`` is ``min(200, n_samples)``.
learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
    How the rate of ``solver="sgd"`` changes: ``"invscaling"`` divides it by ``(t_ + 1) ** power_t`` after each epoch;
    ``"adaptive"`` by 5 whenever there was no improvement by `tol` for more than `n_iter_no_change` epochs.
learning_rate_init : float, default=0.001
    The first learning rate.
power_t : float, default=0.5
    The exponent of ``"invscaling"``.
max_iter : int, default=200
    The most epochs; for L-BFGS iterations.
shuffle : bool, default=True
    Whether to draw a new order of the rows for each epoch.
random_state : int, RandomState or None, default=None
    Of initial weights, validation split, orders of the rows, and masks of dropout.
tol : float, default=1e-4
    The least improvement.
verbose : bool, default=False
    Whether to print the loss of each epoch.
warm_start : bool, default=False
    Whether `fit` goes on from the parameters of the last one.
momentum : float, default=0.9
    Momentum of ``solver="sgd"``, from 0 to 1.
nesterovs_momentum : bool, default=True
    Whether it is Nesterov's.
early_stopping : bool, default=False
    Whether to stop by the score on validation rows, and keep the best weights.
validation_fraction : float, default=0.1
    Share of the rows that early stopping sets aside.
beta_1, beta_2, epsilon : float
    Of Adam, 0.9, 0.999 and 1e-8 by default.
n_iter_no_change : int, default=10
    Training stops when there was no improvement by `tol` for more epochs than this.
max_fun : int, default=15000
    The most evaluations of the loss by L-BFGS.
dropout : float, default=0.0
    Rate of dropout after each hidden layer, below 1; not for L-BFGS.
optimizer : Optimizer or str, default=None
    An optimizer of mlpx with its learning rate or schedule, such as ``mlpx.AdamW(1e-3)``, in place of `solver`.
clip_norm : float, default=None
    Bound on the norm of the gradient; not for L-BFGS.
alpha_mode : {"batch", "risk"}, default="batch"
    ``"batch"``: the penalty is ``alpha / 2 * sum(w**2)`` divided by the weight of the batch, as in scikit-learn: it
    grows when batches get smaller. ``"risk"``: it is added to the mean loss as it is, whatever the batch size.
scoring : str or callable, default=None
    What early stopping watches: a scorer of scikit-learn; by default accuracy or R².
callbacks : Callback, callable or sequence of these, default=None
    Called while training goes on; see `mlpx.Callback`. scikit-learn's own callbacks are set by ``set_callbacks``.
progress : bool, default=False
    Whether to show a progress bar.
backend : str, default=None
    Where to train: ``"numpy"``, ``"torch"``, ``"jax"``, ``"cupy"``; by default where `X` lies.
device : str, default=None
    Such as ``"cuda:0"``.
dtype : {"float32", "float64"}, default=None
    What to compute in; by default the type of `X`, float64 where that is neither."""

ATTRIBUTES = """\
coefs_, intercepts_ : list of array
    Weights of shape (units before, units) and biases of each layer, as NumPy arrays. They may be changed: predictions
    and further training use them as they are.
loss_ : float
    The loss of the last epoch, penalty included.
loss_curve_ : list of float
    The loss of each epoch.
best_loss_ : float or None
    The least of these; None with `early_stopping`.
validation_loss_curve_ : list of float
    Loss on the validation rows after each epoch, without penalty; empty where there are none.
validation_scores_ : list of float or None
    Their score after each epoch, with `early_stopping`.
best_validation_score_ : float or None
    The best of these.
history_ : dict
    All numbers of the last fit by epoch.
n_iter_ : int
    Epochs of the last fit.
t_ : int
    Samples seen.
n_features_in_, n_layers_, n_outputs_ : int
    Features, layers (the input among them) and outputs.
feature_names_in_ : array of shape (n_features,)
    Names of the features, where `X` had such.
out_activation_ : str
    Activation of the output.
network_ : mlpx.Network
    The network, with the present parameters."""


def documented(parameters: str, attributes: str) -> Callable[[T], T]:
    """Return a decorator that puts shared text into the docstring of a class."""

    def put(cls: T) -> T:
        text = inspect.cleandoc(cls.__doc__ or "")
        cls.__doc__ = text.replace("{parameters}", parameters).replace("{attributes}", attributes)
        return cls

    return put
