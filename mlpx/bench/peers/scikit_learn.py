"""scikit-learn's classifier."""

from __future__ import annotations

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from mlpx._typing import Array
from mlpx.bench.networks import Start


class Classifier:
    """`sklearn.neural_network.MLPClassifier` with Adam.

    ``fit`` with ``warm_start`` goes on from the present weights with a fresh optimizer, as mlpx does. An epoch by
    ``partial_fit`` takes as long.

    Parameters
    ----------
    start : Start
        Data and initial weights.
    batch_size : int
        Rows a step.
    shuffle : bool
        Whether each epoch has a new order.
    """

    def __init__(self, start: Start, batch_size: int, *, shuffle: bool = True) -> None:
        hidden = [W.shape[1] for W in start.weights[:-1]]
        self.net = MLPClassifier(
            hidden,
            alpha=0.0,
            batch_size=batch_size,
            tol=0.0,
            n_iter_no_change=10**9,
            shuffle=shuffle,
            warm_start=True,
            random_state=0,
        )
        self._start = start
        self.net.partial_fit(start.X, start.y, classes=range(start.biases[-1].shape[0]))  # makes the arrays

    def fit(self, epochs: int) -> list[float]:
        """Train from the initial weights; return the mean loss of each epoch."""
        net, start = self.net, self._start
        for own, given in ((net.coefs_, start.weights), (net.intercepts_, start.biases)):
            for mine, theirs in zip(own, given, strict=True):
                mine[...] = theirs[..., : mine.shape[-1]]
        net.max_iter, net.loss_curve_ = epochs, []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            net.fit(start.X, start.y)
        return list(net.loss_curve_)

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return weights and biases."""
        return self.net.coefs_, self.net.intercepts_
