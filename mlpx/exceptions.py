"""Exceptions that a caller may want to catch apart.

::

    MlpxError
    ├── BackendUnavailableError   (also an ImportError)
    ├── DivergenceError           (also an ArithmeticError)
    ├── ModelFileError            (also a ValueError)
    └── SourceError               (also a ValueError)

Everything else that a wrong argument raises is a plain `ValueError` or `TypeError` that names the argument.
"""

from typing import Any


class MlpxError(Exception):
    """The base of the exceptions below."""


class BackendUnavailableError(MlpxError, ImportError):
    """A backend was asked for whose library or device is not there; the message says what to install."""


class DivergenceError(MlpxError, ArithmeticError):
    """Training met a number that is not finite.

    The network keeps the best weights seen so far (without validation: those before the epoch in which it happened).

    Parameters
    ----------
    message : str
        One sentence with epoch, step, layer and quantity.
    epoch, step, layer, quantity, rows, history, path
        As below.

    Attributes
    ----------
    epoch, step : int
        Where it happened, counted from 1; `step` counts the batches of that epoch.
    layer : str
        The layer, by its position in ``net.layers`` (from 0) and its kind, such as ``"layers[1] (Dense)"``; or
        ``"the output"``.
    quantity : str
        What was not finite: net input, activation, loss, error term, gradient, parameter or moment of the optimizer.
    rows : list of int
        The rows of the training data in which it was not; all of the batch where it belongs to none of them.
    history : mlpx.History
        The epochs that were completed.
    path : str or None
        The file from which `mlpx.replay` makes that step again, in the folder for temporary files: the next one of
        this process is written over it. None where it could not be written, or where a network with functions of
        your own cannot be.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> try:
    ...     net.fit([[1e3]], [1.0], epochs=100, optimizer=mlpx.SGD(10.0))
    ... except mlpx.DivergenceError as error:
    ...     print(error.epoch, error.layer, error.quantity, sep=", ")
    4, the output, loss
    """

    def __init__(
        self,
        message: str,
        *,
        epoch: int,
        step: int,
        layer: str,
        quantity: str,
        rows: list[int] | None = None,
        history: Any = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.layer = layer
        self.quantity = quantity
        self.rows = rows or []
        self.history = history
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_divergence, (str(self), {name: self.__dict__[name] for name in _FIELDS})


_FIELDS = ("epoch", "step", "layer", "quantity", "rows", "history", "path")


def _rebuild_divergence(message: str, fields: dict[str, Any]) -> DivergenceError:
    return DivergenceError(message, **fields)


class ModelFileError(MlpxError, ValueError):
    """A file is no readable model: broken, truncated, of another kind or of a later version.

    Examples
    --------
    >>> import mlpx, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "notes.txt"
    >>> path.write_text("no network")
    10
    >>> try:
    ...     mlpx.load(path)
    ... except mlpx.ModelFileError:
    ...     print("no model")
    no model
    """


class SourceError(MlpxError, ValueError):
    """A source gave rows that cannot be trained on, or none, after training had begun.

    The network keeps what it has learned: the best weights where `mlpx.Network.fit` keeps these, else the last.

    Attributes
    ----------
    history : mlpx.History
        The epochs that were completed.

    Examples
    --------
    >>> import mlpx
    >>> pieces = ((x, x) for x in ([[0.0]], [[1.0]]))  # which can be gone through once
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> try:
    ...     net.fit(mlpx.sources.Batches(pieces), epochs=3)
    ... except mlpx.SourceError as error:
    ...     print(len(error.history["loss"]))
    1
    """

    history: Any = None
