"""What an estimator asks of training, and what it gets back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mlpx._typing import Array
from mlpx.layers import Layer
from mlpx.losses import Loss
from mlpx.sklearn.arrays import dtype_for
from mlpx.sklearn.draws import Stream
from mlpx.training import Carried

__all__ = ["Outcome", "Problem", "Source", "Validation"]


@dataclass(frozen=True, eq=False)
class Source:
    """A data set, taken in: what problems refer to by identity.

    Parameters
    ----------
    x : array or HostRows of shape (N, M)
        Features, of the backend.
    y : array of shape (N,) or (N, K)
        Class indices, or targets of the outputs.
    features : array or SciPy sparse matrix of shape (N, M)
        The features as they came, checked.
    labels : array of shape (N,) or (N, K)
        What is to be learned as it came, checked, on the host.
    """

    x: Any
    y: Array
    features: Any
    labels: Array


class Validation(NamedTuple):
    """Rows that are validated on.

    Attributes
    ----------
    source : Source
        The data set: the one that is trained on, or another.
    rows : integer array of shape (n,)
        Which of its rows.
    weight : array of shape (N,), optional
        Weights by row.
    """

    source: Source
    rows: Array
    weight: Array | None


@dataclass(eq=False)
class Problem:
    """One network to train.

    Parameters
    ----------
    estimator : BaseMLP
        Who asks; its parameters are the numbers of the training.
    backend : Backend
        Where to train.
    layers, loss
        The network, as `mlpx.Network` takes them.
    source : Source
        The data.
    stream : Stream
        The training rows, and where their orders come from.
    weight : array of shape (N,), optional
        Weights by row.
    coefs, intercepts : list of array
        The first parameters, on the host.
    held_out : Validation, optional
        What is validated on.
    seed : int
        Key of the dropout masks.
    batch_size : int
        Rows a step.
    epochs : int
        The most epochs.
    seen : int
        Samples seen before.
    first_rate : float
        The rate of the first epoch, where the schedule asks for one.
    carried : Carried, optional
        What to go on from.
    steps_seen : int
        Steps of earlier fits: where the dropout masks go on.
    task : FitTask, optional
        The fit, as scikit-learn's callbacks see it.
    watched : str
        The column of the history that is watched.
    """

    estimator: Any
    backend: Any
    layers: tuple[Layer, ...]
    loss: Loss
    source: Source
    stream: Stream
    weight: Array | None
    coefs: list[Array]
    intercepts: list[Array]
    held_out: Validation | None = None
    seed: int = 0
    batch_size: int = 0
    epochs: int = 1
    seen: int = 0
    first_rate: float = 0.0
    carried: Carried | None = None
    steps_seen: int = 0
    task: Any = None
    watched: str = "loss"

    @property
    def dtype_name(self) -> str:
        """The type of the parameters."""
        return dtype_for(self.coefs[0])


@dataclass(eq=False)
class Outcome:
    """What training gave.

    Parameters
    ----------
    coefs, intercepts : list of array
        The parameters, on the host.
    epochs : int
        How many were made.
    columns : dict of list
        The numbers of each epoch, by name.
    steps : int
        Steps that were made.
    converged : bool
        Whether the rule of the estimator ended training.
    interrupted : bool
        Whether Ctrl-C did.
    waited : int
        Epochs since the last improvement.
    carried : Carried, optional
        What later training goes on from.
    """

    coefs: list[Array]
    intercepts: list[Array]
    epochs: int
    columns: dict[str, list[float]] = field(default_factory=dict)
    steps: int = 0
    converged: bool = False
    interrupted: bool = False
    waited: int = 0
    carried: Carried | None = None
