"""The data's edge: features, targets, labels and weights of any library are checked here, once, and taken in.

After this the algorithm meets nothing but arrays of its own backend: features ``(N, M)`` or ``(S, N, M)`` and targets
``(N, K)``, ``(S, N, K)`` in the network's type, or integer class indices ``(N,)``, ``(S, N)``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mlpx._checks import check_number
from mlpx._typing import Array, DType
from mlpx.backends import Backend, library_of, make_backend, to_numpy
from mlpx.backends.gathering import HostRows, is_mapped
from mlpx.output import Output

__all__ = ["Targets", "class_weights", "features", "like", "sample_weights", "smooth", "targets"]


class Targets(NamedTuple):
    """Targets on the device, and the labels that they stand for."""

    y: Array
    classes: tuple[Any, ...] | None


def features(
    X: Any,
    ops: Backend,
    dtype: DType,
    width: int,
    members: int | None,
    name: str = "X",
    *,
    may_stay: bool = False,
    beside: Any = None,
    finite: bool = False,
) -> Any:
    """Return features as an array of the backend, checked; or as `HostRows`, where they stay on the host.

    Parameters
    ----------
    X : array, table or nested sequence of shape (N, M), with a stack also (S, N, M)
        Real numbers; `HostRows`, whose maker has checked them, stay what they are.
    ops : Backend
        Where they go.
    dtype : dtype
        The network's type.
    width : int
        M, the number of units of the input.
    members : int, optional
        S.
    name : str
        What errors call it.
    may_stay : bool
        Whether they may stay on the host: those in a mapped file do, and those for which the device is too small.
    beside : array, optional
        Targets; where there are more of them than of features, they decide as well.
    finite : bool
        Whether the numbers are known to be finite; those that are cast are looked at all the same.

    Raises
    ------
    TypeError
        For what is no array of real numbers.
    ValueError
        For a wrong shape, no rows, NaN or infinity.
    """
    raw = X if isinstance(X, HostRows) else _array(X, name)
    shape = tuple(raw.shape)
    rule = f"(n_samples, {width})" + (f" or ({members}, n_samples, {width})" if members is not None else "")
    stacked = members is not None and len(shape) == 3 and shape[0] == members
    if not (len(shape) == 2 or stacked) or shape[-1] != width:
        hint = f" For one sample use `{name}` in double brackets or reshape(1, -1)." if len(shape) == 1 else ""
        if hint and is_mapped(raw) and shape[0] % width == 0:
            hint = f" For a memmap give shape=({shape[0] // width}, {width})."
        msg = f"`{name}` must have the shape {rule}, got {shape}.{hint}"
        raise ValueError(msg)
    if 0 in shape:
        msg = f"`{name}` must hold at least one sample, got the shape {shape}."
        raise ValueError(msg)
    if isinstance(raw, HostRows):
        return replace(raw, dtype=ops.host_dtype(dtype))
    many = isinstance(beside, np.ndarray) and beside.size > math.prod(shape)
    if may_stay and (_stays(raw, ops, dtype) or (many and _stays(beside, ops, dtype))):
        return _host_rows(to_numpy(raw), ops.host_dtype(dtype), len(shape) == 3, name)
    array = _numbers(raw, ops, dtype, name)
    if finite and type(array) is type(raw) and array.dtype == raw.dtype:
        return array
    return _finite(array, ops, name)


def _stays(raw: Any, ops: Backend, dtype: DType) -> bool:
    """Say whether an array stays on the host."""
    if not isinstance(raw, np.ndarray):
        return False
    if is_mapped(raw):
        return True
    # in its own type, in the network's, and what says of each number whether it is finite
    return not ops.fits(raw.nbytes + raw.size * (1 + _cast_bytes(raw, ops, dtype)))


def _cast_bytes(raw: Array, ops: Backend, dtype: DType) -> int:
    """Return what each number needs again where it is cast on the device."""
    if "float16" in str(dtype):  # bfloat16 has a type on the host only with ml_dtypes, which is not needed here
        return 2
    wanted = ops.host_dtype(dtype)
    return 0 if raw.dtype == wanted else int(wanted.itemsize)


def _host_rows(raw: Array, dtype: np.dtype[Any], own: bool, name: str, check: Callable[..., None] | None = None) -> Any:
    """Return rows that stay on the host, checked piece by piece."""
    _check_real(raw, name)
    rows = HostRows(raw, dtype, own)
    bad, first = 0, ""
    if raw.dtype.kind == "f" or dtype == np.float16:  # which whole numbers may be too large for
        for place, piece in rows.chunks():
            good = np.isfinite(piece)
            if not good.all():
                where = np.argwhere(~good)
                *members, start = place
                first = first or ", ".join(map(str, (*members, start + where[0, 0], *where[0, 1:])))
                bad += len(where)
    if bad:
        raise ValueError(_not_finite(name, bad, first, dtype))
    if check is not None:
        for _, piece in rows.chunks():
            check(piece)
    return rows


def _array(x: Any, name: str) -> Any:
    """Return an array of some library."""
    if x is None:
        msg = f"`{name}` must be an array, got None."
        raise TypeError(msg)
    if isinstance(x, (str, bytes, os.PathLike)):
        msg = f"`{name}` must be an array, got the text {x!r}. Open a file of numbers with numpy.load or numpy.memmap."
        raise TypeError(msg)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        msg = f"`{name}` has masked values; fill them first, for example with {name}.filled(0)."
        raise ValueError(msg)
    if hasattr(x, "toarray") or getattr(x, "is_sparse", False):
        msg = f"`{name}` must be dense, got a sparse {type(x).__name__}; give its toarray() or to_dense()."
        raise TypeError(msg)
    if library_of(x) not in (None, library_of(np.empty(0))):
        return x
    try:
        array = _columns(x, np.asarray(x))
        return array if is_mapped(array) else _native(array)
    except (ValueError, TypeError) as error:
        msg = f"`{name}` must be an array of numbers; it cannot be made one ({error})."
        raise ValueError(msg) from error


def _columns(x: Any, array: Array) -> Array:
    """Return a pandas table as numbers where each of its columns is: different types make objects of the whole."""
    if array.dtype.kind != "O" or array.ndim != 2 or not hasattr(x, "iloc"):
        return array
    columns = [np.asarray(x.iloc[:, i]) for i in range(array.shape[1])]
    return np.column_stack(columns) if all(column.dtype.kind in "biuf" for column in columns) else array


def _native(array: Array) -> Array:
    """Return numbers in a type that every library has: native byte order, neither half nor extended precision."""
    if array.dtype in (np.float32, np.float64) and array.dtype.isnative:
        return array
    if "float16" in array.dtype.name:  # bfloat16, as other packages give it to NumPy, among them
        return array.astype(np.float32)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _numbers(raw: Any, ops: Backend, dtype: DType, name: str) -> Array:
    """Return an array of the backend in the network's type; refuse what is not real."""
    if isinstance(raw, np.ndarray):
        _check_real(raw, name)
    array = _taken_in(raw, ops, name)
    if not isinstance(raw, np.ndarray) and "complex" in str(array.dtype):
        msg = f"`{name}` must hold real numbers, got complex numbers (dtype {array.dtype})."
        raise TypeError(msg)
    return ops.xp.astype(array, dtype, copy=False)


