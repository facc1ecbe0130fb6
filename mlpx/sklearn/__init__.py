"""Estimators and searches for users of scikit-learn."""

from mlpx.sklearn.cross_validation import cross_val_stack
from mlpx.sklearn.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from mlpx.sklearn.estimators import MLPClassifier, MLPRegressor
from mlpx.sklearn.search import MLPSearchCV

__all__ = [
    "MLPClassifier",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPRegressor",
    "MLPSearchCV",
    "cross_val_stack",
]
