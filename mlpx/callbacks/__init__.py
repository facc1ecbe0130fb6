"""Callbacks: what is called while training goes on.

A callback is told of the start of training, the beginning of an epoch, batches, the end of an epoch and the end of
training; see `mlpx.Callback`. What training needs of it in order to go on after an interruption stands in a checkpoint,
beside all else: `Callback.state` gives it, `Callback.restore` takes it back.
"""

from mlpx.callbacks.base import Callback, FunctionCallback, get
from mlpx.callbacks.checkpoint import Checkpoint

__all__ = ["Callback", "Checkpoint", "FunctionCallback", "get"]