def _check_real(raw: Array, name: str) -> None:
    if raw.dtype.kind not in "biuf":
        what = {"O": "objects", "c": "complex numbers", "U": "text", "S": "text"}.get(raw.dtype.kind, "no numbers")
        msg = f"`{name}` must hold real numbers, got {what} (dtype {raw.dtype}). Convert it, for example to float."
        raise TypeError(msg)


def _taken_in(raw: Any, ops: Backend, name: str) -> Array:
    """Return an array of the backend."""
    try:
        own = type(ops).owns(raw) or isinstance(raw, np.ndarray)
        raw = _native(raw) if isinstance(raw, np.ndarray) else raw
        return ops.asarray(raw) if own else ops.from_foreign(raw)
    except TypeError as error:
        msg = f"`{name}` of dtype {raw.dtype} cannot be taken in by {ops.name}; convert it to float32 ({error})."
        raise TypeError(msg) from error


def _finite(array: Array, ops: Backend, name: str) -> Array:
    good = ops.xp.isfinite(array)
    if not bool(ops.xp.all(good)):
        bad = np.argwhere(~to_numpy(good))
        raise ValueError(_not_finite(name, len(bad), ", ".join(map(str, bad[0])), array.dtype))
    return array


def _not_finite(name: str, count: int, first: str, dtype: Any) -> str:
    return (
        f"`{name}` must be finite, but {count} of its numbers are NaN, infinite or too large for "
        f"{str(dtype).rpartition('.')[2]}; "
        f"the first at [{first}]. Impute or drop them."
    )


