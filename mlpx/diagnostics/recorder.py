"""`Diagnostics`: looks into a network while it trains, kept as a table, with warnings in words."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from mlpx._checks import check_count, check_flag
from mlpx._typing import Array
from mlpx.backends.host import scatter
from mlpx.backends.host import xp as hxp
from mlpx.callbacks import Callback
from mlpx.diagnostics.look import QUANTITIES, Look, functions
from mlpx.layers.base import named, shortened
from mlpx.network import Architecture
from mlpx.plan import compiled

__all__ = ["EXPLODING", "VANISHING", "Diagnostics"]

VANISHING, EXPLODING = 1e-4, 1e4
"""Ratios of the first error term's norm to the last's beyond which a warning is given."""

_EVERY, _ROWS, _WIDEST = 1000, 128, 68
_REMEDIES = {
    "vanish": 'Take an activation that does not saturate, such as "relu", with initial values that belong to it '
    '(initializer="auto"), fewer layers, or connections that skip layers.',
    "explode": 'Take smaller initial values (initializer="auto"), bound the gradient with `clip_norm`, lower the '
    "learning rate, or scale the features.",
    "dead": "Every unit of {} is dead, and nothing flows back through it: take a lower learning rate, smaller initial "
    'values or biases, or an activation with a slope everywhere, such as "leaky_relu" or PReLU.',
}


class Diagnostics(Callback):
    """A callback that looks into the network while it trains, layer by layer.

    A look is one more forward and backward pass with the present weights, over the same rows each time and without
    dropout, so that looks differ by the weights alone. It changes nothing: training goes on as it would without.

    Parameters
    ----------
    every : int, optional
        Steps from one look to the next, at least; looks are at ends of epochs. By default 1000, with which they
        take less than 5 % of the time of training, on small networks too; 1 looks after each epoch.
    rows : int, optional
        How many rows are looked at: the first in the order of the first epoch. By default `batch_size`, at least 128:
        in few rows a unit seems dead that is not.
    warn : bool
        Whether to warn of gradients that vanish or explode.

    Attributes
    ----------
    layers : list of str
        The columns of the arrays below, in words and in the order in which they act: the layers with weights, the last
        with the output's activation, also those within blocks; each `PReLU`; each `Skip` that has an activation of its
        own, for the sum.
    epochs, steps : list of int
        When there was a look: epochs of the fit that were done, and the steps (of the member that made most). The first
        is before training, the last after the last epoch that was asked for; a fit that stops early may end without.
    delta_norms : array of shape (looks, L), with a stack (looks, S, L)
        Norms of the error terms ``delta_l = dL/dz_l``, over rows and units, L being the mean loss of the data.
    gradient_norms : array of the same shape
        Norms of the derivatives of that loss by the weights and biases of each layer, as one block; by the slopes of
        `PReLU`. NaN for a `Skip`, whose parameters are those of its layers.
    activation_norms : array of the same shape
        Norms of the values ``y_l = f(z_l)``, over rows and units.
    dead, saturated : array of the same shape
        Shares of the units; see the notes.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit.

    Warns
    -----
    RuntimeWarning
        Once a fit and kind: where the norm of the first error term is below 1e-4 of the last layer's (gradients
        vanish), or above 1e4 of it (they explode).

    Notes
    -----
    A unit is *dead* where f' is exactly 0 on every row: it passes no gradient on and learns nothing. It is *saturated*
    where ``|f'|``, averaged over the rows, is less than 5 % of the largest ``|f'|`` that the activation has: 0.25 for
    logistic, 1 for tanh and ReLU, 1.13 for gelu; for any other, yours too, the largest for net inputs from -20 to 20. A
    dead unit is saturated too. For logistic and tanh f' is never 0 but by rounding, and the saturated are those to look
    at. For ReLU, whose f' is 0 or 1, saturated units are those that are on in fewer than 5 % of the rows: dead, or
    nearly. So it is with PReLU, whose f' is 1 or gamma. Leaky ReLU and the identity have neither. Where ``|f'|`` has no
    bound (exp) there is no share of saturated units, where f has no derivative element by element (softmax) no share of
    either: NaN.

    In half precision looks are computed in float32. With a stack everything is by member, NaN once one has stopped.
    A second fit starts a new table.

    Examples
    --------
    >>> import mlpx
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> diagnostics = mlpx.Diagnostics(every=500)
    >>> history = mlpx.MLP([2, 8, 8, 1], output="sigmoid").fit(X, y, epochs=1000, callbacks=diagnostics)
    >>> diagnostics.epochs, diagnostics.delta_norms.shape
    ([0, 500, 1000], (3, 3))
    """

    def __init__(self, *, every: int | None = None, rows: int | None = None, warn: bool = True) -> None:
        self.every = None if every is None else check_count("every", every)
        self.rows = None if rows is None else check_count("rows", rows)
        self.warn = check_flag("warn", warn)
        self._forget()

    def _forget(self) -> None:
        self.layers: list[str] = []
        self.epochs: list[int] = []
        self.steps: list[int] = []
        self._looks: list[Array] = []
        self._stack = False
        self._sample: Any = None
        self._warned: set[str] = set()

    # While training goes on.

    def start(self, run: Any) -> None:
        """Begin a new table, and look."""
        self._forget()
        self.layers = _names(run.net.architecture)
        self._stack = run.net.members is not None
        self._sample = run.first_rows(self.rows or max(_ROWS, run.settings.batch_size))
        self._look(run, stacklevel=7)

    def epoch(self, run: Any) -> None:
        """Look, where it is time."""
        if run.step - self.steps[-1] >= (self.every or _EVERY) or run.epoch == run.epochs:
            self._look(run, stacklevel=8)

    def end(self, run: Any) -> None:
        """Let the rows go."""
        self._sample = None

    def _look(self, run: Any, stacklevel: int) -> None:
        net, ops, left = run.net, run.net.backend, run.left
        parameters = net.vector
        if len(left) < (net.members or 1):
            parameters = ops.xp.take(parameters, ops.asarray(hxp.asarray(left)), axis=0)
        look = compiled(Look(ops, net.architecture))
        found = ops.to_numpy(look(parameters, *run.fetch(self._sample)))
        self.epochs.append(run.epoch)
        self.steps.append(run.step)
        if self._stack:
            by_member = scatter(hxp.moveaxis(found, 0, -1), hxp.asarray(left), net.members, hxp.nan)
            found = hxp.moveaxis(by_member, -1, 0)
        self._looks.append(found)
        if self.warn:
            self._check(stacklevel)

    # What was seen.

    delta_norms = property(lambda self: self._quantity("delta_norm"))
    gradient_norms = property(lambda self: self._quantity("gradient_norm"))
    activation_norms = property(lambda self: self._quantity("activation_norm"))
    dead = property(lambda self: self._quantity("dead"))
    saturated = property(lambda self: self._quantity("saturated"))

    def _quantity(self, name: str) -> Array:
        shape = (0, 0, len(self.layers)) if self._stack else (0, len(self.layers))
        parts = [look[..., QUANTITIES.index(name), :] for look in self._looks]
        return hxp.stack(parts) if parts else hxp.zeros(shape)

    @property
    def ratios(self) -> Array:
        """Norm of the first layer's error term by that of the last, shape (looks,), with a stack (looks, S)."""
        if not self._looks:
            return hxp.zeros((0, 0) if self._stack else (0,))
        with hxp.errstate(all="ignore"):
            return self.delta_norms[..., 0] / self.delta_norms[..., -1]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return columns with one row a look, layer and (with a stack) member, as pandas or polars take them.

        Returns
        -------
        dict of list
        """
        rows = list(self._rows())
        names = ("epoch", "step", *(("member",) if self._stack else ()), "layer", *QUANTITIES)
        return {name: [row[i] for row in rows] for i, name in enumerate(names)}

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for epoch, step, look in zip(self.epochs, self.steps, self._looks, strict=True):
            for member, own in enumerate(look) if self._stack else ((None, look),):
                for layer, values in zip(self.layers, own.T.tolist(), strict=True):
                    yield (epoch, step, *(() if member is None else (member,)), layer, *values)

    # In words.

    def _check(self, stacklevel: int) -> None:
        """Warn of the last look, once a kind."""
        ratios = hxp.reshape(self.ratios[-1, ...], (-1,))
        for kind, beyond in (("vanish", ratios < VANISHING), ("explode", ratios > EXPLODING)):
            if hxp.any(beyond) and kind not in self._warned:
                self._warned.add(kind)
                warnings.warn(self._message(kind, ratios, beyond), RuntimeWarning, stacklevel=stacklevel)

    def _message(self, kind: str, ratios: Array, beyond: Array) -> str:
        member, count = int(hxp.nonzero(beyond)[0][0]), int(hxp.sum(beyond))
        whose = f" of member {member}" if self._stack else ""
        others = f" ({count} members in all)" if count > 1 else ""
        when = f"after epoch {self.epochs[-1]}" if self.epochs[-1] else "before the first epoch"
        bound = f"below {VANISHING:g}" if kind == "vanish" else f"above {EXPLODING:g}"
        remedy = _REMEDIES[kind]
        if kind == "vanish" and (dead := self._wholly_dead(member)):
            remedy = _REMEDIES["dead"].format(dead)
        return (
            f"Gradients{whose}{others} {kind} {when}: the norm of the error term of {self.layers[0]} is "
            f"{ratios[member]:.2g} times that of {self.layers[-1]}, {bound}. {remedy}"
        )

    def _wholly_dead(self, member: int) -> str | None:
        """Return the last layer of which every unit was dead at the last look, if there is one."""
        dead = self.dead[-1, ...]
        shares = (dead[member, :] if self._stack else dead).tolist()
        return next((name for name, share in zip(self.layers[::-1], shares[::-1], strict=True) if share == 1), None)

    def __str__(self) -> str:
        """Return a table of the last look, one line a layer; a stack's numbers averaged over the members left."""
        if not self._looks:
            return "no look yet"
        head = [f"epoch {self.epochs[-1]}, step {self.steps[-1]}, look {len(self.steps)}"]
        last = self._looks[-1]
        if self._stack:
            left = ~hxp.isnan(last[:, 0, 0])
            head.append(f"means over the {int(hxp.sum(left))} members that were left, of {left.shape[0]}")
            last = hxp.mean(last[left, ...], axis=0)
        cells: list[tuple[str, ...]] = [("layer", "|delta|", "|gradient|", "|y|", "dead", "saturated")]
        cells += [
            (shortened(name, _WIDEST), *_numbers(values))
            for name, values in zip(self.layers, last.T.tolist(), strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [(first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])) for first, *rest in cells]
        return "\n".join([*head, *("  ".join(line) for line in lines)])

    def __repr__(self) -> str:
        return f"<Diagnostics of {len(self.layers)} layers: {len(self.steps)} looks>"


def _names(net: Architecture) -> list[str]:
    """Return in words what a look tells of."""
    return [f"{named(path)} ({net.nodes[path].name if f is None else f.label})" for path, f in functions(net).items()]


def _numbers(values: list[float]) -> tuple[str, ...]:
    *norms, dead, saturated = values
    return (
        *("—" if v != v else f"{v:.2e}" for v in norms),
        *("—" if v != v else f"{v:.1%}" for v in (dead, saturated)),
    )
