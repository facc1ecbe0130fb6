"""What both estimators share: parameters, `fit`, and what is done with a fitted network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils.validation import check_is_fitted

import mlpx
from mlpx._typing import Array
from mlpx.backends import Backend, to_numpy
from mlpx.losses import Loss
from mlpx.sklearn import arrays, planning, scoring
from mlpx.sklearn.callbacks import CallbackSupportMixin, FitTask, present_parameters
from mlpx.sklearn.fitting import fit_together
from mlpx.sklearn.intake import Intake
from mlpx.sklearn.outputs import outputs_of
from mlpx.sklearn.parameters import CONSTRAINTS
from mlpx.sklearn.planning import Request
from mlpx.sklearn.problem import Problem, Source
from mlpx.sklearn.verbose import Verbose

__all__ = ["BaseMLP"]


class BaseMLP(CallbackSupportMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """The base of `MLPClassifier` and `MLPRegressor`.

    Attributes
    ----------
    _default_score : str
        The metric that early stopping watches.
    """

    _default_score: ClassVar[str]
    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

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
    def _learn_labels(self, intake: Intake, labels: Array, rows: Array | None, *, incremental: bool) -> Hashable:
        """Set what the labels tell, such as ``classes_``; return what names the targets made of them."""

    @abstractmethod
    def _encode(self, labels: Array) -> Array:
        """Return targets: integer class indices, or numbers of shape (N, K)."""

    @abstractmethod
    def _output_of(self, labels: Array) -> tuple[int, str, Loss]:
        """Return number of outputs, their activation as scikit-learn names it, and the loss."""

    @abstractmethod
    def _loss_of(self) -> Loss:
        """Return the loss."""

    def _strata(self, source: Source, rows: Array) -> Array | None:
        """Return what the validation split is stratified by."""
        return None

    def _check_labels(self, labels: Array) -> None:
        """Refuse validation labels that do not go with the training labels."""

    def _weights_of(self, weight: Array | None, labels: Array, rows: Array, *, incremental: bool) -> Array | None:
        """Return the weights of all rows, those of the classes among them."""
        return weight

    # Training.

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
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
        X_val, y_val : array of shape (n_rows, n_features) and (n_rows,) or (n_rows, n_outputs), default=None
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
        request = Request(Intake(X, y), None, sample_weight, incremental, validation, task)
        error = fit_together([self], [request])[0]
        if error is not None:
            raise error
        task.close()
        return self

    def _check_solver(self) -> bool:
        if not planning.descends(self):
            msg = f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            raise AttributeError(msg)
        return True

    @property
    def _adapts(self) -> bool:
        """Whether the learning rate is lowered where training gets stuck."""
        return bool(self.optimizer is None and self.solver == "sgd" and self.learning_rate == "adaptive")

    def _kind_of_training(self) -> tuple[Hashable, ...]:
        """Return what estimators that are trained as one stack have in common, beside their networks."""
        watched = self.verbose or self.callbacks or getattr(self, "_skl_callbacks", ())
        chosen = (self.solver, self.learning_rate, bool(self.nesterovs_momentum), self.momentum > 0)
        return (
            id(self) if watched or self.scoring is not None else None,
            chosen if self.optimizer is None else self.optimizer,
            self.alpha_mode,
            self.shuffle,
            self.early_stopping,
            self.clip_norm is None,
            self._smoothing,
        )

    def _training_callbacks(self, problems: Sequence[Problem]) -> tuple[Any, ...]:
        """Return what is called while networks are trained; those that have any are trained alone."""
        found = list(mlpx.callbacks.get(self.callbacks or ()))
        problem = problems[0]
        if self.verbose:
            score = problem.watched if self.early_stopping else None
            best = getattr(self, "best_validation_score_" if score else "best_loss_", None)
            found.append(
                Verbose(self.tol, self.n_iter_no_change, score=score, adaptive=self._adapts,
                        best=best, waited=self._no_improvement_count)
            )  # fmt: skip
        return tuple(found) if problem.task is None else (*found, *problem.task.callbacks(present_parameters))

    @property
    def _smoothing(self) -> float:
        """Share of each target that is spread over all classes."""
        return 0.0

    def _watches_metric(self) -> bool:
        """Say whether the score that early stopping watches is a metric that training computes itself."""
        return scoring.metric_name(self, self.scoring) is not None

    def _epoch_scores(self, problems: Sequence[Problem]) -> scoring.EpochScores | None:
        """Return what computes the score that is watched; None where training's own metric is that score."""
        if not self.early_stopping or self._watches_metric():
            return None
        members = []
        for problem in problems:
            source, rows, weight = problem.held_out  # type: ignore[misc]
            own = None if weight is None else weight[rows]
            scorer = self.scoring or self._default_score
            members.append(scoring.HeldOut(self, scorer, source.features[rows], source.labels[rows], own))
        return scoring.EpochScores(members)

    # Using what was learned.

    @property
    def network_(self) -> mlpx.Network:
        """The fitted network, as `mlpx.Network`, on the estimator's backend or NumPy."""
        check_is_fitted(self)
        return self._network(arrays.backend_for(None, self.backend, self.device))

    def _network(self, backend: Backend) -> mlpx.Network:
        """Return a network with the parameters as they are now."""
        coefs = [to_numpy(coef) for coef in self.coefs_]
        units = [coefs[0].shape[0], *(coef.shape[1] for coef in coefs)]
        net = mlpx.Network(
            planning.layers_of(self, units), loss=self._loss_of(), dtype=arrays.dtype_for(coefs[0]), backend=backend
        )
        net.set_weights(coefs, self.intercepts_)
        net.classes = self._known_labels()
        return net

    def _known_labels(self) -> tuple[Any, ...] | None:
        """Return the labels that the network shall decide on, where they are not its class indices."""
        return None

    def _outputs(self, X: Any) -> Any:
        """Return the outputs of the network in the library of X, NumPy's for tables, lists and sparse rows."""
        check_is_fitted(self)
        return outputs_of(self, X, arrays.check_features(self, X))

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