def targets(
    y: Any,
    ops: Backend,
    dtype: DType,
    output: Output,
    features: Array,
    members: int | None,
    classes: tuple[Any, ...] | None = None,
    *,
    learn: bool = False,
    name: str = "y",
) -> Targets:
    """Return targets as an array of the backend, checked; labels become class indices.

    Where the features stayed on the host, the targets do too: they are `HostRows` then.

    Parameters
    ----------
    y : array, table or sequence
        As `mlpx.Network.fit` takes it.
    ops : Backend
        Where they go.
    dtype : dtype
        The network's type.
    output : Output
        Activation and loss.
    features : array
        The features that belong to it, already taken in.
    members : int, optional
        Size of the stack.
    classes : tuple, optional
        The labels that the network knows.
    learn : bool
        Whether labels that are not known yet are taken on.
    name : str
        What errors call it.
    """
    raw = _array(y, name)
    if raw.ndim == 0:
        msg = f"`{name}` must hold one target a sample, got {y!r}."
        raise ValueError(msg)
    if isinstance(features, HostRows):
        ops, dtype = make_backend("numpy"), ops.host_dtype(dtype)
    if raw.ndim == 2 and raw.shape[1] == 1 and features.ndim == 2 and output.task in ("classes", "binary"):
        raw = raw[:, 0]  # a column of a table
    if output.task in ("classes", "binary") and _are_labels(raw, output, classes, by_member=features.ndim == 3):
        labels = to_numpy(raw)
        _check_rows(labels.shape, features, members, name)
        if classes is None and learn:
            classes = _learn_classes(labels, output, name)
        array = ops.asarray(_encode(labels, classes, name))
        if output.loss.name != "cross_entropy":
            array = _one_hot(array, output, ops, dtype)
        return Targets(_beside(array, features, labels.ndim == 2), classes)
    if _are_indices(raw, output):
        _check_rows(tuple(raw.shape), features, members, name)
        return Targets(_beside(_indices(raw, ops, output, name), features, raw.ndim == 2), None)
    return Targets(_values(raw, ops, dtype, output, features, members, name), None)


def _beside(y: Array, features: Any, own: bool) -> Any:
    """Return targets as what their features are."""
    return HostRows(y, y.dtype, own) if isinstance(features, HostRows) else y


def _kind(raw: Any) -> str:
    """Return the kind of type: "b", "i", "f", or "O" for anything else."""
    if isinstance(raw, np.ndarray):
        return {"u": "i"}.get(raw.dtype.kind, raw.dtype.kind if raw.dtype.kind in "bif" else "O")
    name = str(raw.dtype)
    return "b" if "bool" in name else "i" if "int" in name else "f"


