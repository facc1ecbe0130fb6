"""Networks to and from scikit-learn's `MLPClassifier` and `MLPRegressor`."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpx._typing import Array
from mlpx.backends import to_numpy
from mlpx.conversion._checks import check_single, refuse_layer, refuse_missing
from mlpx.inputs import decode
from mlpx.layers import Dense, Dropout
from mlpx.mlp import MLP
from mlpx.model import Network
from mlpx.precision import MASTER

__all__ = ["from_sklearn", "to_sklearn"]

_HIDDEN = ("identity", "logistic", "relu", "tanh")

# by output: the loss that scikit-learn ties to it, and which of ours it stands for
_LOSSES = {
    "exp": ("poisson", ("poisson",)),
    "identity": ("squared_error", ("squared_error", "mean_squared_error")),
    "logistic": ("log_loss", ("binary_cross_entropy",)),
    "softmax": ("log_loss", ("cross_entropy",)),
}


def from_sklearn(fitted: Any, **options: Any) -> MLP:
    """Return a network with the parameters of a fitted scikit-learn estimator.

    Parameters
    ----------
    fitted : estimator
        A fitted `MLPClassifier` or `MLPRegressor`, of scikit-learn or of `mlpx`; any object with their fitted
        attributes will do.
    **options
        Arguments of `mlpx.MLP` that no estimator knows: `backend`, `device`, `precision`, `seed` and `l2`; also
        `dtype`, by default that of the coefficients.

    Returns
    -------
    MLP
        Its `predict` gives what `predict_proba` of the classifier (for two classes the column of the second) or
        `predict` of the regressor gives, always as columns; its `predict_labels` gives the classifier's labels.

    Raises
    ------
    TypeError
        For something else than such an estimator.
    ValueError
        For an estimator that is not fitted, or was fitted on one class only.

    Notes
    -----
    `l2` is 0 by default: the penalty of scikit-learn depends on the batch. To train further with the same one, give
    ``l2=fitted.alpha / batch_size``. Names of features are not kept: the order of the columns counts.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from mlpx.conversion import from_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> fitted = MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> net = from_sklearn(fitted)
    >>> net
    <MLP 4 - 8 relu - 3 softmax; loss cross_entropy; 67 parameters float64 on numpy, cpu>
    >>> bool(abs(net.predict(X) - fitted.predict_proba(X)).max() < 1e-12)
    True
    """
    _check_fitted(fitted)
    weights, biases = [[to_numpy(a) for a in arrays] for arrays in (fitted.coefs_, fitted.intercepts_)]
    loss = getattr(fitted, "loss", None)
    dtype = getattr(fitted, "dtype", None) or np.result_type(np.float32, *weights, *biases).name
    net = MLP(
        [weights[0].shape[0], *(w.shape[-1] for w in weights)],
        activation=fitted.activation,
        output=fitted.out_activation_,
        loss=None if loss == "log_loss" else loss,
        dropout=getattr(fitted, "dropout", 0.0),
        **{"dtype": dtype, **options},
    )
    net.set_weights(weights, biases)
    net.classes = _classes(fitted, net.architecture.output.task)
    return net


def _check_fitted(fitted: Any) -> None:
    """Refuse what has not the fitted attributes of a multi-layer perceptron."""
    if all(hasattr(fitted, name) for name in ("coefs_", "intercepts_", "out_activation_")):
        return
    name = type(fitted).__name__
    if hasattr(fitted, "hidden_layer_sizes"):
        msg = f"`fitted` must be fitted, but this {name} is not; call its fit() first."
        raise ValueError(msg)
    inner = {"steps": "fitted[-1]", "best_estimator_": "fitted.best_estimator_", "regressor_": "fitted.regressor_"}
    hints = [f" Give what it holds: {within}." for attribute, within in inner.items() if hasattr(fitted, attribute)]
    msg = f"`fitted` must be a fitted MLPClassifier or MLPRegressor, got {name}.{''.join(hints[:1])}"
    raise TypeError(msg)


def _classes(fitted: Any, task: str) -> tuple[Any, ...] | None:
    """Return the labels of a classifier; None where they are the class indices, or there are several at once."""
    if task not in ("classes", "binary") or not hasattr(fitted, "classes_"):
        return None
    labels = to_numpy(fitted.classes_)
    if len(labels) < 2:
        msg = f"`fitted` saw one class only, {labels.tolist()[0]!r}: there is nothing to decide. Fit it on two or more."
        raise ValueError(msg)
    if labels.dtype.kind in "iu" and np.array_equal(labels, np.arange(len(labels))):
        return None
    return tuple(labels.tolist())


def to_sklearn(net: Network, *, loss: str | None = None, **parameters: Any) -> Any:
    """Return a fitted scikit-learn estimator with the parameters of a network.

    Parameters
    ----------
    net : Network
        A single network of dense layers and dropout, in float32 or float64: hidden activations all the same and one
        of ``"identity"``, ``"logistic"``, ``"relu"``, ``"tanh"``; the output ``"softmax"``, ``"logistic"``,
        ``"identity"`` or ``"exp"``.
    loss : {"log_loss", "squared_error", "poisson"}, optional
        What the estimator minimizes when it is trained further. scikit-learn ties it to the output, and predictions
        do not depend on it. It must be given where the network was trained with a loss that scikit-learn has not.
    **parameters
        Further parameters of the estimator, such as `solver`, `alpha` or `random_state`; by default scikit-learn's.

    Returns
    -------
    MLPClassifier or MLPRegressor
        For a softmax or logistic output a classifier, with the labels of the network, in sorted order (several
        logistic outputs: one that predicts several labels at once); else a regressor.

    Raises
    ------
    ValueError
        For a network that scikit-learn's class cannot hold; the message says which layer, and what to do.
    ImportError
        Where scikit-learn is not installed.

    Notes
    -----
    Only predictions are carried over. Dropout, penalty, `mask`, `max_norm`, and that a bias is frozen or not there act
    in training alone and are gone: a missing bias or connection is 0, and `partial_fit` changes it. The estimator does
    not do either what `net.preprocessing` says, and knows no names of features: give it arrays, or set its
    `feature_names_in_`.

    A softmax of two units becomes what scikit-learn has for two classes, one logistic unit with the difference of
    both: ``e^b / (e^a + e^b) = 1 / (1 + e^(a - b))``.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx.conversion import to_sklearn
    >>> net = mlpx.MLP([2, 8, 1], activation="tanh", output="sigmoid", seed=1)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["no", "yes", "yes", "no"]
    >>> history = net.fit(X, y, epochs=300, optimizer=mlpx.Adam(0.05))
    >>> estimator = to_sklearn(net, random_state=0)
    >>> estimator
    MLPClassifier(activation='tanh', hidden_layer_sizes=(8,), random_state=0)
    >>> estimator.score(X, y)
    1.0
    """
    net = check_single(net, "a scikit-learn estimator")
    activation = _hidden_activation(net)
    output = net.architecture.output
    loss = _loss(output, loss)
    if net.dtype_name != net.master_dtype_name:
        msg = (
            f"`net` computes in {net.dtype_name}, which scikit-learn does not; save it and give "
            f'mlpx.load(path, dtype="{MASTER[net.dtype_name]}").'
        )
        raise ValueError(msg)
    weights = [to_numpy(w).copy() for w in net.weights]
    biases = [
        np.zeros(w.shape[-1], w.dtype) if b is None else to_numpy(b).copy()
        for w, b in zip(weights, net.biases, strict=True)
    ]
    labels = None
    if output.task in ("classes", "binary"):
        labels, weights[-1], biases[-1] = _sorted(net, weights[-1], biases[-1])
    _check_parameters(parameters)
    given = {"activation": activation, **parameters}
    estimator = _estimator(output, loss, {"hidden_layer_sizes": tuple(net.sizes[1:-1]), **given})
    _set_fitted(estimator, weights, biases, output.task, labels)
    estimator.n_iter_ = net.epochs_seen[0]
    return estimator


def _hidden_activation(net: Network) -> str:
    """Return the one activation of the hidden layers; refuse layers that scikit-learn has not."""
    first: tuple[int, str] | None = None
    for position, layer in enumerate(net.layers[:-1]):
        if type(layer) is Dropout:
            continue
        if type(layer) is not Dense:  # a subclass may compute something else
            refuse_layer(position, layer.name, "a scikit-learn estimator has dense layers only.")
        name: str = layer.activation.name  # type: ignore[union-attr]
        if name not in _HIDDEN:
            refuse_layer(position, f"the activation {name!r}", f"scikit-learn has only {', '.join(_HIDDEN)}. Use one.")
        first = first or (position, name)
        if name != first[1]:
            rule = (
                f"a scikit-learn estimator has one activation for all hidden layers, and layers[{first[0]}] has "
                f"{first[1]!r}. Use the same in all."
            )
            refuse_layer(position, f"the activation {name!r}", rule)
    return first[1] if first else "relu"


def _loss(output: Any, loss: str | None) -> str:
    """Return scikit-learn's loss for an output, where the network's own stands for the same or it was asked for."""
    name = output.activation.name
    if name not in _LOSSES:
        msg = f"`net` has the output {name!r}, but scikit-learn has only {', '.join(_LOSSES)}. Use one of these."
        raise ValueError(msg)
    known, ours = _LOSSES[name]
    if loss is None and output.loss.name not in ours:
        msg = (
            f"`net` was trained with the loss {output.loss.name!r}, which scikit-learn has not beside the output "
            f'{name!r}. Predictions do not depend on it: give loss="{known}" to convert all the same.'
        )
        raise ValueError(msg)
    if loss is not None and loss != known:
        msg = f"`loss` must be {known!r}, which scikit-learn ties to the output {name!r}; got {loss!r}."
        raise ValueError(msg)
    return known


def _sorted(net: Network, weights: Array, bias: Array) -> tuple[Array, Array, Array]:
    """Return labels in the order in which scikit-learn wants them, with the last layer's parameters to match."""
    index = np.arange(max(net.architecture.output.units, 2))
    labels = index if net.classes is None else decode(index, net.classes)
    order = np.argsort(labels, kind="stable")
    block = np.vstack([weights, bias])
    if block.shape[-1] > 1:
        block = block[:, order]
    elif order[0] == 1:
        block = -block  # 1 - logistic(z) = logistic(-z)
    if block.shape[-1] == 2:
        block = block[:, 1:] - block[:, :1]
    return labels[order], np.ascontiguousarray(block[:-1]), block[-1].copy()


