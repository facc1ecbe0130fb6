"""Estimators with scikit-learn's interface, and a search that trains all its candidates side by side."""

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    msg = 'mlpx.sklearn needs scikit-learn, which is not installed; install it with: pip install "mlpx[sklearn]"'
    raise ModuleNotFoundError(msg, name=error.name) from error

from mlpx.conversion import from_sklearn, to_sklearn
from mlpx.sklearn.classifier import MLPClassifier
from mlpx.sklearn.cross_validation import cross_val_stack
from mlpx.sklearn.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from mlpx.sklearn.regressor import MLPRegressor
from mlpx.sklearn.search import MLPSearchCV

__all__ = [
    "MLPClassifier",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPRegressor",
    "MLPSearchCV",
    "cross_val_stack",
    "from_sklearn",
    "to_sklearn",
]
