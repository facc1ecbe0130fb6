"""Data sets as estimators take them in: checked once, encoded once, however many estimators are fitted to them."""

from __future__ import annotations

from typing import Any

from sklearn.utils import column_or_1d
from sklearn.utils.validation import _check_feature_names, _check_n_features

from mlpx import inputs
from mlpx._typing import Array
from mlpx.backends import Backend
from mlpx.backends.gathering import HostRows
from mlpx.sklearn import arrays
from mlpx.sklearn.problem import Source
from mlpx.sklearn.sparse import dense_rows

__all__ = ["Intake"]


class Intake:
    """A data set and what estimators have made of it.

    Parameters
    ----------
    X, y
        As `fit` takes them.
    """

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y
        self._checked: dict[bool, tuple[Any, Array]] = {}
        self._sources: dict[Any, Source] = {}
        self.encoders: dict[Any, Any] = {}
        """What encodes the labels of some rows, by the identity of the array of rows."""

    def checked(self, estimator: Any, *, reset: bool, numeric: bool) -> tuple[Any, Array]:
        """Return features and labels, checked; the estimator learns, or compares, number and names of the features."""
        if numeric not in self._checked:
            features, labels = arrays.check_training_data(estimator, self.X, self.y, reset=reset, numeric=numeric)
            if labels.ndim == 2 and labels.shape[1] == 1:
                labels = column_or_1d(labels, warn=True)
            self._checked[numeric] = features, labels
        else:
            _check_feature_names(estimator, self.X, reset=reset)
            _check_n_features(estimator, self._checked[numeric][0], reset=reset)
        return self._checked[numeric]

    def source(self, backend: Backend, dtype: str, labels: Array, key: Any, encode: Any, features: Any) -> Source:
        """Return the data on a backend; `encode` makes targets of the labels, and `key` names what it makes.

        Parameters
        ----------
        backend : Backend
            Where it goes.
        dtype : str
            Its type.
        labels, features
            As `checked` returned them.
        key : Hashable
            What two estimators with the same targets have in common.
        encode : callable
            ``encode(labels)`` gives integer class indices, or numbers of shape (N, K), on the host.
        """
        place = backend.name, backend.device_name, dtype
        if (place, key) not in self._sources:
            x = self._features(backend, dtype, place, features)
            self._sources[place, key] = Source(x, self._targets(encode(labels), backend, dtype, x), features, labels)
        return self._sources[place, key]

    def _features(self, backend: Backend, dtype: str, place: Any, features: Any) -> Any:
        known = (source.x for (own, _), source in self._sources.items() if own == place)
        found = next(known, None)
        if found is not None:
            return found
        rows = dense_rows(features)
        with backend.context():
            return inputs.features(rows, backend, backend.dtype(dtype), rows.shape[1], None, may_stay=True, finite=True)

    @staticmethod
    def _targets(encoded: Array, backend: Backend, dtype: str, x: Any) -> Any:
        if isinstance(x, HostRows):
            kept = encoded if encoded.dtype.kind == "i" else encoded.astype(x.dtype)
            return HostRows(kept, kept.dtype)
        with backend.context():
            return backend.asarray(encoded, dtype=None if encoded.dtype.kind == "i" else backend.dtype(dtype))