def _are_labels(raw: Any, output: Output, classes: tuple[Any, ...] | None, *, by_member: bool) -> bool:
    kind = _kind(raw)
    flat = raw.ndim == 1 or (by_member and raw.ndim == 2)
    if kind == "O" or (kind == "b" and (flat or raw.shape[-1] != output.units)):
        return True
    if not flat:
        return False
    if output.loss.name in ("binary_cross_entropy", "perceptron") and classes is None:
        found = np.unique(to_numpy(raw))
        whole = np.all(found == np.floor(found))
        return len(found) == 2 and bool(whole and np.any((found < 0) | (found > 1)))
    return classes is not None or (output.task == "classes" and kind == "f" and raw.ndim == 1)


def _are_indices(raw: Any, output: Output) -> bool:
    return (
        output.loss.name == "cross_entropy" and _kind(raw) == "i" and (raw.ndim == 1 or raw.shape[-1] != output.units)
    )


def _learn_classes(labels: Array, output: Output, name: str) -> tuple[Any, ...]:
    try:
        found = np.unique(labels)
    except TypeError as error:
        msg = f"`{name}` must hold labels of one type that can be sorted ({error})."
        raise TypeError(msg) from error
    if not all(isinstance(label, (str, int, float)) for label in found.tolist()):
        msg = f"`{name}` must hold labels that are text, integers, floats or booleans, got {_listing(found.tolist())}."
        raise TypeError(msg)
    if found.dtype.kind == "f" and not np.all(np.isfinite(found)):
        msg = f"`{name}` must be finite, but it holds NaN or infinity. Drop those samples."
        raise ValueError(msg)
    expected = max(output.units, 2)
    if len(found) != expected:
        msg = (
            f"`{name}` must hold {expected} different labels, one a class of the output, got {len(found)}: "
            f"{_listing(found.tolist())}."
        )
        raise ValueError(msg)
    return tuple(found.tolist())


def _listing(values: Sequence[Any]) -> str:
    shown = ", ".join(repr(getattr(v, "item", lambda v=v: v)())[:60] for v in values[:5])
    return shown + (", …" if len(values) > 5 else "")


def _encode(labels: Array, classes: tuple[Any, ...] | None, name: str) -> Array:
    if classes is None:
        msg = f"`{name}` holds labels, but the network has not been fitted to labels; give class indices or fit first."
        raise ValueError(msg)
    code = {label: i for i, label in enumerate(classes)}
    flat = labels.reshape(-1).tolist()
    unknown = sorted({repr(label) for label in flat if label not in code})
    if unknown:
        came = ", ".join(label[:60] for label in unknown[:5])
        msg = f"`{name}` must hold labels that the network knows ({_listing(classes)}); got {came}."
        raise ValueError(msg)
    return np.asarray([code[label] for label in flat], dtype=np.int64).reshape(labels.shape)


def _one_hot(index: Array, output: Output, ops: Backend, dtype: DType) -> Array:
    if output.units == 1:
        return ops.xp.astype(index, dtype)[..., None]
    classes = ops.xp.arange(output.units, dtype=index.dtype, device=ops.device)
    return ops.xp.astype(index[..., None] == classes, dtype)


def _indices(raw: Any, ops: Backend, output: Output, name: str) -> Array:
    array = ops.xp.astype(_taken_in(raw, ops, name), ops.xp.int64)
    low, high = int(ops.xp.min(array)), int(ops.xp.max(array))
    if low < 0 or high >= output.units:
        msg = (
            f"`{name}` must hold class indices from 0 to {output.units - 1}, as the output has {output.units} units; "
            f"got {low} to {high}. Give other labels as text, or make the output larger."
        )
        raise ValueError(msg)
    return array


