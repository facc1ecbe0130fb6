"""Layers: forward and backward of each, written by hand.

A layer is a frozen description; parameters live outside and come in as arguments. The one invariant: what comes out of
`backward` as ``dx`` has the shape and type of what went into `forward` as ``x``, and what goes into `backward` as
``dy`` has those of what came out of `forward` as ``y``. Arrays may carry leading stack axes throughout, and gain them
where the parameters of a stack meet features that all its members share.

Each layer is a page of its own in the same order: fields, parameters, `forward`, `backward`. `Dense` explains all
others.
"""

from mlpx.layers.alpha_dropout import AlphaDropout
from mlpx.layers.base import Layer
from mlpx.layers.dense import Dense
from mlpx.layers.dropout import Dropout
from mlpx.layers.embedding import Embedding
from mlpx.layers.maxout import Maxout
from mlpx.layers.prelu import PReLU
from mlpx.layers.skip import Skip

__all__ = ["AlphaDropout", "Dense", "Dropout", "Embedding", "Layer", "Maxout", "PReLU", "Skip"]
