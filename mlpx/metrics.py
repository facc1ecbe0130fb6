"""Metrics: what a fit reports beside the loss, defined as scikit-learn's of the same name are by default.

Most metrics are sums over samples, so that they add up over batches on the device: `terms` gives the sums of a batch
and `value` the metric from the sums of all batches. Sums are taken in float64. `roc_auc` needs all outputs at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import device

from mlpx._typing import Array, Namespace
from mlpx.description import Description
from mlpx.output import Output

__all__ = ["Metric", "accuracy", "error_rate", "get", "mae", "r2", "rmse", "roc_auc"]


class Metric(Description):
    """A number that says how good predictions are.

    Attributes
    ----------
    higher_is_better : bool
        Which way is better.
    additive : bool
        Whether it comes from sums over samples; else from all outputs at once, by ``score``.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> sorted(net.evaluate([[0.0], [1.0]], [0.0, 1.0], metrics=["r2", mlpx.metrics.rmse()]))
    ['loss', 'r2', 'rmse']
    """

    family: ClassVar[str] = "metrics"
    higher_is_better: ClassVar[bool] = False
    additive: ClassVar[bool] = True
    centered: ClassVar[bool] = False
    """Whether the sums may be taken from any origin, and lose their digits far from zero."""
    aliases = {"acc": "accuracy", "auc": "roc_auc", "error": "error_rate"}  # noqa: RUF012

    def check(self, output: Output) -> None:
        """Refuse an output that the metric says nothing about; this one takes all.

        Parameters
        ----------
        output : Output
            What the outputs stand for.

        Raises
        ------
        ValueError
            For such an output.
        """

    def size(self, output: Output) -> int:
        """Return T, the number of sums.

        Parameters
        ----------
        output : Output
            What the outputs stand for.

        Returns
        -------
        int
        """
        raise NotImplementedError

    def terms(self, output: Output, y_hat: Array, y: Array, weight: Array, xp: Namespace) -> Array:
        """Return the sums of a batch.

        Parameters
        ----------
        output : Output
            What the outputs stand for.
        y_hat : array of shape (..., N, K)
            Outputs.
        y : array of shape (..., N, K) or (..., N)
            Targets.
        weight : array of shape (..., N)
            Weight of each sample.
        xp : namespace
            The functions to compute with.

        Returns
        -------
        array of shape (..., T)
        """
        raise NotImplementedError

    def value(self, terms: Array, xp: Namespace) -> Array:
        """Return the metric from the sums.

        Parameters
        ----------
        terms : array of shape (..., T)
            The sums of all batches, in float64.
        xp : namespace
            The functions to compute with.

        Returns
        -------
        array of shape (...)
        """
        raise NotImplementedError


class _Decided(Metric):
    def check(self, output: Output) -> None:
        if output.task == "values":
            msg = f"`metrics` {self.name!r} needs a softmax, sigmoid or step output, got {output.activation.name!r}."
            raise ValueError(msg)


@dataclass(frozen=True)
class accuracy(_Decided):
    """Share of the samples whose decision is right; with several sigmoids all of them must be.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="sigmoid")
    >>> net.set_weights([[[1.0]]], [[0.0]])
    >>> net.evaluate([[-1.0], [1.0], [2.0], [3.0]], [0, 1, 1, 0], metrics="accuracy")["accuracy"]
    0.75
    """

    higher_is_better = True

    def size(self, output: Output) -> int:
        """Return the number of sums."""
        return 2

    def terms(self, output: Output, y_hat: Array, y: Array, weight: Array, xp: Namespace) -> Array:
        """Return the weight of the right samples and of all."""
        right = output.decide(y_hat, xp) == output.truth(y, xp)
        if output.task != "classes":
            right = xp.all(right, axis=-1)
        hits = xp.sum(xp.astype(right, weight.dtype) * weight, axis=-1)
        return xp.stack([hits, xp.broadcast_to(xp.sum(weight, axis=-1), hits.shape)], axis=-1)

    def value(self, terms: Array, xp: Namespace) -> Array:
        """Return the share."""
        return terms[..., 0] / terms[..., 1]


@dataclass(frozen=True)
class error_rate(accuracy):
    """One minus the accuracy.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="sigmoid")
    >>> net.set_weights([[[1.0]]], [[0.0]])
    >>> net.evaluate([[-1.0], [1.0], [2.0], [3.0]], [0, 1, 1, 0], metrics="error_rate")["error_rate"]
    0.25
    """

    higher_is_better = False

    def value(self, terms: Array, xp: Namespace) -> Array:
        """Return the share of wrong samples."""
        return 1 - super().value(terms, xp)


class _Residual(Metric):
    kinds: ClassVar[int] = 2
    """Kinds of sums, each one an output."""

    def size(self, output: Output) -> int:
        return self.kinds * output.units

    def check(self, output: Output) -> None:
        if output.task == "classes":
            msg = f"`metrics` {self.name!r} compares values, but the output is 'softmax'; use 'accuracy'."
            raise ValueError(msg)

    def terms(self, output: Output, y_hat: Array, y: Array, weight: Array, xp: Namespace) -> Array:
        y_hat, y = (xp.astype(a, xp.float64) for a in (y_hat, y))
        w = weight[..., None]
        columns = self.columns(y_hat - y, xp.broadcast_to(y, y_hat.shape), xp)
        sums = [xp.sum(w * column, axis=-2) for column in (*columns, xp.ones_like(y_hat))]
        return xp.concat(sums, axis=-1)

    def columns(self, r: Array, y: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return what is summed over the samples.

        Parameters
        ----------
        r : array of shape (..., N, K)
            Residuals ``y_hat - y``.
        y : array of shape (..., N, K)
            Targets.
        xp : namespace
            The functions to compute with.

        Returns
        -------
        tuple of array of shape (..., N, K)
            One a kind of sum, without that of the weights.
        """
        raise NotImplementedError

    def parts(self, terms: Array) -> list[Array]:
        """Return the sums by kind; the last is the weight.

        Parameters
        ----------
        terms : array of shape (..., T)
            The sums.

        Returns
        -------
        list of array of shape (..., K)
        """
        k = terms.shape[-1] // self.kinds
        return [terms[..., i * k : (i + 1) * k] for i in range(self.kinds)]


