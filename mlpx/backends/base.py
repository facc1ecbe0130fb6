"""The seam between the algorithm and the array libraries.

`Backend` holds the primitives of back-propagation, named after the mathematics. Each stands here once in plain Array
API functions, so that a new library works as soon as it has a namespace; a subclass may override a primitive to be
faster, never to compute something else. Arrays carry any number of leading stack axes; the formulas act on the last
two. Arguments are never changed; `out` is a hint, and what is returned counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, TypeVar

from mlpx._typing import Array, Device, DType, Formula, Namespace
from mlpx.backends import host, trees
from mlpx.backends.host import Key
from mlpx.backends.staging import Transfers

F = TypeVar("F", bound=Callable[..., Any])


class Backend:
    """An array library on a device, and the primitives of back-propagation on it.

    Attributes
    ----------
    name : str
        The name by which it is chosen.
    flops : float
        Floating-point operations that the device makes in some tenths of a second, in round numbers: so much work is
        handed to it at once.
    draws_in_step : bool
        Whether the device draws random numbers in the step, so that the host only names them.
    xp : namespace
        The library's functions as the Array API standard names them.
    device : object
        The library's own device object.
    device_name : str
        The device in words, such as ``"cpu"`` or ``"cuda:0"``.
    version : str
        The library's version.
    precision : str or None
        How products of float32 numbers are computed: in float32, or ``"tf32"`` on CUDA.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> ops = mlpx.get_backend("numpy")
    >>> x, W, b = np.asarray([[1.0, 2.0]]), np.asarray([[3.0], [4.0]]), np.asarray([0.5])
    >>> ops.net_input(x, W, b)
    array([[11.5]])
    >>> ops.weight_gradient(x, np.asarray([[2.0]]), bias=True)
    array([[2.],
           [4.],
           [2.]])
    """

    name: ClassVar[str]
    draws_in_step: ClassVar[bool] = False
    flops: float = 2e10
    precision: str | None = None
    xp: Namespace
    device: Device
    device_name: str
    version: str

    def __init__(self, device: str | None = None) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<backend {self.name!r} on {self.device_name}, version {self.version}>"

    def __reduce__(self) -> tuple[Any, ...]:
        from mlpx.backends.selection import make_backend

        return make_backend, (self.name, self.device_name, self.precision)

    @staticmethod
    def check_device() -> None:
        """Find out whether the library has a device here.

        Raises
        ------
        BackendUnavailableError
            Where it finds none; the message says what to do.
        """

    # The edge: arrays in and out.

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library.

        Parameters
        ----------
        x : object
            Anything.

        Returns
        -------
        bool
        """
        raise NotImplementedError

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return an array of this library as a NumPy array.

        Parameters
        ----------
        x : array of shape (...)
            Of this library.

        Returns
        -------
        array of shape (...)
            NumPy's, on the host.
        """
        return host.xp.asarray(x)

    def asarray(self, x: Any, dtype: DType | None = None) -> Array:
        """Return an array of this library on this device.

        Parameters
        ----------
        x : array of shape (...), list or number
            Of this library, or NumPy's.
        dtype : dtype, optional
            The library's own object; by default that of `x`.

        Returns
        -------
        array of shape (...)
        """
        return self.xp.asarray(x, dtype=dtype, device=self.device)

    def from_foreign(self, x: Any) -> Array:
        """Return an array of another library, without a copy where DLPack can.

        Parameters
        ----------
        x : array of shape (...)
            Of another library.

        Returns
        -------
        array of shape (...)
            Of this library, on this device.
        """
        try:
            return self.asarray(self.xp.from_dlpack(x))
        except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
            from mlpx.backends.selection import to_numpy

            return self.asarray(to_numpy(x))

    def dtype(self, name: str) -> DType:
        """Return the library's object for a type.

        Parameters
        ----------
        name : str
            Such as ``"float32"``.

        Returns
        -------
        dtype

        Raises
        ------
        ValueError
            For a type that the library does not have.
        """
        found = getattr(self.xp, name, None)
        if found is None:
            msg = (
                f"`dtype` {name!r} does not exist on the backend {self.name!r}. cupy, jax and torch have it (numpy has "
                f'float16 alone); take one of these with `backend`, or dtype="float32", also in `mlpx.load`.'
            )
            raise ValueError(msg)
        return found

    def host_dtype(self, dtype: DType) -> Any:
        """Return NumPy's type for one of this library's; bfloat16 is that of the library ml_dtypes.

        Parameters
        ----------
        dtype : dtype
            This library's object.

        Returns
        -------
        numpy.dtype
        """
        if "bfloat16" in str(dtype):
            return host.bfloat16()
        with self.context():
            return self.to_numpy(self.xp.empty(0, dtype=dtype, device=self.device)).dtype

    def array_device(self, x: Array) -> str:
        """Return the device of one of this library's arrays.

        Parameters
        ----------
        x : array of shape (...)
            Of this library.

        Returns
        -------
        str
            In words that the constructor takes.
        """
        return self.device_name

    def read_only(self, x: Array) -> Array:
        """Return a view that cannot be written through, where the library has such views.

        Parameters
        ----------
        x : array of shape (...)
            Of this library.

        Returns
        -------
        array of shape (...)
            The same numbers.
        """
        return x

    def fits(self, nbytes: int) -> bool:
        """Say whether so many bytes of a data set can be moved here with room left to train on them.

        Parameters
        ----------
        nbytes : int
            Size of the data set in bytes.

        Returns
        -------
        bool
        """
        return True

    def rows_at_once(self, units: int) -> int:
        """Return how many rows it is best to predict at once.

        Parameters
        ----------
        units : int
            Numbers that a row has in the widest layer, of all members together.

        Returns
        -------
        int
        """
        return 16384

    def transfers(self) -> Transfers:
        """Return how rows that stay on the host get here; see `mlpx.backends.staging`.

        Returns
        -------
        Transfers
        """
        return Transfers(self)

    # How code runs here.

    def context(self) -> AbstractContextManager[Any]:
        """Return what every public call is made under.

        Returns
        -------
        context manager
        """
        return nullcontext()

    def compile(self, function: F) -> F:
        """Return a function in the form that runs fastest when it is called again and again.

        Parameters
        ----------
        function : callable
            Pure: a function of arrays that changes none of them.

        Returns
        -------
        callable
            With the same arguments and results.
        """
        return function

    def fold(self, step: Any, steps: int | None = None) -> Callable[..., Any]:
        """Return ``run(fixed, state, batches, members=None) -> state``, which makes a step for each batch in turn.

        Parameters
        ----------
        step : dataclass with a field ``backend``, callable
            A pure function ``step(*fixed, state, batch) -> state`` of arrays, None and nested tuples of these. Where it
            acts on members that do not depend on each other, ``step.part(fixed, state, batches, members)`` returns the
            arguments of those in a slice, or of one by its number, without the axis of members.
        steps : int, optional
            The most steps that will be made, where that is known: what is prepared for many does not pay for few.

        Returns
        -------
        callable
            ``run``, as above.

        Notes
        -----
        `batches` holds the batches of all steps, on the host or here: every array has the axis of steps in front. The
        state that goes in may be overwritten. `members` is their number where the state is that of a stack.
        """
        compiled = self.compile(step)

        def run(fixed: tuple[Any, ...], state: Any, batches: Any, members: int | None = None) -> Any:
            batches = trees.mapped(self.asarray, batches)
            for i in range(trees.length(batches)):
                state = compiled(*fixed, state, trees.entry(batches, i))
            return state

        return run

    def copy(self, x: Array, out: Array | None = None) -> Array:
        """Return a copy.

        Parameters
        ----------
        x : array of shape (...)
            Of this library.
        out : array of shape (...), optional
            Where the copy may lie, if it has the same shape and type; a hint.

        Returns
        -------
        array of shape (...)
        """
        return self.xp.asarray(x, copy=True)

    def synchronize(self, *arrays: Array) -> None:
        """Wait until the device has computed these arrays.

        Parameters
        ----------
        *arrays : array of shape (...)
            What is waited for.
        """

    @staticmethod
    def is_half(x: Array) -> bool:
        """Say whether an array is of half precision: float16 or bfloat16.

        Parameters
        ----------
        x : array of shape (...)
            Of this library.

        Returns
        -------
        bool
        """
        return "float16" in str(x.dtype)

    # The products of a layer.

    def product(self, a: Array, b: Array) -> Array:
        """Return the matrix product, in which the three products of a layer are written.

        Parameters
        ----------
        a, b : array of shape (..., N, K) and (..., K, M)
            Factors; views of any strides.

        Returns
        -------
        array of shape (..., N, M)
        """
        return self.xp.matmul(a, b)

    def net_input(self, x: Array, weights: Array, bias: Array | None) -> Array:
        """Return the net input ``Z = X W + b``.

        Parameters
        ----------
        x : array of shape (..., N, M_in)
            Batch of rows.
        weights : array of shape (..., M_in, M_out)
            W.
        bias : array of shape (..., M_out), optional
            b.

        Returns
        -------
        array of shape (..., N, M_out)
        """
        z = self.product(x, weights)
        return z if bias is None else z + bias[..., None, :]

    def error_term(self, delta: Array, weights: Array) -> Array:
        """Return ``delta Wᵀ``, the derivative of the loss by the layer's input.

        Parameters
        ----------
        delta : array of shape (..., N, M_out)
            Derivative of the loss by the net input.
        weights : array of shape (..., M_in, M_out)
            W.

        Returns
        -------
        array of shape (..., N, M_in)
        """
        return self.product(delta, self.xp.matrix_transpose(weights))

    def weight_gradient(self, x: Array, delta: Array, *, bias: bool, out: Array | None = None) -> Array:
        """Return ``Xᵀ delta``, the sum of the outer products of all rows, with ``1ᵀ delta`` as its last row if `bias`.

        Parameters
        ----------
        x : array of shape (..., N, M_in)
            The layer's input.
        delta : array of shape (..., N, M_out)
            Derivative of the loss by the net input.
        bias : bool
            Whether there is a bias.
        out : array of the result's shape, optional
            Where the result may be written; a hint.

        Returns
        -------
        array of shape (..., M_in + 1, M_out), without `bias` (..., M_in, M_out)
        """
        xp = self.xp
        products = self.product(xp.matrix_transpose(x), delta)
        return self.concat([products, self.sum_of_rows(delta)], axis=-2) if bias else products

    def sum_of_rows(self, delta: Array) -> Array:
        """Return ``1ᵀ delta``; in half precision as a product, since products add up in float32.

        Parameters
        ----------
        delta : array of shape (..., N, M)
            Error term.

        Returns
        -------
        array of shape (..., 1, M)
        """
        if not self.is_half(delta):
            return self.xp.sum(delta, axis=-2, keepdims=True)
        ones = self.xp.ones((1, delta.shape[-2]), dtype=delta.dtype, device=self.device)
        return self.product(ones, delta)

    # Everything between the products.

    def evaluate(self, formula: Formula, *arrays: Array) -> Any:
        """Return ``formula(*arrays, xp)``, which is element-wise or works along the last axis.

        In half precision the formula is computed in float32, whose range it may need, and rounded once.

        Parameters
        ----------
        formula : callable
            ``formula(*arrays, xp)``, of functions of the standard.
        *arrays : array of shape (...)
            Arguments, of shapes that broadcast.

        Returns
        -------
        array of shape (...)
            Or several, as the formula gives.
        """
        if not self.is_half(arrays[0]):
            return formula(*arrays, self.xp)
        wide = (self.xp.astype(array, self.xp.float32) for array in arrays)
        return self.xp.astype(formula(*wide, self.xp), arrays[0].dtype)

    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        """Return arrays side by side.

        Parameters
        ----------
        arrays : sequence of array of shape (...)
            Equal in every axis but one.
        axis : int
            That axis, counted from the end: negative.

        Returns
        -------
        array of shape (...)
        """
        return self.xp.concat(arrays, axis=axis)

    def take_rows(self, x: Array, index: Array) -> Array:
        """Gather rows.

        Parameters
        ----------
        x : array of shape (N, ...) or (S, N, ...)
            Rows shared by all members, or rows of each member.
        index : integer array of shape (B,) or (S, B)
            Which rows; rows of each member need an index of each member.

        Returns
        -------
        array of shape (B, ...) or (S, B, ...)
        """
        xp = self.xp
        if index.ndim == 1:
            return xp.take(x, index, axis=0)
        return xp.reshape(xp.take(x, xp.reshape(index, (-1,)), axis=0), (*index.shape, *x.shape[1:]))

    def take_member_rows(self, x: Array, index: Array) -> Array:
        """Gather rows of each member.

        Parameters
        ----------
        x : array of shape (S, N, ...)
            Rows of each member.
        index : integer array of shape (S, B) or (B,)
            Which rows, of each member or of all alike.

        Returns
        -------
        array of shape (S, B, ...)
        """
        xp = self.xp
        members, rows = x.shape[:2]
        first = xp.arange(members, dtype=index.dtype, device=self.device)[:, None] * rows
        return self.take_rows(xp.reshape(x, (members * rows, *x.shape[2:])), first + index)

    def dropout_draws(
        self,
        keys: Sequence[Key],
        layer: int,
        steps: Sequence[int] | Array,
        shape: tuple[int, ...],
        thresholds: Sequence[int],
        scales: Sequence[float],
        dtype: DType,
    ) -> Array:
        """Return what a step makes the factors of dropout from; the rule stands in `mlpx.backends.host`.

        Parameters
        ----------
        keys, thresholds, scales : sequence
            One of each a member.
        layer : int
            Position of the dropout layer in the network.
        steps : array of shape (..., S)
            The step of each member, with the axis of steps in front where it is for many.
        shape : tuple of int
            Rows and units of one member, ``(N, M)``.
        dtype : dtype
            The network's type.

        Returns
        -------
        array of shape (..., S, ...)
            The factors themselves, ``(..., S, N, M)``. A backend that draws in the step gives what
            `mlpx.backends.host.dropout_words` gives, on the host or on its device.
        """
        exact = host.xp.float32 if self.xp.finfo(dtype).bits == 32 else host.xp.float64
        return self.asarray(host.dropout_mask(keys, layer, steps, shape, thresholds, scales, exact), dtype=dtype)

    def dropout_factors(self, draw: Array, shape: tuple[int, ...], dtype: DType) -> Array:
        """Return the factors of dropout in a step: 0 where an element is dropped, else the scale.

        Parameters
        ----------
        draw : array of shape (..., S, ...)
            The step's entry of what `dropout_draws` gave, for a single network without the axis of members; factors
            are taken as they are.
        shape : tuple of int
            Rows and units of one member, ``(N, M)``.
        dtype : dtype
            Type of the factors.

        Returns
        -------
        array of shape (..., N, M)
        """
        return draw

    def loss_and_delta(self, output: Any, z: Array, y: Array, weight: Array | None) -> tuple[Array, Array, Array]:
        """Return the averaged loss, its error term and the outputs; see `mlpx.output.Output.loss_and_delta`.

        Parameters
        ----------
        output : Output
            Activation and loss.
        z : array of shape (..., N, K)
            Net input of the output.
        y : array of shape (..., N, K) or (..., N)
            Targets.
        weight : array of shape (..., N), optional
            Weights with the sum 1; None for the mean.

        Returns
        -------
        loss : array of shape (...)
        delta : array of shape (..., N, K)
            Derivative of the averaged loss by `z`.
        y_hat : array of shape (..., N, K)
            Outputs.
        """
        value: tuple[Array, Array, Array] = output.loss_and_delta(z, y, weight, self.xp)
        return value

    def update(
        self,
        optimizer: Any,
        w: Array,
        g: Array,
        moments: tuple[Array, ...],
        coefficients: tuple[Any, ...],
        decay: Array,
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the parameters and moments after one update; see `mlpx.optimizers.Optimizer.update`.

        Parameters
        ----------
        optimizer : Optimizer
            The rule.
        w, g : array of shape (..., P)
            Parameters and gradient.
        moments : tuple of array of shape (..., P)
            What the optimizer remembers.
        coefficients : tuple
            Numbers of the step, each a number or an array of shape (..., 1).
        decay : array of shape (P,)
            1 where weight decay acts.

        Returns
        -------
        w : array of shape (..., P)
        moments : tuple of array of shape (..., P)
        """
        new: tuple[Array, tuple[Array, ...]] = optimizer.update(w, g, moments, coefficients, decay, self.xp)
        return new
