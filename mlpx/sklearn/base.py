"""What both estimators share: from parameters and data to a problem, and from its outcome to attributes."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

import mlpx
from mlpx import activations, optimizers
from mlpx._typing import Array
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.layers import Dense, Dropout, Layer
from mlpx.losses import Loss
from mlpx.sklearn import arrays, lbfgs, scoring
from mlpx.sklearn.callbacks import CallbackSupportMixin, FitTask, present_parameters
from mlpx.sklearn.draws import Stream, initial_parameters, split
from mlpx.sklearn.fitting import train
from mlpx.sklearn.intake import Intake
from mlpx.sklearn.problem import Outcome, Problem, Validation
from mlpx.sklearn.sparse import dense_rows
from mlpx.sklearn.verbose import Verbose
from mlpx.training import Carried

__all__ = ["BaseMLP", "fit_many"]

_STOCHASTIC = ("sgd", "adam")
_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


class BaseMLP(CallbackSupportMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """The base of `MLPClassifier` and `MLPRegressor`.

    Attributes
    ----------
    default_score : str
        The metric that early stopping watches.
    """

    default_score: ClassVar[str]
    label_smoothing: float = 0.0
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*Activation.known, *Activation.aliases}), Activation, callable, list, tuple],
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
        "optimizer": [optimizers.Optimizer, StrOptions({name.lower() for name in optimizers.Optimizer.known}), None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "alpha_mode": [StrOptions({"batch", "risk"})],
        "scoring": [str, callable, None],
        "callbacks": [list, tuple, mlpx.Callback, callable, None],
        "progress": ["boolean"],
        "backend": [str, Backend, None],
        "device": [str, None],
        "dtype": [StrOptions({"float32", "float64"}), None],
    }

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any,
        activation: Any,
        solver: Any,
        alpha: Any,
        batch_size: Any,
        learning_rate: Any,
        learning_rate_init: Any,
        power_t: Any,
        max_iter: Any,
        shuffle: Any,
        random_state: Any,
        tol: Any,
        verbose: Any,
        warm_start: Any,
        momentum: Any,
        nesterovs_momentum: Any,
        early_stopping: Any,
        validation_fraction: Any,
        beta_1: Any,
        beta_2: Any,
        epsilon: Any,
        n_iter_no_change: Any,
        max_fun: Any,
        dropout: Any,
        optimizer: Any,
        clip_norm: Any,
        alpha_mode: Any,
        scoring: Any,
        callbacks: Any,
        progress: Any,
        backend: Any,
        device: Any,
        dtype: Any,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.alpha_mode = alpha_mode
        self.scoring = scoring
        self.callbacks = callbacks
        self.progress = progress
        self.backend = backend
        self.device = device
        self.dtype = dtype

    # What a subclass says.

    @abstractmethod
    def _learn_labels(
        self, intake: Intake, labels: Array, rows: Array | None, *, first: bool, incremental: bool
    ) -> Hashable:
        """Set what the labels tell, such as ``classes_``; return what names the targets made of them."""

    @abstractmethod
    def _encode(self, labels: Array) -> Array:
        """Return targets: integer class indices, or numbers of shape (N, K)."""

    @abstractmethod
    def _output(self, labels: Array) -> tuple[int, str, Loss]:
        """Return number of outputs, their activation as scikit-learn names it, and the loss."""

    @abstractmethod
    def _loss(self) -> Loss:
        """Return the loss."""

    def _strata(self, labels: Array, rows: Array) -> Array | None:
        """Return what the validation split is stratified by."""
        return None

    # Training.

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Any:
        """Fit the model to data matrix X and target(s) y.

        Parameters
        ----------
        X : array, table or sparse matrix of shape (n_samples, n_features)
            The input data.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            The target values: class labels in classification, real numbers in regression.
        sample_weight : array of shape (n_samples,), default=None
            Sample weights.
        X_val, y_val : array, default=None
            Validation data, instead of a part of `X`: their loss is recorded in ``validation_loss_curve_``, and with
            ``early_stopping=True`` they are what is watched.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        ValueError
            For data that do not fit, and where the weights are not finite in the end.
        """
        return self._fit(X, y, sample_weight, validation=(X_val, y_val))

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool = False, validation: Any = None) -> Any:
        task = FitTask(self, X, y, 1 if incremental else self.max_iter, sample_weight=sample_weight)
        error = _fit_together([self], [Intake(X, y)], [None], [sample_weight], incremental, validation, task)[0]
        if error is not None:
            raise error
        task.close()
        return self

    def _check_solver(self) -> bool:
        if self.solver not in _STOCHASTIC:
            msg = f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            raise AttributeError(msg)
        return True

    @property
    def adapts(self) -> bool:
        """Whether the learning rate is lowered where training gets stuck."""
        return self.solver == "sgd" and self.learning_rate == "adaptive"

    def kind_of_training(self) -> tuple[Hashable, ...]:
        """Return what estimators that are trained as one stack have in common, beside their networks."""
        watched = self.verbose or self.callbacks or self.progress or getattr(self, "_skl_callbacks", ())
        chosen = (self.solver, self.learning_rate, bool(self.nesterovs_momentum and self.momentum > 0))
        return (
            id(self) if watched or self.scoring is not None else None,
            chosen if self.optimizer is None else self.optimizer,
            self.alpha_mode,
            self.shuffle,
            self.early_stopping,
            self.clip_norm is None,
            self.label_smoothing,
        )

    def training_callbacks(self, problems: Sequence[Problem]) -> tuple[Any, ...]:
        """Return what is called while networks are trained; those that have any are trained alone."""
        found = list(mlpx.callbacks.get(self.callbacks or ()))
        problem = problems[0]
        if self.verbose:
            score = problem.watched if self.early_stopping else None
            best = getattr(self, "best_validation_score_" if score else "best_loss_", None)
            found.append(
                Verbose(self.tol, self.n_iter_no_change, score=score, adaptive=self.optimizer is None and self.adapts,
                        best=best, waited=self._no_improvement_count)
            )  # fmt: skip
        return tuple(found) if problem.task is None else (*found, *problem.task.callbacks(present_parameters))

    def scorer(self, problems: Sequence[Problem]) -> scoring.EpochScores | None:
        """Return what computes the score that is watched; None where training's own metric is that score."""
        if not self.early_stopping or scoring.metric_name(self, self.scoring) is not None:
            return None
        members = []
        for problem in problems:
            source, rows, weight = problem.held_out  # type: ignore[misc]
            own = None if weight is None else weight[rows]
            scorer = problem.estimator.scoring
            members.append(scoring.HeldOut(self, scorer, source.features[rows], source.labels[rows], own))
        return scoring.EpochScores(members)

    def _problem(
        self,
        intake: Intake,
        rows: Array | None,
        sample_weight: Any,
        *,
        incremental: bool,
        validation: tuple[Any, Any] | None,
        task: FitTask | None,
    ) -> Problem:
        """Return what is to be trained, and set the attributes that are known before."""
        hidden = self._hidden_sizes()
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        features, labels = intake.checked(self, reset=first, numeric=self.default_score == "r2")
        weight = arrays.check_weights(sample_weight, features)
        key = self._learn_labels(intake, labels, rows, first=first, incremental=incremental)
        self.n_outputs_, activation, loss = self._output(labels)
        random = check_random_state(self.random_state)
        backend = arrays.backend_for(intake.X, self.backend, self.device)
        dtype = arrays.dtype_for(features, self.dtype) if first else str(self.coefs_[0].dtype)
        units = [features.shape[1], *hidden, self.n_outputs_]
        if first:
            self._start(units, activation, dtype, random)
        self._check_parameters(units)
        source = intake.source(backend, dtype, labels, key, self._encode, features)
        own = np.arange(features.shape[0]) if rows is None else rows
        weight = self._weighted(weight, labels, own, incremental=incremental)
        problem = Problem(
            self, backend, self._layers(units), loss, source, Stream(random, own), weight, None,
            self.coefs_, self.intercepts_, seed=self._seed, steps_seen=self._steps_seen, task=task,
        )  # fmt: skip
        if self.solver in _STOCHASTIC or self.optimizer is not None:
            self._plan(problem, weight, sample_weight, incremental=incremental, validation=validation)
        return problem

    def _plan(
        self, problem: Problem, weight: Array | None, sample_weight: Any, *, incremental: bool, validation: Any
    ) -> None:
        """Set what training by gradient descent needs beside."""
        own, random = problem.stream.rows, problem.stream.random
        if self.early_stopping and incremental:
            msg = "partial_fit does not support early_stopping=True"
            raise ValueError(msg)
        if validation is not None and validation[0] is not None:
            problem.held_out = self._validation(validation, problem)
        elif self.early_stopping:
            own, held_out = split(own, self.validation_fraction, self._strata(problem.source.labels, own), random)
            checked = arrays.check_weights(sample_weight, problem.source.features)
            problem.held_out = Validation(problem.source, held_out, checked)
            problem.stream = Stream(random, own)
        n = own.shape[0]
        problem.batch_size = min(200, n) if self.batch_size == "auto" else int(np.clip(self.batch_size, 1, n))
        if self.batch_size != "auto" and self.batch_size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=6
            )
        problem.epochs = 1 if incremental else self.max_iter
        if self.early_stopping:
            default = scoring.metric_name(self, self.scoring) is not None
            problem.watched = f"validation_{self.default_score}" if default else "validation_score"
        problem.seen, problem.first_rate = self.t_, self.learning_rate_init
        if incremental and self._carried is not None:
            problem.carried = self._carried
            problem.first_rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
        elif self.t_ or self._no_improvement_count:
            start = Carried.start(1)
            waited = np.asarray([self._no_improvement_count])
            problem.carried = start._replace(best_score=np.asarray([self._best_so_far()]), waited=waited)

    def _best_so_far(self) -> float:
        """Return the best score of earlier fits, less being better."""
        best = getattr(self, "best_validation_score_" if self.early_stopping else "best_loss_", None)
        if best is None:
            return np.inf
        return -best if self.early_stopping else best

    def _validation(self, validation: tuple[Any, Any], problem: Problem) -> Validation:
        """Return validation data that were given."""
        X_val, y_val = validation
        if y_val is None:
            msg = "`y_val` must be given with `X_val`."
            raise ValueError(msg)
        intake = Intake(X_val, y_val)
        features, labels = intake.checked(self, reset=False, numeric=self.default_score == "r2")
        self._check_labels(labels)
        source = intake.source(problem.backend, problem.dtype_name, labels, None, self._encode, features)
        return Validation(source, np.arange(features.shape[0]), None)

    def _check_labels(self, labels: Array) -> None:
        """Refuse validation labels that the training labels do not know."""

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if np.any(np.asarray(sizes) <= 0):
            msg = f"hidden_layer_sizes must be > 0, got {sizes}."
            raise ValueError(msg)
        return [int(size) for size in sizes]

    def _activations(self, count: int) -> list[Activation]:
        """Return the activation of each hidden layer."""
        given = self.activation
        several = list(given) if isinstance(given, (list, tuple)) else [given] * count
        if len(several) != count:
            msg = f"`activation` must be one, or a list of {count}, one a hidden layer; got {len(several)}."
            raise ValueError(msg)
        return [activations.get(one) for one in several]

    def _start(self, units: list[int], activation: str, dtype: str, random: Any) -> None:
        """Draw the first parameters and forget all earlier fits."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(units)
        self.out_activation_ = activation
        names = [one.name for one in self._activations(len(units) - 2)]
        factors = [2.0 if name == "logistic" else 6.0 for name in (*names, names[-1] if names else self.activation)]
        self.coefs_, self.intercepts_ = initial_parameters(units, factors, dtype, random)
        self._seed = int(random.randint(np.iinfo(np.int32).max)) if self.dropout else 0
        self._steps_seen, self._no_improvement_count, self._carried = 0, 0, None
        if self.solver in _STOCHASTIC or self.optimizer is not None:
            early = self.early_stopping
            self.loss_curve_: list[float] = []
            self.validation_loss_curve_: list[float] = []
            self.validation_scores_: list[float] | None = [] if early else None
            self.best_validation_score_ = -np.inf if early else None
            self.best_loss_ = None if early else np.inf

    def _check_parameters(self, units: list[int]) -> None:
        """Refuse parameters that do not fit the layers, such as those of another `hidden_layer_sizes`."""
        found = [tuple(np.shape(coef)) for coef in self.coefs_]
        wanted = list(pairwise(units))
        if found != wanted:
            msg = (
                f"`coefs_` have the shapes {found}, but `hidden_layer_sizes` and the data ask for {wanted}; to go on "
                "from earlier parameters keep both as they were, or fit with warm_start=False."
            )
            raise ValueError(msg)
        for name in ("_seed", "_steps_seen", "_no_improvement_count"):
            setattr(self, name, getattr(self, name, 0))
        self._carried = getattr(self, "_carried", None)

    def _layers(self, units: list[int]) -> tuple[Layer, ...]:
        layers: list[Layer] = []
        for fan_in, fan_out, function in zip(units, units[1:-1], self._activations(len(units) - 2), strict=False):
            layers.append(Dense(fan_in, fan_out, function, initializer="zeros"))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return (*layers, Dense(units[-2], units[-1], self.out_activation_, initializer="zeros"))

    def _weighted(self, weight: Array | None, labels: Array, rows: Array, *, incremental: bool) -> Array | None:
        """Return the weights of the rows, those of the classes among them."""
        return weight

    def _adopt(self, problem: Problem, outcome: Outcome, *, incremental: bool) -> None:
        """Set the fitted attributes, and warn as scikit-learn does."""
        self.coefs_, self.intercepts_ = outcome.coefs, outcome.intercepts
        self.n_iter_, self._carried = outcome.epochs, outcome.carried
        self.t_ += outcome.epochs * problem.stream.rows.shape[0]
        columns = self.history_ = outcome.columns
        if outcome.epochs:
            self._note_scores(problem, columns)
        if outcome.carried is not None:
            self._no_improvement_count = int(outcome.carried.waited[0])
        self._steps_seen += outcome.steps
        if outcome.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=6)
        elif not incremental and not outcome.converged and outcome.epochs == self.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _note_scores(self, problem: Problem, columns: dict[str, list[float]]) -> None:
        """Add the numbers of the epochs to those of earlier fits."""
        self.loss_curve_ += columns["loss"]
        self.loss_ = self.loss_curve_[-1]
        self.validation_loss_curve_ = [
            *getattr(self, "validation_loss_curve_", ()),
            *columns.get("validation_loss", ()),
        ]
        if not self.early_stopping:
            self.best_loss_ = min([self.best_loss_, *(loss for loss in columns["loss"] if loss == loss)])
            return
        own = f"validation_{self.default_score}"
        scores = columns.get("validation_score", columns.get(own, []))
        self.validation_scores_ += scores
        best = max([self.best_validation_score_, *(score for score in scores if score == score)])
        if not best > self.best_validation_score_:  # no epoch was better than what there was before
            self.coefs_, self.intercepts_ = problem.coefs, problem.intercepts
        self.best_validation_score_ = best

    # Using what was learned.

    @property
    def network_(self) -> mlpx.Network:
        """The fitted network, as `mlpx.Network`, on the estimator's backend or NumPy."""
        check_is_fitted(self)
        return self._network(arrays.backend_for(None, self.backend, self.device))

    def _network(self, backend: Backend) -> mlpx.Network:
        """Return a network with the parameters as they are now."""
        units = [self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_)]
        net = mlpx.Network(self._layers(units), loss=self._loss(), dtype=str(self.coefs_[0].dtype), backend=backend)
        net.set_weights(self.coefs_, self.intercepts_)
        return net

    def _outputs(self, X: Any) -> Any:
        """Return the outputs of the network in the library of X, NumPy's for tables, lists and sparse rows."""
        check_is_fitted(self)
        rows = dense_rows(arrays.check_features(self, X, reset=False))
        return self._network(arrays.backend_for(X, self.backend, self.device)).predict(rows)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, the coefficient of determination of a regressor.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Test samples.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            True labels or values.
        sample_weight : array of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        float
        """
        return scoring.score(self, X, y, sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags


def fit_many(
    estimators: Sequence[BaseMLP],
    X: Any,
    y: Any,
    rows: Sequence[Array | None] | None = None,
    sample_weight: Any = None,
) -> list[Exception | None]:
    """Fit many estimators in place; those whose networks have one shape are trained as one stack.

    Each comes out as ``estimator.fit(X[rows], y[rows], sample_weight[rows])`` would leave it, to rounding.

    Parameters
    ----------
    estimators : sequence of MLPClassifier or MLPRegressor
        What is fitted.
    X, y : array, or list of these with one an estimator
        The data; what is given several times is taken in once.
    rows : sequence of integer arrays, optional
        The rows of each estimator; by default all of them. An array that is given several times is looked at once.
    sample_weight : array, or list of these with one an estimator, optional
        Weights of all rows of X.

    Returns
    -------
    list
        For each estimator the exception that its fit raised, or None.
    """
    n = len(estimators)
    each_X, each_y, each_weight = (given if isinstance(given, list) and len(given) == n and
                                   all(hasattr(one, "shape") or one is None for one in given) else [given] * n
                                   for given in (X, y, sample_weight))  # fmt: skip
    known: dict[tuple[int, int], Intake] = {}
    intakes = [known.setdefault((id(a), id(b)), Intake(a, b)) for a, b in zip(each_X, each_y, strict=True)]
    for estimator in estimators:
        estimator._validate_params()
    return _fit_together(estimators, intakes, rows or [None] * n, each_weight)


def _fit_together(
    estimators: Sequence[BaseMLP],
    intakes: Sequence[Intake],
    rows: Sequence[Array | None],
    sample_weight: Sequence[Any],
    incremental: bool = False,
    validation: Any = None,
    task: FitTask | None = None,
) -> list[Exception | None]:
    """Fit estimators in place; return what each fit raised."""
    errors: list[Exception | None] = [None] * len(estimators)
    problems: dict[int, Problem] = {}
    for i, estimator in enumerate(estimators):
        try:
            problems[i] = estimator._problem(
                intakes[i], rows[i], sample_weight[i], incremental=incremental, validation=validation, task=task
            )
        except Exception as error:
            errors[i] = error
    descending = {i: p for i, p in problems.items() if p.batch_size}
    outcomes = dict(zip(descending, train(list(descending.values())), strict=True))
    for i, problem in problems.items():
        try:
            if i in outcomes:
                problem.estimator._adopt(problem, outcomes[i], incremental=incremental)
            else:
                lbfgs.minimize(problem)
            if not all(
                np.isfinite(array).all() for array in (*problem.estimator.coefs_, *problem.estimator.intercepts_)
            ):
                raise ValueError(_NOT_FINITE)
        except Exception as error:
            errors[i] = error
    return errors