def _check_parameters(parameters: dict[str, Any]) -> None:
    for name in ("hidden_layer_sizes", "activation"):
        if name in parameters:
            msg = f"`{name}` is that of the network and cannot be given; leave it out."
            raise TypeError(msg)


def _estimator(output: Any, loss: str, parameters: dict[str, Any]) -> Any:
    """Return an estimator that is not fitted yet."""
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    except ModuleNotFoundError as error:
        refuse_missing("scikit-learn", 'pip install "mlpx[sklearn]"', error)
    if output.task != "values":
        return MLPClassifier(**parameters)
    if loss == "squared_error":
        return MLPRegressor(**parameters)
    if "loss" not in MLPRegressor().get_params():
        msg = f"`net` has the output {output.activation.name!r}, which needs scikit-learn 1.7 or later; update it."
        raise ValueError(msg)
    return MLPRegressor(loss=loss, **parameters)


def _set_fitted(estimator: Any, weights: list[Array], biases: list[Array], task: str, labels: Array | None) -> None:
    """Set the attributes that fit would have set, with these parameters."""
    from sklearn.preprocessing import LabelBinarizer

    units = [weights[0].shape[0], *(w.shape[-1] for w in weights)]
    estimator.n_features_in_ = units[0]
    if task != "values":
        # a row for each of several labels: that, and not a list of classes, tells scikit-learn of several at once
        known = np.eye(units[-1], dtype=np.int64) if labels is None else labels
        estimator._label_binarizer = LabelBinarizer().fit(known)
        estimator.classes_ = estimator._label_binarizer.classes_
    # its own way to start, so that partial_fit and warm_start find what they need; the draws are not used
    estimator._random_state = np.random.RandomState(0)
    estimator._initialize(np.empty((1, units[-1])), units, weights[0].dtype)
    estimator.coefs_, estimator.intercepts_ = weights, biases
    estimator._best_coefs, estimator._best_intercepts = [w.copy() for w in weights], [b.copy() for b in biases]
