"""From an estimator's parameters and its data to the network that is to be trained."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import check_random_state

from mlpx import activations, optimizers
from mlpx._checks import check_count
from mlpx._typing import Array
from mlpx.activations import Activation
from mlpx.backends import to_numpy
from mlpx.layers import Dense, Dropout, Layer
from mlpx.sklearn import arrays
from mlpx.sklearn.draws import Stream, initial_parameters, split
from mlpx.sklearn.intake import Intake
from mlpx.sklearn.problem import Problem, Validation
from mlpx.training import Carried

__all__ = ["Request", "descends", "layers_of", "problem_of"]


class Request(NamedTuple):
    """What a fit is asked for, beside the estimator's parameters.

    Attributes
    ----------
    intake : Intake
        The data.
    rows : integer array, optional
        Which rows; None: all.
    sample_weight : array of shape (N,), optional
        Weights of all rows.
    incremental : bool
        Whether it is a `partial_fit`.
    validation : tuple, optional
        ``(X_val, y_val)``, each of which may be None.
    task : FitTask, optional
        The fit, as scikit-learn's callbacks see it.
    """

    intake: Intake
    rows: Array | None
    sample_weight: Any
    incremental: bool = False
    validation: tuple[Any, Any] | None = None
    task: Any = None


def descends(estimator: Any) -> bool:
    """Say whether an estimator trains by gradient descent, instead of L-BFGS."""
    return estimator.optimizer is not None or estimator.solver != "lbfgs"


def problem_of(estimator: Any, request: Request) -> Problem:
    """Return what is to be trained, and set the attributes that are known before."""
    hidden = _hidden_sizes(estimator.hidden_layer_sizes)
    intake, incremental = request.intake, request.incremental
    first = not hasattr(estimator, "coefs_") or not (estimator.warm_start or incremental)
    features, labels = intake.checked(estimator, reset=first, numeric=is_regressor(estimator))
    given = arrays.check_weights(request.sample_weight, features)
    if request.rows is not None:
        _check_rows(request.rows, given)
    key = estimator._learn_labels(intake, labels, request.rows, incremental=incremental)
    estimator.n_outputs_, activation, loss = estimator._output_of(labels)
    random = check_random_state(estimator.random_state)
    backend = arrays.backend_for(intake.X, estimator.backend, estimator.device)
    estimator._place = arrays.place_of(intake.X)
    units = [features.shape[1], *hidden, estimator.n_outputs_]
    validation = _check_request(estimator, request)
    if first:
        _start(estimator, units, activation, arrays.dtype_for(features, estimator.dtype), random)
    else:
        _go_on(estimator, units, activation)
    source = intake.source(backend, arrays.dtype_for(estimator.coefs_[0]), labels, key, estimator._encode, features)
    rows = np.arange(features.shape[0]) if request.rows is None else request.rows
    problem = Problem(
        estimator,
        backend,
        layers_of(estimator, units),
        loss,
        source,
        Stream(random, rows),
        estimator._weights_of(given, labels, rows, incremental=incremental),
        estimator.coefs_,
        estimator.intercepts_,
        seed=estimator._seed,
        steps_seen=estimator._steps_seen,
        task=request.task,
    )
    if descends(estimator):
        _hold_out(problem, validation, given)
        _plan_epochs(problem, incremental=incremental)
    return problem


def _check_rows(rows: Array, weight: Array | None) -> None:
    """Refuse no rows, and such without any weight."""
    if not rows.shape[0]:
        msg = "`rows` must hold at least one row of each estimator, got none."
        raise ValueError(msg)
    if weight is not None and not np.any(weight[rows]):
        msg = "Sample weights must contain at least one non-zero number."
        raise ValueError(msg)


def _check_full_batches(estimator: Any, *, validated: bool) -> None:
    """Refuse what there is in gradient descent alone."""
    asked = {
        "dropout": estimator.dropout > 0,
        "clip_norm": estimator.clip_norm is not None,
        "callbacks": estimator.callbacks not in (None, [], ()),
        "X_val": validated,
    }
    for name in (name for name, wanted in asked.items() if wanted):
        msg = f"`{name}` is for gradient descent, not for solver='lbfgs'. Take 'adam' or 'sgd', or leave it out."
        raise ValueError(msg)


# Layers and first parameters.


def _hidden_sizes(given: Any) -> list[int]:
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if np.any(np.asarray(sizes) <= 0):
        msg = f"hidden_layer_sizes must be > 0, got {sizes}."
        raise ValueError(msg)
    return [check_count("hidden_layer_sizes", size) for size in sizes]


def _activations(given: Any, count: int) -> list[Activation]:
    """Return the activation of each hidden layer."""
    several = list(given) if isinstance(given, (list, tuple)) else [given] * count
    if len(several) != count:
        msg = f"`activation` must be one, or a list of {count}, one a hidden layer; got {len(several)}."
        raise ValueError(msg)
    return [activations.get(one) for one in several]


def layers_of(estimator: Any, units: list[int]) -> tuple[Layer, ...]:
    """Return the layers of a fitted estimator's network, the last with the output's activation."""
    layers: list[Layer] = []
    hidden = _activations(estimator.activation, len(units) - 2)
    for fan_in, fan_out, function in zip(units, units[1:-1], hidden, strict=False):
        layers.append(Dense(fan_in, fan_out, function, initializer="zeros"))
        if estimator.dropout:
            layers.append(Dropout(estimator.dropout))
    return (*layers, Dense(units[-2], units[-1], estimator.out_activation_, initializer="zeros"))


def _start(estimator: Any, units: list[int], activation: str, dtype: str, random: Any) -> None:
    """Draw the first parameters and forget all earlier fits."""
    estimator.n_iter_ = estimator.t_ = 0
    estimator.n_layers_ = len(units)
    estimator.out_activation_ = activation
    names = [one.name for one in _activations(estimator.activation, len(units) - 2)]
    # the last layer has the bound of the hidden ones before it, also where there are none
    last = names[-1] if names else estimator.activation
    factors = [2.0 if name == "logistic" else 6.0 for name in (*names, last)]
    estimator.coefs_, estimator.intercepts_ = initial_parameters(units, factors, dtype, random)
    estimator._seed = int(random.randint(np.iinfo(np.int32).max)) if estimator.dropout else 0
    estimator._steps_seen, estimator._no_improvement_count, estimator._carried = 0, 0, None
    if descends(estimator):
        early = estimator.early_stopping
        estimator.loss_curve_, estimator.validation_loss_curve_ = [], []
        estimator.validation_scores_ = [] if early else None
        estimator.best_validation_score_ = -np.inf if early else None
        estimator.best_loss_ = None if early else np.inf


def _go_on(estimator: Any, units: list[int], activation: str) -> None:
    """Refuse parameters of other shapes, such as those of another `hidden_layer_sizes`."""
    estimator.coefs_, estimator.intercepts_ = (
        [to_numpy(a) for a in x] for x in (estimator.coefs_, estimator.intercepts_)
    )
    found, wanted = [tuple(np.shape(coef)) for coef in estimator.coefs_], list(pairwise(units))
    if found != wanted:
        msg = (
            f"`coefs_` have the shapes {found}, but `hidden_layer_sizes` and the data ask for {wanted}; to go on "
            "from earlier parameters keep both as they were, or fit with warm_start=False."
        )
        raise ValueError(msg)
    # where a user has set the parameters there may be nothing else
    known: dict[str, Any] = {"_seed": 0, "_steps_seen": 0, "_no_improvement_count": 0, "_carried": None, "t_": 0}
    known |= {"out_activation_": activation, "n_layers_": len(units)}
    if descends(estimator):  # after L-BFGS, which leaves none of these
        known |= {"loss_curve_": [], "best_loss_": None, "validation_scores_": None, "best_validation_score_": None}
    for name, value in known.items():
        setattr(estimator, name, getattr(estimator, name, value))
    estimator.validation_loss_curve_ = getattr(estimator, "validation_loss_curve_", [])


# Rows and epochs.


def _check_request(estimator: Any, request: Request) -> tuple[Intake, Any, Array] | None:
    """Refuse what does not go together, before anything is forgotten; return the validation data that were given."""
    if estimator.early_stopping and request.incremental and descends(estimator):
        msg = "partial_fit does not support early_stopping=True"
        raise ValueError(msg)
    X_val, y_val = request.validation or (None, None)
    if (X_val is None) is not (y_val is None):
        msg = f"`X_val` and `y_val` must be given together; {'X_val' if X_val is None else 'y_val'} is None."
        raise ValueError(msg)
    if not descends(estimator):
        _check_full_batches(estimator, validated=X_val is not None)
    if X_val is None:
        return None
    intake = Intake(X_val, y_val)
    features, labels = intake.checked(estimator, reset=False, numeric=is_regressor(estimator))
    estimator._check_labels(labels)
    return intake, features, labels


def _hold_out(problem: Problem, given: tuple[Intake, Any, Array] | None, weight: Array | None) -> None:
    """Set the rows that are validated on."""
    estimator, rows, random = problem.estimator, problem.stream.rows, problem.stream.random
    if given is not None:
        intake, features, labels = given
        source = intake.source(problem.backend, problem.dtype_name, labels, None, estimator._encode, features)
        problem.held_out = Validation(source, np.arange(features.shape[0]), None)
    elif estimator.early_stopping:
        train, held_out = split(rows, estimator.validation_fraction, estimator._strata(problem.source, rows), random)
        problem.held_out = Validation(problem.source, held_out, weight)
        _check_rows(train, weight)
        problem.stream = Stream(random, train)
    if estimator.early_stopping:
        own = estimator._watches_metric()
        problem.watched = f"validation_{estimator._default_score}" if own else "validation_score"


def _plan_epochs(problem: Problem, *, incremental: bool) -> None:
    """Set batches, epochs and what to go on from."""
    estimator, n = problem.estimator, problem.stream.rows.shape[0]
    automatic = estimator.batch_size == "auto"
    problem.batch_size = min(200, n) if automatic else min(int(estimator.batch_size), n)
    if not automatic and estimator.batch_size > n:
        msg = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        warnings.warn(msg, stacklevel=7)
    problem.epochs = 1 if incremental else estimator.max_iter
    problem.seen, problem.first_rate = estimator.t_, estimator.learning_rate_init
    memory, estimator._carried_by = getattr(estimator, "_carried_by", None), _memory_of(estimator)
    if incremental and estimator._carried is not None and memory == estimator._carried_by:
        problem.carried = estimator._carried
        # training counts the carried steps besides
        problem.steps_seen -= int(problem.carried.steps[0])
        problem.first_rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
    elif estimator.t_:
        waited = np.asarray([estimator._no_improvement_count])
        problem.carried = Carried.start(1)._replace(best_score=np.asarray([_best(estimator)]), waited=waited)


def _memory_of(estimator: Any) -> tuple[Any, ...]:
    """Return what decides on the form of an optimizer's memory; where that changes it begins anew."""
    optimizer = estimator.optimizer
    if optimizer is None:
        return estimator.solver, estimator.learning_rate, estimator.momentum > 0
    optimizer = optimizers.get(optimizer)
    return type(optimizer).__name__, optimizer.moments, type(optimizer.schedule).__name__


def _best(estimator: Any) -> float:
    """Return the best score of earlier fits, less being better."""
    early = estimator.early_stopping
    best = getattr(estimator, "best_validation_score_" if early else "best_loss_", None)
    if best is None:
        return np.inf
    return float(-best if early else best)
