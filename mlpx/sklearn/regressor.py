"""The regressor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from mlpx import losses
from mlpx._typing import Array
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.losses import Loss
from mlpx.optimizers import Optimizer
from mlpx.sklearn import arrays
from mlpx.sklearn.base import BaseMLP
from mlpx.sklearn.intake import Intake
from mlpx.sklearn.parameters import ATTRIBUTES, PARAMETERS, documented

__all__ = ["MLPRegressor"]

_LOSSES = {"absolute_error", "huber", "poisson", "quantile", "squared_error"}


@documented(PARAMETERS, ATTRIBUTES)
class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """Multi-layer perceptron regressor, with the interface of scikit-learn's and more.

    Parameters up to `max_fun` are scikit-learn's own, with its names, defaults and meaning; with the same
    `random_state` a fit gives the same network. With several outputs the reported loss is the sum over the outputs,
    whose gradient is followed; scikit-learn reports it divided by their number.

    Parameters
    ----------
    loss : str, Loss or callable, default="squared_error"
        ``"squared_error"``, ``"poisson"`` (counts, with an exponential output), ``"absolute_error"``, ``"huber"``,
        ``"quantile"`` (the median), an object with its parameters, such as ``mlpx.losses.quantile(0.9)``, or a
        function ``f(y_hat, y, xp)`` of your own, see `mlpx.losses.automatic`.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPClassifier : The classifier.
    MLPSearchCV : Trains all candidates of a search side by side.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> model = MLPRegressor(activation="tanh", solver="lbfgs", tol=1e-6, random_state=0).fit(X, X[:, 0] ** 2)
    >>> model.predict([[0.6]]).round(2)
    array([0.36])
    """

    _default_score = "r2"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(_LOSSES), Loss, callable],
    }

    def __init__(
        self,
        loss: str | Loss | Callable[..., Any] = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation | Callable[..., Any] | Sequence[Any] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int | float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        optimizer: str | Optimizer | None = None,
        clip_norm: float | None = None,
        alpha_mode: str = "batch",
        scoring: str | Callable[..., float] | None = None,
        callbacks: Any = None,
        progress: bool = False,
        backend: str | Backend | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            dropout=dropout,
            optimizer=optimizer,
            clip_norm=clip_norm,
            alpha_mode=alpha_mode,
            scoring=scoring,
            callbacks=callbacks,
            progress=progress,
            backend=backend,
            device=device,
            dtype=dtype,
        )
        self.loss = loss

    # Targets.

    def _learn_labels(self, intake: Intake, labels: Array, rows: Array | None, *, incremental: bool) -> Hashable:
        """Refuse targets that the loss cannot take."""
        self._loss_of().check_targets(labels if rows is None else labels[rows], np)
        return type(self).__name__

    def _encode(self, labels: Array) -> Array:
        """Return the targets as columns."""
        return np.asarray(labels[:, None] if labels.ndim == 1 else labels, dtype=np.float64)

    def _loss_of(self) -> Loss:
        """Return the loss."""
        return losses.get(self.loss)

    def _output_of(self, labels: Array) -> tuple[int, str, Loss]:
        """Return number of outputs, their activation and the loss."""
        loss = self._loss_of()
        return (1 if labels.ndim == 1 else labels.shape[1]), loss.output or "identity", loss

    def _check_labels(self, labels: Array) -> None:
        """Refuse validation targets of other outputs, and such that the loss cannot take."""
        outputs = 1 if labels.ndim == 1 else labels.shape[1]
        if outputs != self.n_outputs_:
            msg = f"`y_val` must have as many outputs as `y`, which has {self.n_outputs_}, got {outputs}."
            raise ValueError(msg)
        try:
            self._loss_of().check_targets(labels, np)
        except ValueError as error:
            raise ValueError(str(error).replace("`y`", "`y_val`")) from None

    # Use.

    score = BaseMLP.score  # instead of the mixin's, which takes NumPy's arrays alone

    @available_if(lambda estimator: estimator._check_solver())  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Update the model with a single iteration over the given data.

        Parameters
        ----------
        X : array, table or sparse matrix of shape (n_samples, n_features)
            The input data.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            The target values.
        sample_weight : array of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        MLPRegressor
            The model.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Return the predicted values.

        Parameters
        ----------
        X : array, table or sparse matrix of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_outputs)
            In the library and on the device of `X`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For features that do not fit those of `fit`, or lie in another place.
        """
        arrays.check_same_place(self, X, "predict")
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs
