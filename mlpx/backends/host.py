"""The host's side of the seam: NumPy's namespace, and the random numbers that every backend shares.

All randomness comes from one counter-based generator, Philox4x64-10 [1]_, read as raw 64-bit words through
`numpy.random.Philox`. A stream is named, not remembered: key ``(seed, purpose * 2**32 + member)``, counter
``(block, layer, step or epoch, 0)``, so that draws do not depend on what was drawn before, nor on the backend, nor on
the other members of a stack. NumPy raises the block before its first output, so a stream starts with block 1.

Rules by which words become numbers:

- uniform in [0, 1): the upper 53 bits, ``(word >> 11) * 2**-53``;
- normal: Box and Muller. For ``n`` numbers take ``m = ceil(n / 2)`` uniforms ``u`` and then ``m`` uniforms ``v``; with
  ``r = sqrt(-2 log(1 - u))`` the numbers are the ``m`` of ``r cos(2 pi v)``, then those of ``r sin(2 pi v)``;
- permutation of ``n``: the positions of ``n`` words in ascending order;
- dropout: element ``j`` of a row-major array uses the 16-bit lane ``j mod 4``, lowest first, of word ``j // 4``, and is
  kept, and multiplied by ``65536 / (65536 - round(65536 * rate))`` or the layer's own scale, where
  ``lane >= round(65536 * rate)``.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import array_api_compat.numpy
import numpy as np

from mlpx._typing import Array, Namespace

__all__ = ["PURPOSES", "Key", "StepKeys", "Stream", "dropout_mask", "lanes", "permutations", "scatter", "words", "xp"]

xp: Namespace = array_api_compat.numpy
"""The host's functions, as the Array API standard names them."""

PURPOSES = {"weights": 0, "shuffle": 1, "dropout": 2, "split": 3}
"""What a stream is drawn for: the upper half of the second word of its key."""


class Key(NamedTuple):
    """What tells the draws of one network from those of another."""

    seed: int
    member: int = 0


class StepKeys(NamedTuple):
    """Whose random numbers a step draws: positions in the stack, keys, and the step of each member."""

    members: Sequence[int]
    keys: Sequence[Key]
    steps: Sequence[int]


class Stream:
    """Random numbers for one key, purpose, layer and step.

    Parameters
    ----------
    key : Key
        Seed and member.
    purpose : {"weights", "shuffle", "dropout", "split"}
        What the numbers are for.
    layer : int
        Position of the layer in the network.
    step : int
        Step or epoch.

    Examples
    --------
    >>> Stream(Key(0), "weights").uniform((2,)).shape
    (2,)
    """

    xp: Namespace = xp

    def __init__(self, key: Key, purpose: str, layer: int = 0, step: int = 0) -> None:
        words = np.array([key.seed, (PURPOSES[purpose] << 32) + key.member], dtype=np.uint64)
        counter = np.array([0, layer, step, 0], dtype=np.uint64)
        self._bits = np.random.Philox(key=words, counter=counter)

    def words(self, n: int) -> Array:
        """Return the next `n` raw words, shape ``(n,)``, uint64."""
        return self._bits.random_raw(n)

    def uniform(self, shape: tuple[int, ...]) -> Array:
        """Return float64 numbers, uniform in [0, 1)."""
        return np.reshape((self.words(math.prod(shape)) >> np.uint64(11)) * 2.0**-53, shape)

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Return float64 numbers of mean 0 and variance 1."""
        n = math.prod(shape)
        half = (n + 1) // 2
        radius = np.sqrt(-2 * np.log1p(-self.uniform((half,))))
        angle = 2 * np.pi * self.uniform((half,))
        return np.reshape(np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:n], shape)


def scatter(values: Array, index: Array, size: int, fill: float = 0) -> Array:
    """Return an array of shape ``(..., size)`` with `values` at the positions `index` and `fill` elsewhere."""
    full = np.full((*values.shape[:-1], size), fill, dtype=np.result_type(values, fill))
    full[..., index] = values
    return full


def words(keys: Sequence[Key], purpose: str, layer: int, steps: Sequence[int], n: int) -> Array:
    """Return the first `n` words of a stream for each key and step, shape ``(S, n)``, uint64.

    The same words as those of a `Stream` for each; one generator is moved from stream to stream, since making one takes
    six times as long.
    """
    found = np.empty((len(keys), n), dtype=np.uint64)
    bits = np.random.Philox(0)
    state = bits.state | {"buffer_pos": 4}
    inner = state["state"]
    for own, key, step in zip(found, keys, steps, strict=True):
        inner["counter"][1], inner["counter"][2] = layer, step
        inner["key"][0], inner["key"][1] = key.seed, (PURPOSES[purpose] << 32) + key.member
        bits.state = state
        own[:] = bits.random_raw(n)
    return found


def permutations(keys: Sequence[Key], purpose: str, steps: Sequence[int], n: int) -> Array:
    """Return the numbers 0 to `n` - 1 in a random order for each key and step, shape ``(S, n)``, int64."""
    return np.argsort(words(keys, purpose, 0, steps, n), axis=-1)


def lanes(keys: Sequence[Key], layer: int, steps: Sequence[int], n: int) -> Array:
    """Return the `n` 16-bit lanes of each member that dropout compares with its threshold, shape ``(S, n)``, uint16."""
    drawn = words(keys, "dropout", layer, steps, -(-n // 4))
    return drawn.astype("<u8", copy=False).view("<u2")[:, :n]


def dropout_mask(
    keys: Sequence[Key],
    layer: int,
    steps: Sequence[int],
    shape: tuple[int, ...],
    thresholds: Sequence[int],
    scales: Sequence[float],
) -> Array:
    """Return the factors of dropout: 0 where an element is dropped, else the scale.

    Parameters
    ----------
    keys, steps, thresholds, scales : sequence
        One of each a member.
    layer : int
        Position of the dropout layer in the network.
    shape : tuple of int
        Rows and units of one member, ``(N, M)``.

    Returns
    -------
    array of shape (S, N, M), float64
    """
    kept = lanes(keys, layer, steps, math.prod(shape)) >= np.array(thresholds, dtype=np.uint16)[:, None]
    return np.reshape(kept * np.array(scales)[:, None], (len(keys), *shape))
