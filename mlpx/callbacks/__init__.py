"""Callbacks: what is called while training goes on.

A callback is told of the start of training, the beginning of an epoch, batches, the end of an epoch and the end of
training; see `mlpx.Callback`. What training needs of it in order to go on after an interruption stands in a checkpoint,
beside all else: `Callback.state` gives it, `Callback.restore` takes it back.
"""

from mlpx.callbacks.base import Callback, FunctionCallback, get
from mlpx.callbacks.checkpoint import Checkpoint
from mlpx.callbacks.csv_logger import CSVLogger
from mlpx.callbacks.early_stopping import EarlyStopping
from mlpx.callbacks.json_logger import JSONLogger
from mlpx.callbacks.progress import Progress
from mlpx.callbacks.tensorboard import TensorBoard
from mlpx.callbacks.time_limit import TimeLimit
from mlpx.callbacks.weight_average import WeightAverage

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "FunctionCallback",
    "JSONLogger",
    "Progress",
    "TensorBoard",
    "TimeLimit",
    "WeightAverage",
    "get",
]
