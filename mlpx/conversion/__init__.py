"""Networks to and from other libraries, and out of the package: what goes over predicts the same there.

scikit-learn, PyTorch and ONNX are imported when a function first needs them, not before.

Examples
--------
>>> from sklearn.neural_network import MLPRegressor
>>> from mlpx.conversion import from_sklearn, to_sklearn
>>> fitted = MLPRegressor(hidden_layer_sizes=(8,), random_state=0).partial_fit([[0.0], [1.0]], [1.0, 3.0])
>>> net = from_sklearn(fitted)
>>> net
<MLP 1 - 8 relu - 1 identity; loss squared_error; 25 parameters float64 on numpy, cpu>
>>> to_sklearn(net)
MLPRegressor(hidden_layer_sizes=(8,))
"""

from mlpx.conversion.npz import to_npz
from mlpx.conversion.onnx import to_onnx
from mlpx.conversion.scikit_learn import from_sklearn, to_sklearn
from mlpx.conversion.standalone import to_standalone
from mlpx.conversion.torch import from_torch, to_torch

__all__ = ["from_sklearn", "from_torch", "to_npz", "to_onnx", "to_sklearn", "to_standalone", "to_torch"]
