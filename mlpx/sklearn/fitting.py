"""Stand-in: fits one estimator after the other."""

from sklearn.utils import _safe_indexing


def fit_many(estimators, X, y, rows=None, sample_weight=None, **kwargs):
    """Stand-in."""
    n = len(estimators)
    Xs = X if isinstance(X, list) else [X] * n
    ys = y if isinstance(y, list) else [y] * n
    ws = sample_weight if isinstance(sample_weight, list) else [sample_weight] * n
    errors = []
    for e, a, b, w, r in zip(estimators, Xs, ys, ws, rows or [None] * n, strict=True):
        if r is not None:
            a, b, w = _safe_indexing(a, r), _safe_indexing(b, r), None if w is None else _safe_indexing(w, r)
        try:
            e.fit(a, b, **({} if w is None else {"sample_weight": w}), **kwargs)
        except Exception as error:
            errors.append(error)
        else:
            errors.append(None)
    return errors


def outputs_many(estimators, X):
    """Stand-in."""
    return [e._outputs(X) for e in estimators]
