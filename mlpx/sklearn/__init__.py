"""Estimators with scikit-learn's interface, and a search that trains all its candidates side by side."""

from mlpx.conversion import from_sklearn, to_sklearn
from mlpx.sklearn.classifier import MLPClassifier
from mlpx.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn", "to_sklearn"]