def _values(
    raw: Any, ops: Backend, dtype: DType, output: Output, features: Array, members: int | None, name: str
) -> Array:
    array = to_numpy(raw) if isinstance(features, HostRows) else _numbers(raw, ops, dtype, name)
    n, units = features.shape[-2], output.units
    one_a_row = array.ndim == 1 or (array.ndim == 2 and features.ndim == 3 and tuple(array.shape) == (members, n))
    if units == 1 and one_a_row:
        array = array[..., None]
    shape = tuple(array.shape)
    if shape not in ((n, units), (members, n, units)):
        also = " or (n_samples,)" if units == 1 else ""
        kind = _kind(raw)
        hint = " Class indices need the loss 'cross_entropy'." if output.task == "classes" and kind == "i" else ""
        if hint and output.loss.name == "cross_entropy":
            hint = " Class indices must be one-dimensional."
        msg = f"`{name}` must have the shape ({n}, {units}){also}, got {tuple(raw.shape)}.{hint}"
        raise ValueError(msg)
    try:
        if isinstance(features, HostRows):
            return _host_rows(array, dtype, array.ndim == 3, name, lambda y: output.loss.check_targets(y, ops.xp))
        array = _finite(array, ops, name)
        output.loss.check_targets(array, ops.xp)
    except ValueError as error:
        raise ValueError(str(error).replace("`y`", f"`{name}`")) from None
    return array


def _check_rows(shape: tuple[int, ...], features: Array, members: int | None, name: str) -> None:
    n = features.shape[-2]
    by_member = features.ndim == 3 and shape == (members, n)
    if shape != (n,) and not by_member:
        msg = f"`{name}` must hold one label for each of the {n} samples, got the shape {shape}."
        raise ValueError(msg)


def smooth(y: Array, smoothing: float, ops: Backend, dtype: DType, output: Output) -> tuple[Array, Array]:
    """Return targets with label smoothing, ``(1 - e) y + e / K``, for sigmoids ``(1 - e) y + e / 2``, and without."""
    if output.activation.name not in ("softmax", "logistic"):
        msg = f"`label_smoothing` needs a softmax or sigmoid output, got {output.activation.name!r}."
        raise ValueError(msg)
    if isinstance(y, HostRows):
        return _smooth_on_the_host(y, smoothing, output, ops.host_dtype(dtype))
    if ops.xp.isdtype(y.dtype, "integral"):
        y = _one_hot(y, output, ops, dtype)
    return (1 - smoothing) * y + smoothing / (output.units if output.task == "classes" else 2), y


