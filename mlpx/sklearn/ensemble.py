"""Deep ensembles: networks that differ in their seed, trained as one stack; their mean is better than one of them.

B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty estimation using deep
ensembles", 2017.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags, indexable
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from mlpx._typing import Array
from mlpx.sklearn import arrays, predictions, scoring
from mlpx.sklearn.classifier import MLPClassifier
from mlpx.sklearn.fitting import fit_many
from mlpx.sklearn.internals import Interval, fit_context, num_samples
from mlpx.sklearn.recalling import recalling
from mlpx.sklearn.regressor import MLPRegressor

__all__ = ["MLPEnsembleClassifier", "MLPEnsembleRegressor"]

_SEEDS = np.iinfo(np.int32).max


class _Ensemble(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Members, their seeds and their rows."""

    _network: ClassVar[type]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",  # `_fit` refuses others, and says what to do
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator: Any = None, *, n_members: int = 10, bootstrap: bool = False, random_state: Any = None
    ) -> None:
        self.estimator = estimator
        self.n_members = n_members
        self.bootstrap = bootstrap
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags, network = super().__sklearn_tags__(), get_tags(self._base())
        for name in ("input_tags", "target_tags", "classifier_tags", "regressor_tags", "array_api_support"):
            setattr(tags, name, getattr(network, name))
        return tags

    def _base(self) -> Any:
        return self._network() if self.estimator is None else self.estimator

    def _check_estimator(self) -> None:
        if isinstance(self._base(), self._network):
            return
        wanted, name = self._network.__name__, type(self).__name__
        cls = self.estimator if isinstance(self.estimator, type) else type(self.estimator)
        remedy = f"Give an {wanted}(...), or nothing for the default one."
        if cls is Pipeline:
            remedy = (
                f"Put the steps before the network in front: make_pipeline(StandardScaler(), {name}({wanted}(...)))."
            )
        elif cls.__name__ == wanted and not issubclass(cls, self._network):
            remedy = f"Take {wanted} from mlpx.sklearn, which has the same parameters."
        what = f"{'the class ' if cls is self.estimator else ''}{cls.__module__}.{cls.__qualname__}"
        msg = f"`estimator` must be an mlpx.sklearn.{wanted}, got {what}. {remedy}"
        raise TypeError(msg)

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        self._check_estimator()
        X, y, sample_weight = indexable(X, y, sample_weight)
        X, y, sample_weight = (np.asarray(part) if isinstance(part, list) else part for part in (X, y, sample_weight))
        draws = check_random_state(self.random_state)
        seeds = draws.randint(_SEEDS, size=self.n_members)
        n = num_samples(X)
        rows = [draws.randint(n, size=n) for _ in seeds] if self.bootstrap and y is not None else None
        members = [clone(self._base()).set_params(random_state=int(seed)) for seed in seeds]
        for error in fit_many(members, X, y, rows=rows, sample_weight=sample_weight):
            if error is not None:
                raise error
        self.estimators_ = members
        self.n_features_in_, self._place = members[0].n_features_in_, members[0]._place
        if hasattr(members[0], "feature_names_in_"):
            self.feature_names_in_ = members[0].feature_names_in_

    def _predicted(self, X: Any, method: str) -> list[Array]:
        """Return what a method gives for each member; the data are checked and go through the networks once."""
        return [getattr(member, method)(X) for member in recalling(self.estimators_, X)]

    def _check(self, X: Any, method: str) -> None:
        """Refuse to predict before a fit, and features of another place where scikit-learn asks for that."""
        check_is_fitted(self)
        arrays.check_same_place(self, X, method)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, the coefficient of determination of a regressor.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels or values.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample.

        Returns
        -------
        float
        """
        return scoring.score(self, X, y, sample_weight)


def _mean(values: list[Array]) -> Array:
    xp = array_namespace(*values)
    return xp.mean(xp.stack(values), axis=0)


def _spread(values: list[Array]) -> Array:
    xp = array_namespace(*values)
    return xp.std(xp.stack(values), axis=0)


class MLPEnsembleClassifier(ClassifierMixin, _Ensemble):  # type: ignore[misc]
    """A classifier of several networks that start from different weights, by the mean of their probabilities.

    All members are trained as one stack.

    Parameters
    ----------
    estimator : MLPClassifier, optional
        What a member is, with all its parameters but `random_state`; by default ``MLPClassifier()``.
    n_members : int
        Number of networks.
    bootstrap : bool
        Whether each member is trained on a draw, with replacement, of as many rows as there are. Networks differ enough
        by their seeds, and learn less from fewer rows, so this is off.
    random_state : int, RandomState instance or None
        Where the members' seeds and rows are drawn from.

    Attributes
    ----------
    estimators_ : list of MLPClassifier
        The members, fitted.
    classes_ : array of shape (n_classes,)
        Labels; with several labels a sample, their numbers.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Names of the features, where X had them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mlpx.sklearn import MLPClassifier, MLPEnsembleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((8,), solver="lbfgs", max_iter=1000)
    >>> ensemble = MLPEnsembleClassifier(network, n_members=4, random_state=0).fit(X, y)
    >>> mean, spread = ensemble.predict_proba(X[:3], return_std=True)
    >>> mean.shape, spread.shape
    ((3, 3), (3, 3))
    >>> ensemble.score(X, y) > 0.9
    True
    >>> ensemble.predict(X[:3])
    array([0, 0, 0])
    >>> bool((ensemble.predict_log_proba(X[:3]) <= 0).all())
    True
    """

    _network = MLPClassifier
    score = _Ensemble.score  # not the mixin's, which takes no arrays of other libraries

    @fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPEnsembleClassifier:
        """Train all members.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels, or an indicator for each label.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample.

        Returns
        -------
        MLPEnsembleClassifier
            Itself.

        Raises
        ------
        ValueError, TypeError
            For data or parameters that do not fit.
        """
        self._fit(X, y, sample_weight)
        y = arrays.on_host(y)
        self._several = type_of_target(y).startswith("multilabel")
        # a draw of rows may lack a class
        self.classes_ = unique_labels(y) if self.bootstrap else self.estimators_[0].classes_
        return self

    def predict_proba(self, X: Any, *, return_std: bool = False) -> Any:
        """Return the mean of the members' probabilities.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Features.
        return_std : bool
            Whether to return the standard deviation over the members too, which says how much they disagree.

        Returns
        -------
        array of shape (n_samples, n_classes), or two of them
            By class in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For features that do not fit those of `fit`, or lie in another place.
        """
        self._check(X, "predict_proba")
        return self._probabilities(X, return_std=return_std)

    def _probabilities(self, X: Any, *, return_std: bool = False) -> Any:
        probabilities = self._predicted(X, "predict_proba")
        if self.bootstrap and not self._several:
            probabilities = [self._aligned(p, m.classes_) for p, m in zip(probabilities, self.estimators_, strict=True)]
        mean = _mean(probabilities)
        return (mean, _spread(probabilities)) if return_std else mean

    def _aligned(self, probabilities: Array, classes: Any) -> Array:
        """Return a member's probabilities with zeros for the classes that it has not seen; of one alone it is sure."""
        if len(classes) == len(self.classes_):
            return probabilities
        xp = array_namespace(probabilities)
        if len(classes) == 1:  # its one sigmoid has nothing to tell apart
            probabilities = xp.ones_like(probabilities)
        columns = dict(zip(np.searchsorted(self.classes_, classes).tolist(), range(len(classes)), strict=True))
        none = xp.zeros_like(probabilities[:, 0])
        found = [probabilities[:, columns[k]] if k in columns else none for k in range(len(self.classes_))]
        return xp.stack(found, axis=1)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the mean of the members' probabilities.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        array of shape (n_samples, n_classes)

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For features that do not fit those of `fit`, or lie in another place.
        """
        self._check(X, "predict_log_proba")
        probabilities = self._probabilities(X)
        return array_namespace(probabilities).log(probabilities)

    def predict(self, X: Any) -> Any:
        """Return the label with the highest mean probability, or each label whose mean is above one half.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_labels)
            A sparse matrix, where `y` was one.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For features that do not fit those of `fit`, or lie in another place.
        """
        self._check(X, "predict")
        probabilities = self._probabilities(X)
        found = predictions.labels(probabilities, self.classes_, "logistic" if self._several else "softmax", X)
        return csr_matrix(found) if self.estimators_[0]._label_binarizer.sparse_input_ else found


class MLPEnsembleRegressor(RegressorMixin, _Ensemble):  # type: ignore[misc]
    """A regressor of several networks that start from different weights, by the mean of their predictions.

    All members are trained as one stack.

    Parameters
    ----------
    estimator : MLPRegressor, optional
        What a member is, with all its parameters but `random_state`; by default ``MLPRegressor()``.
    n_members : int
        Number of networks.
    bootstrap : bool
        Whether each member is trained on a draw, with replacement, of as many rows as there are. Networks differ enough
        by their seeds, and learn less from fewer rows, so this is off.
    random_state : int, RandomState instance or None
        Where the members' seeds and rows are drawn from.

    Attributes
    ----------
    estimators_ : list of MLPRegressor
        The members, fitted.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Names of the features, where X had them.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.sklearn import MLPEnsembleRegressor, MLPRegressor
    >>> X = np.linspace(-2, 2, 80)[:, None]
    >>> network = MLPRegressor(hidden_layer_sizes=(16,), activation="tanh", solver="lbfgs", max_iter=500)
    >>> ensemble = MLPEnsembleRegressor(network, n_members=5, random_state=0).fit(X, np.sin(2 * X[:, 0]))
    >>> mean, spread = ensemble.predict([[0.5], [9.0]], return_std=True)
    >>> bool(spread[1] > spread[0])  # far from the data the members disagree
    True
    """

    _network = MLPRegressor
    score = _Ensemble.score  # not the mixin's, which takes no arrays of other libraries

    @fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPEnsembleRegressor:
        """Train all members.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample.

        Returns
        -------
        MLPEnsembleRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError
            For data or parameters that do not fit.
        """
        self._fit(X, y, sample_weight)
        return self

    def predict(self, X: Any, *, return_std: bool = False) -> Any:
        """Return the mean of the members' predictions.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Features.
        return_std : bool
            Whether to return the standard deviation over the members too: how much they disagree, which grows where
            there were few data. The noise of the targets is not in it.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_outputs), or two of them

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For features that do not fit those of `fit`, or lie in another place.
        """
        self._check(X, "predict")
        predictions = self._predicted(X, "predict")
        mean = _mean(predictions)
        return (mean, _spread(predictions)) if return_std else mean
