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

from mlpx import (
    activations,
    callbacks,
    differentiation,
    initializers,
    losses,
    metrics,
    optimizers,
    plots,
    schedules,
    sources,
    threshold,
)
from mlpx._version import __version__
from mlpx.autopsy import replay
from mlpx.backends import Backend, BackendInfo, available_backends, get_backend, set_backend, to_numpy, use_backend
from mlpx.callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    JSONLogger,
    Progress,
    TensorBoard,
    TimeLimit,
    WeightAverage,
)
from mlpx.diagnostics import Diagnostics, learning_rate_range_test
from mlpx.exceptions import BackendUnavailableError, DivergenceError, MlpxError, ModelFileError, SourceError
from mlpx.history import History
from mlpx.layers import AlphaDropout, Dense, Dropout, Embedding, Layer, Maxout, PReLU, Skip
from mlpx.mlp import MLP
from mlpx.model import Network
from mlpx.network import Gradients, Trace
from mlpx.optimizers import SGD, Adam, AdamW, RMSProp
from mlpx.persistence import load
from mlpx.tables.model import TabularModel

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "AdamW",
    "AlphaDropout",
    "Backend",
    "BackendInfo",
    "BackendUnavailableError",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "Dense",
    "Diagnostics",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "Gradients",
    "History",
    "JSONLogger",
    "Layer",
    "Maxout",
    "MlpxError",
    "ModelFileError",
    "Network",
    "PReLU",
    "Progress",
    "RMSProp",
    "Skip",
    "SourceError",
    "TabularModel",
    "TensorBoard",
    "TimeLimit",
    "Trace",
    "WeightAverage",
    "__version__",
    "activations",
    "available_backends",
    "callbacks",
    "differentiation",
    "get_backend",
    "initializers",
    "learning_rate_range_test",
    "load",
    "losses",
    "metrics",
    "optimizers",
    "plots",
    "replay",
    "schedules",
    "set_backend",
    "sources",
    "threshold",
    "to_numpy",
    "use_backend",
]