@dataclass(frozen=True)
class rmse(_Residual):
    """Root of the mean squared residual, in the unit of the target; averaged over outputs.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> net.set_weights([[[1.0]]], [[0.0]])
    >>> round(net.evaluate([[1.0], [3.0]], [1.0, 5.0], metrics="rmse")["rmse"], 6)
    1.414214
    """

    def columns(self, r: Array, y: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return what is summed."""
        return (r * r,)

    def value(self, terms: Array, xp: Namespace) -> Array:
        """Return the root."""
        squares, weight = self.parts(terms)
        return xp.mean(xp.sqrt(squares / weight), axis=-1)


@dataclass(frozen=True)
class mae(_Residual):
    """Mean absolute residual, in the unit of the target; averaged over outputs.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> net.set_weights([[[1.0]]], [[0.0]])
    >>> net.evaluate([[1.0], [3.0]], [1.0, 5.0], metrics="mae")["mae"]
    1.0
    """

    def columns(self, r: Array, y: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return what is summed."""
        return (xp.abs(r),)

    def value(self, terms: Array, xp: Namespace) -> Array:
        """Return the mean."""
        sizes, weight = self.parts(terms)
        return xp.mean(sizes / weight, axis=-1)


@dataclass(frozen=True)
class r2(_Residual):
    """``1 - sum of squared residuals / sum of squares around the mean``; averaged over outputs.

    An output whose target is constant counts 1 where it is met exactly, else 0.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> net.set_weights([[[1.0]]], [[0.0]])
    >>> net.evaluate([[1.0], [3.0]], [1.0, 5.0], metrics="r2")["r2"]
    0.5
    """

    higher_is_better = True
    centered = True
    kinds = 4

    def columns(self, r: Array, y: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return what is summed."""
        return r * r, y, y * y

    def value(self, terms: Array, xp: Namespace) -> Array:
        """Return the share of the variance that is explained."""
        residual, first, second, weight = self.parts(terms)
        total = second - first * first / weight
        constant = total <= 1e-14 * second  # what rounding leaves of a variance of zero
        ratio = residual / xp.where(constant, xp.ones_like(total), total)
        exact = xp.astype(residual == 0, total.dtype)
        return xp.mean(xp.where(constant, exact, 1 - ratio), axis=-1)


@dataclass(frozen=True)
class roc_auc(_Decided):
    """Area under the ROC curve; more than two classes: mean over the classes of one against the rest.

    Source: [1]_.

    Not a number where a class does not occur among the samples.

    References
    ----------
    .. [1] J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver operating characteristic
       (ROC) curve", Radiology 143, 1982.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="sigmoid")
    >>> net.set_weights([[[1.0]]], [[0.0]])
    >>> net.evaluate([[-1.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1], metrics="roc_auc")["roc_auc"]
    0.75
    """

    higher_is_better = True
    additive = False

    def score(self, output: Output, y_hat: Array, y: Array, weight: Array, xp: Namespace) -> Array:
        """Return the area from all outputs of one network.

        Parameters
        ----------
        output : Output
            What the outputs stand for.
        y_hat : array of shape (N, K)
            Outputs.
        y : array of shape (N, K) or (N,)
            Targets.
        weight : array of shape (N,)
            Weight of each sample.
        xp : namespace
            The functions to compute with.

        Returns
        -------
        array of shape ()
            Between 0 and 1; NaN where a class does not occur.
        """
        truth = output.truth(y, xp)
        if output.task == "classes":
            classes = xp.arange(output.units, dtype=truth.dtype, device=device(truth))
            truth = xp.astype(truth[:, None] == classes, xp.int64)
        first = 1 if output.task == "classes" and output.units == 2 else 0
        w = xp.astype(weight, xp.float64)
        areas = [_area(y_hat[:, k], xp.astype(truth[:, k], xp.float64), w, xp) for k in range(first, output.units)]
        return xp.mean(xp.stack(areas))


def _area(score: Array, truth: Array, weight: Array, xp: Namespace) -> Array:
    """Return the probability that a positive sample scores above a negative one, ties counting one half."""
    order = xp.argsort(score)
    ranked = xp.take(score, order)
    positive, negative = xp.take(weight * truth, order), xp.take(weight * (1 - truth), order)
    below = xp.cumulative_sum(negative, include_initial=True)
    less = xp.take(below, xp.searchsorted(ranked, ranked, side="left"))
    not_more = xp.take(below, xp.searchsorted(ranked, ranked, side="right"))
    return xp.sum(positive * (less + not_more)) / (2 * xp.sum(positive) * xp.sum(negative))


def get(metrics: str | Metric | Sequence[str | Metric], output: Output) -> tuple[Metric, ...]:
    """Return metrics from their names, checked against the output.

    Parameters
    ----------
    metrics : str, Metric or sequence of these
        Names of this module or objects; ``"loss"`` is left out.
    output : Output
        What the outputs stand for.

    Returns
    -------
    tuple of Metric

    Raises
    ------
    ValueError
        For an unknown name, or a metric that says nothing about this output.
    TypeError
        For what is no metric.

    Examples
    --------
    >>> import mlpx
    >>> output = mlpx.MLP([2, 3]).architecture.output
    >>> mlpx.metrics.get(["acc", "roc_auc"], output)
    (accuracy(), roc_auc())
    """
    if not isinstance(metrics, (str, Metric, Iterable)) or getattr(metrics, "ndim", 1) != 1:
        msg = f"`metrics` must be a name, a metric or a sequence of these, got {metrics!r}."
        raise TypeError(msg)
    several = [metrics] if isinstance(metrics, (str, Metric)) else list(metrics)
    found = tuple(Metric.get(metric) for metric in several if metric != "loss")
    for metric in found:
        metric.check(output)
    return found


def full_name(monitor: str) -> str:
    """Return the name of a monitored quantity from a short name, or from its column in the history."""
    if not isinstance(monitor, str):
        msg = f"`monitor` must be the name of a metric, or 'loss', got {monitor!r}."
        raise TypeError(msg)
    monitor = monitor.removeprefix("validation_")
    return Metric.aliases.get(monitor, monitor)
