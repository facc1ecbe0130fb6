"""The multi-layer perceptron, written once for every array library.

Layers, losses and optimizers are hand-derived and written in functions of the Python Array API standard; NumPy is the
default, and CuPy, PyTorch, JAX and array_api_strict run the same source.

Examples
--------
>>> import mlpx
>>> net = mlpx.MLP([2, 8, 1], activation="tanh", output="sigmoid", seed=1)
>>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
>>> history = net.fit(X, y, epochs=300, optimizer=mlpx.Adam(0.05))
>>> net.predict_labels(X)
array([0, 1, 1, 0])
"""

from mlpx import activations, differentiation, initializers, losses, metrics, optimizers, plots, schedules, threshold
from mlpx._version import __version__
from mlpx.backends import Backend, BackendInfo, available_backends, get_backend, set_backend, to_numpy, use_backend
from mlpx.callbacks import Callback
from mlpx.diagnostics import Diagnostics, learning_rate_range_test
from mlpx.exceptions import BackendUnavailableError, DivergenceError, MlpxError, ModelFileError
from mlpx.history import History
from mlpx.layers import AlphaDropout, Dense, Dropout, Embedding, Layer, Maxout, PReLU, Skip
from mlpx.mlp import MLP
from mlpx.model import Network
from mlpx.network import Gradients, Trace
from mlpx.optimizers import SGD, Adam, AdamW, RMSProp
from mlpx.persistence import load

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "AdamW",
    "AlphaDropout",
    "Backend",
    "BackendInfo",
    "BackendUnavailableError",
    "Callback",
    "Dense",
    "Diagnostics",
    "DivergenceError",
    "Dropout",
    "Embedding",
    "Gradients",
    "History",
    "Layer",
    "Maxout",
    "MlpxError",
    "ModelFileError",
    "Network",
    "PReLU",
    "RMSProp",
    "Skip",
    "Trace",
    "__version__",
    "activations",
    "available_backends",
    "differentiation",
    "get_backend",
    "initializers",
    "learning_rate_range_test",
    "load",
    "losses",
    "metrics",
    "optimizers",
    "plots",
    "schedules",
    "set_backend",
    "threshold",
    "to_numpy",
    "use_backend",
]
