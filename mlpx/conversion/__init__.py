"""Networks to and from other libraries: what goes over predicts the same there.

scikit-learn and PyTorch are imported when a function first needs them, not before.

Examples
--------
>>> import mlpx
>>> from mlpx.conversion import from_sklearn, to_sklearn
>>> estimator = to_sklearn(mlpx.MLP([4, 8, 3]))
>>> from_sklearn(estimator)
<MLP 4 - 8 relu - 3 softmax; loss cross_entropy; 67 parameters float32 on numpy, cpu>
"""

from mlpx.conversion.scikit_learn import from_sklearn, to_sklearn
from mlpx.conversion.torch import from_torch, to_torch

__all__ = ["from_sklearn", "from_torch", "to_sklearn", "to_torch"]