def _smooth_on_the_host(y: HostRows, smoothing: float, output: Output, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Do the same to rows that stay on the host, when they are gathered."""
    ops = make_backend("numpy")

    def of(which: int) -> HostRows:
        return y.converted(lambda rows: smooth(rows, smoothing, ops, dtype, output)[which], dtype, (output.units,))

    return of(0), of(1)


def sample_weights(weight: Any, n: int, members: int | None, name: str = "sample_weight") -> Array | None:
    """Return weights of samples as a host array in float64, shape (N,) or (S, N); None stays None."""
    if weight is None:
        return None
    raw = to_numpy(_array(weight, name))
    if raw.dtype.kind not in "biuf":
        msg = f"`{name}` must hold real numbers, got dtype {raw.dtype}."
        raise TypeError(msg)
    array = raw.astype(np.float64)
    if array.shape not in ((n,), (members, n)):
        msg = f"`{name}` must hold one weight for each of the {n} samples, got the shape {array.shape}."
        raise ValueError(msg)
    if not (np.all(np.isfinite(array)) and np.all(array >= 0)):
        msg = f"`{name}` must be finite and at least 0; the smallest is {np.min(array)}."
        raise ValueError(msg)
    if not np.all(np.isfinite(np.sum(array, axis=-1))):
        msg = f"`{name}` must have a finite sum; the largest is {np.max(array)}. Divide all weights by it."
        raise ValueError(msg)
    if not np.all(np.any(array > 0, axis=-1)):
        msg = f"`{name}` must be above 0 for at least one sample; all are 0."
        raise ValueError(msg)
    return array


def class_weights(
    class_weight: Mapping[Any, float] | str | None,
    y: Array,
    output: Output,
    classes: tuple[Any, ...] | None,
    rows: Sequence[Array],
) -> Array | None:
    """Return the weight of each sample by its class, as a host array of shape (N,) or (S, N).

    Parameters
    ----------
    class_weight : dict or "balanced" or None
        Weight by label (or class index); ``"balanced"`` is n / (K n_c) over the training rows.
    y : array
        Targets, taken in.
    output : Output
        Activation and loss.
    classes : tuple, optional
        The labels.
    rows : sequence of integer array
        Training rows, of each member or of all.
    """
    if class_weight is None:
        return None
    if output.task not in ("classes", "binary"):
        msg = f"`class_weight` needs a softmax output, or one sigmoid or step unit, got {output.activation.name!r}."
        raise ValueError(msg)
    if isinstance(y, HostRows):
        index = y.by_row(lambda rows: _class_index(rows, output))
    else:
        index = _class_index(to_numpy(y), output)
    count = max(output.units, 2)
    if isinstance(class_weight, str) and class_weight == "balanced":
        own_rows = list(rows) * (len(index) if index.ndim == 2 and len(rows) == 1 else 1)
        by_member = [_balanced((index if index.ndim == 1 else index[s])[r], count) for s, r in enumerate(own_rows)]
    else:
        by_member = [_class_table(class_weight, count, classes)]
    tables = np.stack(by_member)
    weights = np.stack([table[(index if index.ndim == 1 else index[s]).astype(np.int64)]
                        for s, table in _pairs(tables, index)])  # fmt: skip
    return weights[0] if len(weights) == 1 and index.ndim == 1 else weights


def _class_index(y: Array, output: Output) -> Array:
    """Return the class of each row."""
    if y.dtype.kind != "f":
        return y
    found: Array = y[..., 0] if output.units == 1 else np.argmax(y, axis=-1)
    return found


def _pairs(tables: Array, index: Array) -> list[tuple[int, Array]]:
    count = max(len(tables), 1 if index.ndim == 1 else len(index))
    return [(s, tables[s if len(tables) > 1 else 0]) for s in range(count)]


def _balanced(index: Array, count: int) -> Array:
    n_c = np.bincount(index.astype(np.int64), minlength=count)
    return len(index) / (count * np.maximum(n_c, 1))


def _class_table(class_weight: Any, count: int, classes: tuple[Any, ...] | None) -> Array:
    known = list(classes if classes is not None else range(count))
    if not isinstance(class_weight, Mapping):
        msg = f'`class_weight` must be a dict from label to weight or "balanced", got {class_weight!r}.'
        raise TypeError(msg)
    for label, weight in class_weight.items():
        if label not in known:
            msg = f"`class_weight` must name known classes ({_listing(known)}), got {label!r}."
            raise ValueError(msg)
        check_number(f"class_weight[{label!r}]", weight, least=0)
    return np.asarray([class_weight.get(label, 1.0) for label in known], dtype=np.float64)


def like(result: Array, ops: Backend, original: Any) -> Array:
    """Return a result in the library, and on the device, of what the user gave; NumPy for lists and tables."""
    cls = library_of(original)
    if cls is None or cls is library_of(np.empty(0)):
        return np.require(ops.to_numpy(result), requirements="W")  # JAX's memory may not be written to
    if cls is type(ops) and ops.array_device(original) == ops.device_name:
        return result
    target = make_backend(cls.name)
    target = make_backend(cls.name, target.array_device(original))
    with target.context():
        return target.from_foreign(result) if cls is not type(ops) else target.asarray(result)


def decode(index: Array, classes: tuple[Any, ...]) -> Array:
    """Return the labels of class indices, as a NumPy array."""
    table = np.asarray(classes)
    if table.dtype.kind not in "biufU" or len({type(label) for label in classes}) > 1:
        table = np.empty(len(classes), dtype=object)
        table[:] = classes
    return table[index]
