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

Where a device draws for itself, six words for each member and step name what dropout draws there (`dropout_words`). Its
kernel makes the integer steps that `philox` and `dropout_bits` make here, word for word.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import array_api_compat.numpy
import numpy as np

from mlpx._typing import Array, DType, Namespace
from mlpx.exceptions import BackendUnavailableError

__all__ = [
    "PURPOSES",
    "Key",
    "StepKeys",
    "Stream",
    "bfloat16",
    "dropout_bits",
    "dropout_factors",
    "dropout_mask",
    "dropout_words",
    "lanes",
    "permutations",
    "philox",
    "scatter",
    "words",
    "xp",
]

xp: Namespace = array_api_compat.numpy
"""The host's functions, as the Array API standard names them."""

PURPOSES = {"weights": 0, "shuffle": 1, "dropout": 2, "split": 3, "blocks": 4}
"""What a stream is drawn for: the upper half of the second word of its key."""

_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_INCREMENTS = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_HALF, _LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)


class Key(NamedTuple):
    """What tells the draws of one network from those of another."""

    seed: int
    member: int = 0


class StepKeys(NamedTuple):
    """Whose random numbers are drawn: positions in the stack, keys, and the step of each member.

    The steps of a whole run of them have the shape ``(n, S)``; what is drawn has the axis of steps in front then.
    """

    members: Sequence[int]
    keys: Sequence[Key]
    steps: Sequence[int] | Array


class Stream:
    """Random numbers for one key, purpose, layer and step.

    Parameters
    ----------
    key : Key
        Seed and member.
    purpose : {"weights", "shuffle", "dropout", "split", "blocks"}
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
        self._key = key.seed, (PURPOSES[purpose] << 32) + key.member
        self._counter = 0, layer, step, 0
        self._names = key, purpose, layer, step

    @cached_property
    def _bits(self) -> Any:
        """What generates the words; made when the first is asked for, since weights of zero need none."""
        key, counter = (np.array(words, dtype=np.uint64) for words in (self._key, self._counter))
        return np.random.Philox(key=key, counter=counter)

    def at(self, position: int) -> "Stream":
        """Return the stream of the layer that stands so many positions further."""
        key, purpose, layer, step = self._names
        return Stream(key, purpose, layer + position, step)

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


def bfloat16() -> Any:
    """Return NumPy's type for bfloat16, which the library ml_dtypes brings."""
    try:
        from ml_dtypes import bfloat16 as found
    except ImportError as error:
        msg = (
            'bfloat16 on the backend "cupy", and everywhere for rows that stay on the host (numpy.memmap), needs the '
            "library ml_dtypes: pip install ml_dtypes"
        )
        raise BackendUnavailableError(msg) from error
    return np.dtype(found)


def scatter(values: Array, index: Array, size: int, fill: float = 0) -> Array:
    """Return an array of shape ``(..., size)`` with `values` at the positions `index` and `fill` elsewhere."""
    full = np.full((*values.shape[:-1], size), fill, dtype=np.result_type(values, fill))
    full[..., index] = values
    return full


