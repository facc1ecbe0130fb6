"""The classifier."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from mlpx import losses
from mlpx._typing import Array
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.losses import Loss
from mlpx.optimizers import Optimizer
from mlpx.sklearn import arrays, predictions
from mlpx.sklearn.base import BaseMLP
from mlpx.sklearn.intake import Intake
from mlpx.sklearn.parameters import ATTRIBUTES, PARAMETERS, documented
from mlpx.sklearn.problem import Source

__all__ = ["MLPClassifier"]


@documented(PARAMETERS, ATTRIBUTES)
class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """Multi-layer perceptron classifier, with the interface of scikit-learn's and more.

    It minimizes the cross-entropy. Parameters up to `max_fun` are scikit-learn's own, with its names, defaults and
    meaning; with the same `random_state` a fit gives the same network.

    Parameters
    ----------
    {parameters}
    class_weight : dict, list of dict or "balanced", default=None
        Weight of each class, times `sample_weight`; ``"balanced"`` weighs classes inversely to their frequency. With
        several labels a sample a list with one dict a label, whose weights are multiplied.
    label_smoothing : float, default=0.0
        Share of each target that is spread over all classes, in the training loss alone.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The labels.
    {attributes}

    See Also
    --------
    MLPRegressor : The regressor.
    MLPSearchCV : Trains all candidates of a search side by side.

    Examples
    --------
    >>> from mlpx.sklearn import MLPClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(random_state=0, max_iter=500).fit(X, y)
    >>> model.predict(X[:3])
    array([0, 0, 0])
    >>> model.predict_proba(X[:3]).argmax(axis=1)
    array([0, 0, 0])
    >>> model.predict_log_proba(X[:3]).shape
    (3, 3)
    >>> round(model.score(X, y), 2)
    0.98
    """

    _default_score = "accuracy"
    loss = "log_loss"  # no parameter, as in scikit-learn
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
        label_smoothing: float = 0.0,
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
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing

    # Labels.

    def _learn_labels(self, intake: Intake, labels: Array, rows: Array | None, *, incremental: bool) -> Hashable:
        """Learn the classes, or compare the labels with those that are known; return the classes as a key."""
        own = labels if rows is None else labels[rows]
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            known = intake.encoders.get(id(rows))
            if known is None:
                known = intake.encoders[id(rows)] = LabelBinarizer().fit(own)
            self._label_binarizer = known
            self.classes_ = known.classes_
        else:
            self._check_known(own)
        return type(self).__name__, str(self.classes_.dtype), tuple(self.classes_.tolist())

    def _check_known(self, labels: Array) -> None:
        """Refuse labels that do not go with those of earlier fits."""
        if self._label_binarizer.y_type_.startswith("multilabel") and labels.ndim == 1:
            msg = f"`y` must be indicators of shape (n_samples, {len(self.classes_)}), as before, got {labels.shape}."
            raise ValueError(msg)
        classes = unique_labels(labels)
        if self.warm_start:
            if set(classes) != set(self.classes_):
                msg = (
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
                raise ValueError(msg)
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            msg = f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            raise ValueError(msg)

    def _check_labels(self, labels: Array) -> None:
        """Refuse validation labels of another kind, and such that the training labels do not know."""
        several = self._label_binarizer.y_type_.startswith("multilabel")
        wanted = (len(self.classes_),) if several else ()
        if labels.shape[1:] != wanted:
            kind = (
                f"indicators of shape (n_samples, {len(self.classes_)})" if several else "labels of shape (n_samples,)"
            )
            msg = f"`y_val` must be {kind}, as `y` is, got the shape {labels.shape}."
            raise ValueError(msg)
        unknown = np.setdiff1d(unique_labels(labels), self.classes_)
        if len(unknown):
            msg = f"`y_val` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. New: {unknown}."
            raise ValueError(msg)

    def _encode(self, labels: Array) -> Array:
        """Return class indices, or the targets of the sigmoids."""
        if labels.ndim == 2:
            targets = self._label_binarizer.transform(labels)
            return np.asarray(targets.toarray() if hasattr(targets, "toarray") else targets, dtype=np.float64)
        # rows that no one trains on may have other labels
        index = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        return index if len(self.classes_) > 2 else index[:, None].astype(np.float64)

    def _output_of(self, labels: Array) -> tuple[int, str, Loss]:
        """Return number of outputs, their activation and the loss."""
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return len(self.classes_), "logistic", losses.binary_cross_entropy()
        if len(self.classes_) > 2:
            return len(self.classes_), "softmax", losses.cross_entropy()
        return 1, "logistic", losses.binary_cross_entropy()

    def _loss_of(self) -> Loss:
        """Return the loss that belongs to the output."""
        return losses.cross_entropy() if self.out_activation_ == "softmax" else losses.binary_cross_entropy()

    @property
    def _smoothing(self) -> float:
        return self.label_smoothing

    def _watches_metric(self) -> bool:
        """Say whether early stopping watches training's own accuracy; where there is one class, that is another."""
        return len(self.classes_) > 1 and super()._watches_metric()

    def _known_labels(self) -> tuple[Any, ...] | None:
        labels, several = self.classes_, self.n_outputs_ > 1 and self.out_activation_ == "logistic"
        indices = labels.dtype.kind in "iu" and np.array_equal(labels, np.arange(len(labels)))
        return None if several or indices or len(labels) == 1 else tuple(labels.tolist())

    def _strata(self, source: Source, rows: Array) -> Array | None:
        """Return what the validation split is stratified by: two classes, as scikit-learn does."""
        return self._encode(source.labels[rows]).astype(bool) if self.n_outputs_ == 1 else None

    def _weights_of(self, weight: Array | None, labels: Array, rows: Array, *, incremental: bool) -> Array | None:
        """Return the weights of all rows times those of their classes."""
        if self.class_weight is None:
            return weight
        if incremental and self.class_weight == "balanced":
            msg = (
                "class_weight 'balanced' is not supported for partial_fit: the classes' frequencies are not known. "
                "Give the weights as a dict, such as {label: weight}."
            )
            raise ValueError(msg)
        full = np.ones(labels.shape[0])
        full[rows] = self._weights_by_class(labels[rows])
        return full if weight is None else full * weight

    def _weights_by_class(self, labels: Array) -> Array:
        """Return the weight of each label; for several labels a sample the product of theirs."""
        if labels.ndim == 2:
            weights = compute_sample_weight(self.class_weight, labels)
        elif isinstance(self.class_weight, list):
            msg = (
                "`class_weight` must be a dict or 'balanced'; a list is for several labels a sample, one dict a label."
            )
            raise ValueError(msg)
        else:
            # by all classes: the rows of a partial_fit may lack some
            each = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
            weights = each[np.searchsorted(self.classes_, labels)]
        if not (np.all(np.isfinite(weights) & (weights >= 0)) and np.any(weights)):
            msg = f"`class_weight` must hold finite numbers of at least 0, and not 0 alone, got {self.class_weight!r}."
            raise ValueError(msg)
        return weights

    # Use.

    score = BaseMLP.score  # instead of the mixin's, which takes NumPy's arrays alone

    @available_if(lambda estimator: estimator._check_solver())  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Update the model with a single iteration over the given data.

        Parameters
        ----------
        X : array, table or sparse matrix of shape (n_samples, n_features)
            The input data.
        y : array of shape (n_samples,)
            The labels.
        sample_weight : array of shape (n_samples,), default=None
            Sample weights.
        classes : array of shape (n_classes,), default=None
            All labels that any call will see; needed in the first call.

        Returns
        -------
        MLPClassifier
            The model.
        """
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Return the label of each sample.

        Parameters
        ----------
        X : array, table or sparse matrix of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        array of shape (n_samples,), with several labels a sample (n_samples, n_classes)
            Numbers in the library and on the device of `X`; text in NumPy.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For features that do not fit those of `fit`, or lie in another place.
        """
        arrays.check_same_place(self, X, "predict")
        found = predictions.labels(self._outputs(X), self.classes_, self.out_activation_, X)
        return csr_matrix(found) if self._label_binarizer.sparse_input_ else found

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : array, table or sparse matrix of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        array of shape (n_samples, n_classes)
            In the order of ``classes_``, in the library and on the device of `X`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For features that do not fit those of `fit`, or lie in another place.
        """
        arrays.check_same_place(self, X, "predict_proba")
        return predictions.probabilities(self._outputs(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : array, table or sparse matrix of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        array of shape (n_samples, n_classes)
            In the order of ``classes_``, in the library and on the device of `X`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For features that do not fit those of `fit`, or lie in another place.
        """
        arrays.check_same_place(self, X, "predict_log_proba")
        return predictions.logarithms(predictions.probabilities(self._outputs(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
