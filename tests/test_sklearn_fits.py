"""Whole fits with default parameters on every data set that scikit-learn ships predict what scikit-learn's predict."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")

from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from mlpx.bench.estimators import SHIPPED
from sklearn_pairs import both, make_pair

pytestmark = pytest.mark.once


@pytest.mark.parametrize("scaled", [False, True], ids=["as shipped", "standardized"])
@pytest.mark.parametrize("name", SHIPPED)
def test_predictions_of_a_default_fit(name: str, scaled: bool) -> None:
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if scaled:
        X = StandardScaler().fit_transform(X)
    pair = make_pair(SHIPPED[name], random_state=0)
    both(pair, lambda estimator: estimator.fit(X, y))
    assert pair.own.n_iter_ == pair.theirs.n_iter_
    method = "predict_proba" if SHIPPED[name] == "MLPClassifier" else "predict"
    np.testing.assert_allclose(getattr(pair.own, method)(X), getattr(pair.theirs, method)(X), rtol=1e-10)
    if method == "predict_proba":
        np.testing.assert_array_equal(pair.own.predict(X), pair.theirs.predict(X))