def words(keys: Sequence[Key], purpose: str, layer: int, steps: Sequence[int] | Array, n: int) -> Array:
    """Return the first `n` words of a stream for each key and step, uint64.

    `steps` has the shape ``(..., S)``, with a key for each entry of its last axis; the words have ``(..., S, n)``. They
    are those of a `Stream` for each; one generator is moved from stream to stream, since making one takes six times as
    long.
    """
    counted = np.asarray(steps)
    found = np.empty((counted.size, n), dtype=np.uint64)
    bits = np.random.Philox(0)
    state = bits.state | {"buffer_pos": 4}
    inner = state["state"]
    for own, key, step in zip(found, [*keys] * (counted.size // len(keys)), counted.flat, strict=True):
        inner["counter"][1], inner["counter"][2] = layer, step
        inner["key"][0], inner["key"][1] = key.seed, (PURPOSES[purpose] << 32) + key.member
        bits.state = state
        own[:] = bits.random_raw(n)
    return np.reshape(found, (*counted.shape, n))


def permutations(keys: Sequence[Key], purpose: str, steps: Sequence[int], n: int, layer: int = 0) -> Array:
    """Return the numbers 0 to `n` - 1 in a random order for each key and step, shape ``(S, n)``, int64."""
    return np.argsort(words(keys, purpose, layer, steps, n), axis=-1)


def lanes(keys: Sequence[Key], layer: int, steps: Sequence[int] | Array, n: int) -> Array:
    """Return the `n` 16-bit lanes that dropout compares with its threshold, shape ``(..., S, n)``, uint16."""
    return _lanes(words(keys, "dropout", layer, steps, -(-n // 4)))[..., :n]


def _lanes(drawn: Array) -> Array:
    """Return each word as its four lanes, lowest first."""
    return drawn.astype("<u8", copy=False).view("<u2")


def dropout_mask(
    keys: Sequence[Key],
    layer: int,
    steps: Sequence[int] | Array,
    shape: tuple[int, ...],
    thresholds: Sequence[int],
    scales: Sequence[float],
    dtype: DType = np.float64,
) -> Array:
    """Return the factors of dropout: 0 where an element is dropped, else the scale.

    Parameters
    ----------
    keys, thresholds, scales : sequence
        One of each a member.
    layer : int
        Position of the dropout layer in the network.
    steps : array of shape (..., S)
        The step of each member, with any axes in front.
    shape : tuple of int
        Rows and units of one member, ``(N, M)``.
    dtype : dtype
        A floating-point type of NumPy.

    Returns
    -------
    array of shape (..., S, N, M)
    """
    kept = lanes(keys, layer, steps, math.prod(shape)) >= np.array(thresholds, dtype=np.uint16)[:, None]
    return np.reshape(kept * np.array(scales, dtype=dtype)[:, None], (*kept.shape[:-1], *shape))


# The same where the device draws: words are handed over, and integer steps make the factors from them.


def dropout_words(
    keys: Sequence[Key],
    layer: int,
    steps: Sequence[int] | Array,
    thresholds: Sequence[int],
    scales: Sequence[float],
) -> Array:
    """Return the words that name what dropout draws.

    Parameters
    ----------
    keys, layer, steps, thresholds, scales
        As for `dropout_mask`.

    Returns
    -------
    array of shape (..., S, 6), uint64
        The two words of the key, layer, step, threshold, and the bits of the scale as a float64.
    """
    counted = np.asarray(steps)
    draw = np.empty((*counted.shape, 6), dtype=np.uint64)
    draw[..., 0] = np.array([key.seed for key in keys], dtype=np.uint64)
    draw[..., 1] = [(PURPOSES["dropout"] << 32) + key.member for key in keys]
    draw[..., 2] = layer
    draw[..., 3] = counted
    draw[..., 4] = thresholds
    draw[..., 5] = np.array(scales, dtype=np.float64).view(np.uint64)
    return draw


def philox(key: Sequence[Array], counter: Sequence[Array]) -> Array:
    """Return the blocks of Philox4x64-10 for some keys and counters, by steps on 64-bit integers alone.

    Parameters
    ----------
    key, counter : two and four arrays of uint64
        Their words; they are broadcast against each other.

    Returns
    -------
    array of shape (..., 4), uint64
    """
    key_0, key_1 = key
    a, b, c, d = counter
    for _ in range(_ROUNDS):
        (high_0, low_0), (high_1, low_1) = _product(a, _MULTIPLIERS[0]), _product(c, _MULTIPLIERS[1])
        a, b, c, d = high_1 ^ b ^ key_0, low_1, high_0 ^ d ^ key_1, low_0
        key_0, key_1 = key_0 + _INCREMENTS[0], key_1 + _INCREMENTS[1]
    return np.stack(np.broadcast_arrays(a, b, c, d), axis=-1)


def _product(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the upper and the lower word of the 128 bits of a product, from products of halves of words."""
    x_high, x_low, y_high, y_low = x >> _HALF, x & _LOWER, y >> _HALF, y & _LOWER
    # neither sum exceeds 64 bits: (2**32 - 1)**2 + 2 * (2**32 - 1) = 2**64 - 1
    first = x_high * y_low + (x_low * y_low >> _HALF)
    second = x_low * y_high + (first & _LOWER)
    return x_high * y_high + (first >> _HALF) + (second >> _HALF), x * y


def dropout_bits(draw: Array, groups: int) -> Array:
    """Return for each element whether it is kept, 16 elements in the bits of a number, the first in the lowest.

    Parameters
    ----------
    draw : array of shape (..., 6), uint64
        What `dropout_words` gives.
    groups : int
        How many groups of 16 elements are drawn, a block of the generator for each.

    Returns
    -------
    array of shape (..., groups), uint16
    """
    key_0, key_1, layer, step, threshold = (draw[..., i, None] for i in range(5))
    block = np.arange(1, groups + 1, dtype=np.uint64)
    drawn = _lanes(philox((key_0, key_1), (block, layer, step, np.zeros_like(step))))
    packed = np.packbits(drawn >= threshold[..., None], axis=-1, bitorder="little")
    return packed.view("<u2")[..., 0].astype(np.uint16)


def dropout_factors(bits: Array, draw: Array, shape: tuple[int, ...], dtype: DType, xp: Namespace) -> Array:
    """Return the factors of dropout from the bits and the words: what `dropout_mask` gives for these.

    Parameters
    ----------
    bits : array of shape (..., ceil(N M / 16)), uint16
        What `dropout_bits` gives.
    draw : array of shape (..., 6), uint64
        What `dropout_words` gives.
    shape : tuple of int
        Rows and units of one member, ``(N, M)``.
    dtype : dtype
        Type of the factors.
    xp : namespace
        Functions of NumPy, or of a library whose arrays have its method `view`.

    Returns
    -------
    array of shape (..., N, M)
    """
    stack = bits.shape[:-1]
    kept = (bits[..., None] >> xp.arange(16, dtype=bits.dtype)) & 1
    kept = xp.reshape(kept, (*stack, -1))[..., : math.prod(shape)]
    scale = xp.astype(draw[..., 5:].view(xp.float64), dtype)
    return xp.reshape(xp.astype(kept, dtype) * scale, (*stack, *shape))
