"""The front door: `Network`, which holds parameters and learns."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, cast

from mlpx import callbacks as _callbacks
from mlpx import inputs, optimizers
from mlpx import metrics as _metrics
from mlpx._checks import (
    check_choice,
    check_count,
    check_flag,
    check_members,
    check_memory,
    check_number,
    check_numbers,
    member_of,
    one_by_position,
)
from mlpx._typing import Array, DType, Formula, Numbers
from mlpx.backends import Backend, get_backend, to_numpy
from mlpx.backends.host import Key, StepKeys
from mlpx.backends.host import xp as hxp
from mlpx.batches import Drawn
from mlpx.data import Rows, choose_rows, split_rows
from mlpx.evaluation import Sample, score
from mlpx.history import History
from mlpx.layers import Dense, Layer
from mlpx.layers.affine import Affine
from mlpx.layers.base import at
from mlpx.layers.composite import Composite
from mlpx.losses import Loss
from mlpx.metrics import Metric
from mlpx.network import Architecture, Gradients, Trace
from mlpx.optimizers import Optimizer
from mlpx.plan import Prediction, compiled
from mlpx.precision import MASTER, check_dtype, check_precision
from mlpx.sources.base import Source
from mlpx.sources.intake import Intake
from mlpx.sources.samples import (
    AsRead,
    HeldOut,
    Stream,
    check_arguments,
    check_metrics,
    check_schedules,
    outputs,
)
from mlpx.stopping import Patience, Stopping
from mlpx.streaming import by_piece
from mlpx.training import Run, Settings

__all__ = ["Network", "check_network", "in_double"]


class Network:
    """A multi-layer perceptron from a list of layers, or a stack of such networks trained side by side.

    Parameters
    ----------
    layers : sequence of Layer
        The last must be `Dense`; its activation is the output.
    loss : str or Loss, optional
        By default the one that belongs to the output: ``"cross_entropy"`` to softmax, ``"binary_cross_entropy"`` to
        sigmoid, ``"poisson"`` to exp, ``"perceptron"`` to step, else ``"squared_error"``. See `mlpx.losses`.
    l2 : float or sequence of float
        Lambda of the penalty ``lambda/2 * sum of squared weights`` that is added to the mean loss; biases are free.
        With a stack also one number a member.
    dtype : {"float32", "float64", "float16", "bfloat16"}
        What the network computes in. In float16 and bfloat16 the layers do, forward and backward; parameters, output,
        loss and update are float32.
    seed : int or sequence of int
        An int gives member i of a stack draws of its own; a list gives member i exactly the draws of a single network
        with that seed and the same layers.
    members : int, optional
        Number of networks in the stack; None for a single network without the axis.
    backend : str or Backend, optional
        See `mlpx.get_backend`.
    device : str, optional
        Such as ``"cuda:1"``.
    precision : "tf32" or None
        Whether products of float32 numbers may be computed in TensorFloat-32, on CUDA.

    Attributes
    ----------
    dtype_name : str
        The `dtype` that was asked for.
    classes : tuple or None
        The labels that `fit` saw, where they were no class indices.
    vector : array of shape (P,), with a stack (S, P)
        All parameters, of which `weights` and `biases` are parts.
    preprocessing : dict or None
        What was done to the data before the network, as JSON can hold it; kept in the model file.

    Raises
    ------
    ValueError, TypeError
        For arguments that do not fit.
    BackendUnavailableError
        For a backend whose library or device is not there.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.Network([mlpx.Dense(2, 8, "tanh"), mlpx.Dropout(0.1), mlpx.Dense(8, 1, "sigmoid")])
    >>> net.predict([[0.0, 1.0], [1.0, 1.0]]).shape
    (2, 1)
    """

    @one_by_position("layers", '[Dense(64, 128, "relu"), Dense(128, 10, "softmax")]')
    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        loss: str | Loss | Formula | None = None,
        l2: Numbers = 0.0,
        dtype: str = "float32",
        seed: int | Sequence[int] = 0,
        members: int | None = None,
        backend: str | Backend | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> None:
        self.architecture = Architecture.from_layers(layers, loss)
        self.members = None if members is None else check_count("members", members)
        self.l2 = check_numbers("l2", l2, least=0)
        check_members("l2", self.l2, self.members)
        for layer in self.architecture.layers:
            layer.check_stack(self.members)
        self.dtype_name = check_dtype(dtype)
        for layer in self.architecture.layers:
            layer.check_dtype(self.dtype_name)
        check_memory("layers", self.architecture.size, self.members)
        self.keys = _keys(seed, self.members)
        asked = getattr(backend, "precision", None) if precision is None else precision
        check_precision(asked, self.dtype_name)
        self.backend = get_backend(backend, device, precision)
        self.backend.dtype(self.dtype_name)  # refuses one that is not there
        self.preprocessing: dict[str, Any] | None = None
        self.reset()

    def reset(self) -> None:
        """Start over: initial parameters, counters at zero, no labels known.

        Examples
        --------
        >>> import mlpx
        >>> net = mlpx.MLP([1, 4, 1], output="linear")
        >>> before = net.predict([[0.5]])
        >>> history = net.fit([[0.0], [1.0]], [1.0, 0.0], epochs=3)
        >>> net.reset()
        >>> bool(net.predict([[0.5]]) == before)
        True
        """
        self.epochs_seen = [0] * len(self.keys)
        self.steps_seen = [0] * len(self.keys)
        self.classes: tuple[Any, ...] | None = None
        initial = [self.architecture.initialize(key) for key in self.keys]
        self._set_vector(initial[0] if self.members is None else hxp.stack(initial))

    def _set_vector(self, vector: Array) -> None:
        with self.backend.context():
            self.vector = self.backend.asarray(vector, dtype=self.master_dtype)

    # What it is.

    @property
    def dtype(self) -> DType:
        """The type that the network computes in, the backend's own object."""
        return self.backend.dtype(self.dtype_name)

    @property
    def master_dtype(self) -> DType:
        """The type of parameters, outputs and loss, the backend's own object."""
        return self.backend.dtype(self.master_dtype_name)

    @property
    def master_dtype_name(self) -> str:
        """The type of parameters, outputs and loss: float32 where the layers compute in half precision."""
        return MASTER[self.dtype_name]

    @property
    def sizes(self) -> list[int]:
        """Units of the input and of every layer with weights; a block counts as one."""
        net = self.architecture
        after = zip(net.layers, net.widths[1:], strict=True)
        return [net.widths[0], *(width for layer, width in after if isinstance(layer, (Affine, Composite)))]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, the last with the output's activation."""
        *hidden, last = self.architecture.layers
        return (*hidden, replace(cast("Dense", last), activation=self.architecture.output.activation))

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self.architecture.output.loss

    @property
    def n_parameters(self) -> int:
        """Number of parameters of one network: the length of its vector.

        What is not trained counts too: frozen biases, and the weights, which are 0, that a mask has left out.
        """
        return self.architecture.size

    @property
    def weights(self) -> list[Array]:
        """Weights of the layers that have some, each of shape ``(..., M_in, M_out)``, not to be written to.

        Those of `Maxout` have the shape ``(..., K, M_in, M_out)``. Within a block they stand in the order of its
        layers, and those of its projection behind them.
        """
        return [weights for weights, _ in self._blocks()]

    @property
    def biases(self) -> list[Array | None]:
        """Biases of the layers that have weights, each of shape ``(..., M_out)`` or None, not to be written to."""
        return [bias for _, bias in self._blocks()]

    @property
    def parameters(self) -> dict[str, Array]:
        """All parameters by name, as in a model file, not to be written to.

        A name is the path to the parameter: ``"0.theta"`` is the block of the first layer, whose last row is the bias.
        """
        with self.backend.context():
            return self.architecture.blocks(self.backend, self.backend.read_only(self.vector))

    def _blocks(self) -> list[tuple[Array, Array | None]]:
        with self.backend.context():
            return self._divided(self.parameters)

    def _divided(self, blocks: dict[str, Array]) -> list[tuple[Array, Array | None]]:
        """Return weights and biases, as parts of the blocks."""
        return [layer.split(blocks[f"{path}.theta"]) for path, layer in self.architecture.weighted.items()]

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the parameters as host data: a JAX array of float64 would come back as float32."""
        return {**self.__dict__, "vector": to_numpy(self.vector)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_vector(state["vector"])

    def __repr__(self) -> str:
        widths = [str(self.architecture.widths[0]), *(layer.label for layer in self.layers)]
        stack = f"{self.members} members, " if self.members is not None else ""
        dtype = self.dtype_name if self.backend.precision is None else f"{self.dtype_name} ({self.backend.precision})"
        what = f"{' - '.join(widths)}; loss {self.loss.label}; {stack}{self.n_parameters} parameters {dtype}"
        return f"<{type(self).__name__} {what} on {self.backend.name}, {self.backend.device_name}>"

    def __copy__(self) -> Network:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.keys, other.epochs_seen, other.steps_seen = list(self.keys), list(self.epochs_seen), list(self.steps_seen)
        other.preprocessing = copy.deepcopy(self.preprocessing)
        return other

    def set_weights(self, weights: Sequence[Any], biases: Sequence[Any]) -> None:
        """Set weights and biases to copies of the given arrays.

        Parameters
        ----------
        weights : sequence of array of shape (..., M_in, M_out)
            As in `weights`: one for each layer that has some.
        biases : sequence of array of shape (..., M_out)
            As in `biases`; None where there is no bias.

        Raises
        ------
        ValueError
            Where number or shapes do not fit, a number is not finite, or a weight is given where a mask has left the
            connection out; then nothing is changed.

        Examples
        --------
        >>> import mlpx
        >>> net = mlpx.MLP([2, 1], output="linear")
        >>> net.set_weights([[[1.0], [2.0]]], [[0.5]])
        >>> net.predict([[10.0, 1.0]])
        array([[12.5]], dtype=float32)
        """
        weighted = self.architecture.weighted
        for name, given in (("weights", weights), ("biases", biases)):
            if not hasattr(given, "__len__") or len(given) != len(weighted):
                came = f"{len(given)}" if hasattr(given, "__len__") else repr(given)
                msg = f"`{name}` must hold one array for each of the {len(weighted)} layers with weights, got {came}."
                raise ValueError(msg)
        blocks, dtype = {}, self.master_dtype_name
        for i, ((path, layer), w, b) in enumerate(zip(weighted.items(), weights, biases, strict=True)):
            *pieces, _, fan_out = self._stacked(layer.shapes()["theta"])
            rows = [_parameter(w, (*pieces, layer.fan_in, fan_out), dtype, f"weights[{i}]")]
            if layer.bias:
                rows.append(_parameter(b, (*pieces, fan_out), dtype, f"biases[{i}]")[..., None, :])
            elif b is not None:
                msg = f"`biases[{i}]` must be None, since that layer has no bias."
                raise ValueError(msg)
            blocks[f"{path}.theta"] = hxp.concat(rows, axis=-2)
        self._set_blocks(blocks)

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set some or all parameters to copies of the given arrays.

        Parameters
        ----------
        parameters : mapping of str to array
            Arrays by name, each of the name and shape that it has in `parameters`; others stay as they are.

        Raises
        ------
        ValueError
            For an unknown name, a shape that does not fit, a number that is not finite, or a weight where a mask has
            left the connection out; then nothing is changed.

        Examples
        --------
        >>> import mlpx
        >>> net = mlpx.Network([mlpx.Dense(2, 3), mlpx.PReLU(3), mlpx.Dense(3, 1)])
        >>> net.set_parameters({"1.gamma": [0.1, 0.2, 0.3]})
        >>> net.parameters["1.gamma"]
        array([0.1, 0.2, 0.3], dtype=float32)
        """
        shapes = {s.name: self._stacked(s.shape) for s in self.architecture.segments}
        if not isinstance(parameters, Mapping) or set(parameters) - set(shapes):
            came = (
                sorted(set(parameters) - set(shapes), key=str) if isinstance(parameters, Mapping) else repr(parameters)
            )
            msg = f"`parameters` must be a mapping with names from {', '.join(shapes)}; got {came}."
            raise ValueError(msg)
        dtype = self.master_dtype_name
        self._set_blocks(
            {
                name: _parameter(value, shapes[name], dtype, f"parameters[{name!r}]")
                for name, value in parameters.items()
            }
        )

    def _stacked(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a parameter with the axis of members, where there is one."""
        return shape if self.members is None else (self.members, *shape)

    def _set_blocks(self, blocks: Mapping[str, Array]) -> None:
        """Set parameters that were checked, but for masks."""
        net, vector = self.architecture, to_numpy(self.vector)
        flat = {name: hxp.reshape(block, (*vector.shape[:-1], -1)) for name, block in blocks.items()}
        vector = hxp.concat([flat.get(s.name, vector[..., s.start : s.stop]) for s in net.segments], axis=-1)
        net.check_connections(vector)
        self._set_vector(vector)

    def member(self, index: int) -> Network:
        """Return one member of the stack as a network of its own, with a copy of its parameters.

        Parameters
        ----------
        index : int
            From 0; negative numbers count from the end.

        Returns
        -------
        Network

        Raises
        ------
        ValueError
            For a network that is no stack.
        IndexError
            For a member that there is not.

        Examples
        --------
        >>> import mlpx
        >>> stack = mlpx.MLP([4, 8, 3], members=5)
        >>> stack.member(3).weights[0].shape
        (4, 8)
        """
        if self.members is None:
            msg = "`member` is for stacks, but `members` is None."
            raise ValueError(msg)
        if not hasattr(index, "__index__"):
            msg = f"`index` must be a whole number, got {index!r}."
            raise TypeError(msg)
        if not -self.members <= index < self.members:
            msg = f"`index` must be from 0 to {self.members - 1}, got {index}."
            raise IndexError(msg)
        index %= self.members
        one = copy.copy(self)
        one.__class__ = Network
        one.architecture = self.architecture.member(index)
        one.members = None
        one.l2 = member_of(self.l2, index)
        one.keys = [self.keys[index]]
        one.epochs_seen, one.steps_seen = [self.epochs_seen[index]], [self.steps_seen[index]]
        one._set_vector(to_numpy(self.vector)[index].copy())
        return one

    # The algorithm, step by step.

    def forward(self, X: Any, *, training: bool = False) -> Trace:
        """Run the network and keep everything that it computes.

        Parameters
        ----------
        X : array of shape (N, M_0), with a stack also (S, N, M_0)
            Features.
        training : bool
            Whether dropout acts, with the draws of the next training step.

        Returns
        -------
        Trace
            Arrays of the network's backend: ``a[0]`` is X; ``z[i]`` and ``a[i + 1]`` belong to ``weights[i]``;
            ``layers[i]`` is what any layer saved. In half precision all but the outputs are of that type.

        Raises
        ------
        ValueError, TypeError
            For features that do not fit.

        Examples
        --------
        >>> import mlpx
        >>> trace = mlpx.MLP([2, 3, 1], output="linear").forward([[0.5, 1.0]])
        >>> [a.shape for a in trace.a]
        [(1, 2), (1, 3), (1, 1)]
        """
        ops, net = self.backend, self.architecture
        with ops.context():
            x = ops.copy(self._features(X))  # what the trace keeps stays as it is
            z, saved = net.forward(ops, self.vector, x, training=training, draws=self._draws(x) if training else None)
            weighted = [at(saved, path) for path in net.weighted]
            outputs = ops.evaluate(net.output, z)
            return Trace(saved, [x, *(s.y for s in weighted[:-1]), outputs], [s.z for s in weighted])

    def _draws(self, x: Array) -> tuple[Array | None, ...]:
        """Return the random numbers of the next training step."""
        who = StepKeys(range(len(self.keys)), self.keys, self.steps_seen)
        return self.architecture.draw(self.backend, who, x.shape[-2], self.dtype, stack=self.members is not None)

    def backward(self, trace: Trace, y: Any, sample_weight: Any = None) -> Gradients:
        """Return the gradient of the risk by back-propagation.

        Parameters
        ----------
        trace : Trace
            What `forward` returned.
        y : array of shape (N, K) or (N,), with a stack also (S, N, K) or (S, N)
            Targets, as for `fit`.
        sample_weight : array of shape (N,) or (S, N), optional
            Weight of each sample in the mean.

        Returns
        -------
        Gradients
            Arrays of the network's backend. In half precision the error terms are of that type, without a loss scale:
            in float16 small ones are lost, which training avoids.

        Raises
        ------
        ValueError, TypeError
            For a trace of another network, for targets that do not fit, and where an activation has no derivative.

        Examples
        --------
        >>> import mlpx
        >>> net = mlpx.MLP([2, 3, 1], output="linear")
        >>> grads = net.backward(net.forward([[0.5, 1.0]]), [[1.0]])
        >>> [g.shape for g in grads.weights]
        [(2, 3), (3, 1)]
        """
        ops, net = self.backend, self.architecture
        self._require_derivatives()
        _check_trace(trace, net, ops, self.members)
        with ops.context():
            wanted, weight = self._wanted(trace.a[0], y, sample_weight)
            loss, data_loss, delta = self._risk(trace.z[-1], wanted, weight)
            by_layer = net.backward(ops, self.vector, trace.layers, delta)
            blocks = net.blocks(ops, self._gradient(by_layer))
            divided = self._divided(blocks)
            delta = [at(by_layer, path).delta for path in net.weighted]
            return Gradients(loss, data_loss, delta, [w for w, _ in divided], [b for _, b in divided], blocks)

    def _wanted(self, x: Array, y: Any, sample_weight: Any) -> tuple[Array, Array | None]:
        """Return targets as the loss takes them, and weights of the samples with the sum 1."""
        ops = self.backend
        wanted = inputs.targets(y, ops, self.master_dtype, self.architecture.output, x, self.members, self.classes)
        weight = inputs.sample_weights(sample_weight, x.shape[-2], self.members)
        if weight is not None:
            weight = ops.asarray(weight / hxp.sum(weight, axis=-1, keepdims=True), dtype=self.master_dtype)
        return wanted.y, weight

    def _risk(self, z: Array, y: Array, weight: Array | None) -> tuple[Array, Array, Array]:
        """Return the risk, its part without the penalty, and the error term, from the net input of the output."""
        ops, net = self.backend, self.architecture
        z = ops.xp.astype(z, self.master_dtype, copy=False)
        if weight is not None:  # what overflows in a row of weight zero must not reach the sums
            z = ops.xp.where(weight[..., None] > 0, z, ops.xp.zeros_like(z))
        data_loss, delta, _ = ops.loss_and_delta(net.output, z, y, weight)
        return data_loss + net.penalty(ops, self.vector, self._l2_on_device(), self._decay()), data_loss, delta

    def _gradient(self, by_layer: Sequence[Any]) -> Array:
        """Return the gradient of the risk as a vector, from the layers' own."""
        ops = self.backend
        gradient = ops.xp.astype(self.architecture.join(ops, by_layer), self.master_dtype, copy=False)
        gradient = gradient + self._l2_on_device() * self._decay() * self.vector
        connections = self.architecture.connections()
        return gradient if connections is None else gradient * ops.asarray(connections, dtype=self.master_dtype)

    def _decay(self) -> Array:
        return self.backend.asarray(self.architecture.masks()[0], dtype=self.master_dtype)

    def _l2_on_device(self) -> Any:
        if not isinstance(self.l2, tuple):
            return self.l2
        return self.backend.asarray(hxp.asarray(self.l2)[:, None], dtype=self.master_dtype)

    def _require_derivatives(self) -> None:
        name = self.architecture.untrainable
        if name is not None:
            msg = (
                f"`activation` {name!r} has no derivative, so the network cannot be trained; use 'logistic' instead, "
                "or 'step' as the output alone, with the loss 'perceptron'."
            )
            raise ValueError(msg)

    def _features(self, X: Any, name: str = "X", **staying: Any) -> Any:
        return inputs.features(X, self.backend, self.dtype, self.architecture.widths[0], self.members, name, **staying)

    # Learning.

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        epochs: int = 50,
        batch_size: int = 128,
        optimizer: str | Optimizer = "adam",
        patience: int | None = None,
        monitor: str = "loss",
        metrics: str | Metric | Sequence[str | Metric] = (),
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | str | None = None,
        label_smoothing: float = 0.0,
        clip_norm: Numbers | None = None,
        shuffle: bool = True,
        subsets: Sequence[Any] | None = None,
        shared_order: bool = False,
        callbacks: Any = (),
        progress: bool = True,
    ) -> History:
        """Train by stochastic gradient descent with back-propagation.

        A second call goes on from the present parameters with a fresh optimizer; `reset` starts over.

        Parameters
        ----------
        X : array of shape (N, M_0), with a stack also (S, N, M_0)
            Features: any array library, nested lists, pandas, polars. A `numpy.memmap`, or what is too large for the
            device, stays where it is: its rows are brought to the device run by run. The same holds of validation rows.
            Or a source of `mlpx.sources`, for data larger than memory.
        y : array of shape (N, K) or (N,), with a stack also (S, N, K) or (S, N)
            Targets; (N,) where there is one output. For softmax class indices (N,) or labels such as strings; for one
            sigmoid or step unit 0 and 1 or two labels. The axis of a stack stands in front only beside a
            three-dimensional `X`. A source brings its own: leave it out.
        validation : float, tuple or None
            A fraction of the rows to hold out (rounded up; drawn at random, the last rows if not `shuffle`), or
            ``(X, y)`` or ``(X, y, sample_weight)``, or a source.
        epochs : int
            Passes through the rows.
        batch_size : int
            Rows a step; 1 is the textbook's stochastic gradient descent.
        optimizer : str or Optimizer
            See `mlpx.optimizers`; by default ``Adam(1e-3)``.
        patience : int, optional
            Stop after so many epochs in a row without a better monitored score.
        monitor : str
            ``"loss"`` or a metric; on the validation rows where there are any.
        metrics : str, Metric or sequence of these
            Reported beside the loss: ``"accuracy"``, ``"error_rate"``, ``"r2"``, ``"rmse"``, ``"mae"``, and
            ``"roc_auc"`` (on validation rows alone).
        sample_weight : array of shape (N,) or (S, N), optional
            Weight of each sample.
        class_weight : dict or "balanced", optional
            Weight by class, times `sample_weight`.
        label_smoothing : float
            Share of each target that is spread over all classes, in the training loss alone.
        clip_norm : float or sequence of float, optional
            Bound on the norm of the gradient over all parameters of a network.
        shuffle : bool
            Whether to draw a new order for each epoch.
        subsets : sequence of integer arrays, optional
            Rows of each member of a stack, such as the training folds of a cross-validation.
        shared_order : bool
            Whether all members of a stack see the rows in one order, which is faster.
        callbacks : Callback, callable or sequence of these
            Called while training goes on; see `mlpx.Callback`.
        progress : bool
            Whether to show a progress bar, where standard error is a terminal.

        Returns
        -------
        History
            Numbers by epoch.

        Raises
        ------
        ValueError, TypeError
            For arguments that do not fit; nothing is changed then.
        DivergenceError
            Where loss or weights are no longer finite; the best weights are kept.

        Notes
        -----
        With `validation` or `patience` the weights of the best epoch stay in the end, else the last. Ctrl-C ends
        training in the same way.

        Examples
        --------
        >>> import mlpx
        >>> net = mlpx.MLP([2, 8, 1], activation="tanh", output="sigmoid", seed=1)
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        >>> history = net.fit(X, y, epochs=300, optimizer=mlpx.Adam(0.05))
        >>> net.predict_labels(X)
        array([0, 1, 1, 0])
        """
        self._require_derivatives()
        output = self.architecture.output
        chosen = _metrics.get(metrics, output)
        validated = validation is not None
        reported = _with_monitor(chosen, monitor, output, validated=validated)
        stack = self.members is not None
        shuffle, shared = check_flag("shuffle", shuffle), check_flag("shared_order", shared_order)
        order = Drawn(tuple(self.keys), tuple(self.epochs_seen), shuffle, shared, stack)
        settings = Settings(
            epochs=check_count("epochs", epochs),
            batch_size=check_count("batch_size", batch_size),
            optimizer=optimizers.get(optimizer),
            order=order,
            metrics=reported,
            held_out_metrics=reported,
            monitor=("validation_" if validated else "") + _metrics.full_name(monitor),
            stopping=Stopping() if patience is None else Patience(check_count("patience", patience)),
            keep_best=validated or patience is not None,
            clip_norm=None if clip_norm is None else check_numbers("clip_norm", clip_norm, above=0),
            callbacks=_callbacks.get(callbacks),
            progress=check_flag("progress", progress),
        )
        settings.optimizer.check_stack(self.members)
        settings.optimizer.check_dtype(hxp.finfo(getattr(hxp, self.master_dtype_name)).smallest_normal)
        if settings.clip_norm is not None:
            check_members("clip_norm", settings.clip_norm, self.members)
        smoothing = check_number("label_smoothing", label_smoothing, least=0, below=1)
        with self.backend.context():
            if isinstance(X, Source):
                given = {"y": y, "sample_weight": sample_weight, "subsets": subsets, "class_weight": class_weight}
                return self._fit_source(X, given, validation, settings, smoothing, shuffle=shuffle)
            train, held_out, classes = self._samples(
                X, y, validation, sample_weight, class_weight, smoothing, subsets, order, reported
            )
            run = Run(self, settings, train, held_out)
            self.classes = classes
            return run()

    def _fit_source(
        self,
        source: Source,
        given: dict[str, Any],
        validation: Any,
        settings: Settings,
        smoothing: float,
        *,
        shuffle: bool,
    ) -> History:
        """Train on a source."""
        check_arguments(given | {"validation": validation})
        check_schedules(settings.optimizer, source)
        classes = source.classes or self.classes
        held_out = None if validation is None else self._held_out(validation, classes, settings.held_out_metrics)
        intake = Intake(self, classes, given["class_weight"])
        stream = Stream(
            self,
            source,
            intake,
            shuffle=shuffle,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            smoothing=smoothing,
        )
        with stream:
            train: Any = stream
            run = Run(self, replace(settings, order=AsRead(shuffle)), train, held_out)
            self.classes = classes
            return run()

    def _held_out(self, validation: Any, classes: tuple[Any, ...] | None, metrics: Sequence[Metric]) -> Any:
        """Take in validation rows, from arrays or a source."""
        if not isinstance(validation, Source):
            return self._sample(validation, classes)
        check_metrics(metrics, "validation")
        return HeldOut(self.backend, validation, Intake(self, validation.classes or classes, name="validation"))

    def _samples(
        self,
        X: Any,
        y: Any,
        validation: Any,
        sample_weight: Any,
        class_weight: Any,
        smoothing: float,
        subsets: Sequence[Any] | None,
        order: Drawn,
        metrics: Sequence[Metric] = (),
    ) -> tuple[Sample, Sample | None, tuple[Any, ...] | None]:
        """Check and take in the data: training sample, validation sample, labels."""
        ops, output = self.backend, self.architecture.output
        x = self._features(X, may_stay=True, beside=y)
        found = inputs.targets(y, ops, self.master_dtype, output, x, self.members, self.classes, learn=True)
        n = x.shape[-2]
        weight = inputs.sample_weights(sample_weight, n, self.members)
        rows = choose_rows(n, subsets, self.members)
        held_out: Sample | None = None
        if isinstance(validation, Real):
            fraction = check_number("validation", validation, above=0, below=1)
            shared = order.shared
            rows, rows_out = split_rows(
                rows,
                fraction,
                [self.keys[0]] * len(self.keys) if shared else self.keys,
                [self.epochs_seen[0]] * len(self.keys) if shared else self.epochs_seen,
                shuffle=order.shuffle,
                shared=shared,
                stack=self.members is not None,
            )
            held_out = Sample.of(ops, x, found.y, rows_out, weight)
        elif validation is not None:
            held_out = self._held_out(validation, found.classes or self.classes, metrics)
        by_class = inputs.class_weights(
            class_weight, found.y, output, found.classes, rows.by_member(len(self.keys) if rows.index.ndim == 2 else 1)
        )
        if by_class is not None:
            weight = by_class if weight is None else by_class * weight
        train_y, truth = found.y, None
        if smoothing:
            train_y, truth = inputs.smooth(found.y, smoothing, ops, self.master_dtype, output)
        sample = Sample.of(ops, x, train_y, rows, weight, truth)
        _check_weight(sample, "training")
        if isinstance(held_out, Sample):
            _check_weight(held_out, "validation")
        return sample, held_out, found.classes if found.classes is not None else self.classes

    def _sample(self, data: Any, classes: tuple[Any, ...] | None) -> Sample:
        """Check and take in ``(X, y)`` or ``(X, y, sample_weight)``."""
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            rule = "a fraction, (X, y), (X, y, sample_weight) or a source"
            msg = f"`validation` must be {rule}, got {type(data).__name__}."
            raise TypeError(msg)
        x = self._features(data[0], "validation[0]", may_stay=True, beside=data[1])
        ops, output = self.backend, self.architecture.output
        y = inputs.targets(data[1], ops, self.master_dtype, output, x, self.members, classes, name="validation[1]").y
        weight = data[2] if len(data) == 3 else None
        checked = inputs.sample_weights(weight, x.shape[-2], self.members, "validation[2]")
        return Sample.of(ops, x, y, choose_rows(x.shape[-2], None, self.members), checked)

    # Using what was learned.

    def predict(self, X: Any) -> Array:
        """Return the outputs.

        Parameters
        ----------
        X : array of shape (N, M_0), with a stack also (S, N, M_0)
            Features; a `numpy.memmap` is read in pieces, and so is a source of `mlpx.sources`.

        Returns
        -------
        array of shape (N, K), with a stack (S, N, K)
            In the library and on the device of `X`; NumPy for lists, tables and sources.

        Raises
        ------
        ValueError, TypeError
            For features that do not fit.

        Examples
        --------
        >>> import mlpx
        >>> mlpx.MLP([2, 3, 4]).predict([[0.5, 1.0]]).shape
        (1, 4)
        """
        self._check_prepared(X)
        with self.backend.context():
            if isinstance(X, Source):
                return outputs(self, X, self._outputs)
            return inputs.like(self._outputs(self._features(X, may_stay=True)), self.backend, X)

    def _check_prepared(self, X: Any) -> None:
        """Warn of a table where the network was trained on inputs made from its columns."""
        if self.preprocessing is not None and hasattr(X, "columns") and not isinstance(X, Source):
            msg = (
                "`X` is a table, but this network was trained on inputs prepared from columns (net.preprocessing): "
                "mlpx.tables.Preprocessing.from_dict(net.preprocessing).transform(X) makes them."
            )
            warnings.warn(msg, UserWarning, stacklevel=3)

    def _outputs(self, x: Any) -> Array:
        run = compiled(Prediction(self.backend, self.architecture))
        units = max(self.architecture.widths[1:]) * (self.members or 1)
        return by_piece(lambda part: run(self.vector, part), self.backend, x, units)

    def predict_labels(self, X: Any) -> Array:
        """Return the decided class of each sample: the largest softmax output, or whether a sigmoid is above 0.5.

        Parameters
        ----------
        X : array of shape (N, M_0), with a stack also (S, N, M_0)
            Features.

        Returns
        -------
        array of shape (N,), with a stack (S, N); several sigmoids: one more axis of K
            The labels that `fit` saw, as a NumPy array; where it saw class indices, integers in the library of `X`.

        Raises
        ------
        ValueError
            For an output that is none of softmax, sigmoid and step.

        Examples
        --------
        >>> import mlpx
        >>> net = mlpx.MLP([1, 1], output="sigmoid")
        >>> net.set_weights([[[1.0]]], [[0.0]])
        >>> net.predict_labels([[-2.0], [2.0]])
        array([0, 1])
        """
        ops = self.backend
        self._check_prepared(X)
        with ops.context():
            found: Array
            if isinstance(X, Source):
                found = outputs(self, X, self._decided)
            else:
                decided = self._decided(self._features(X, may_stay=True))
                found = inputs.like(decided, ops, X) if self.classes is None else ops.to_numpy(decided)
            return found if self.classes is None else inputs.decode(found, self.classes)

    def _decided(self, x: Any) -> Array:
        """Return the decided classes as numbers."""
        output = self.architecture.output
        decided = output.decide(self._outputs(x), self.backend.xp)
        return decided[..., 0] if output.task == "binary" else decided

    def evaluate(
        self,
        X: Any,
        y: Any = None,
        *,
        metrics: str | Metric | Sequence[str | Metric] | None = None,
        sample_weight: Any = None,
    ) -> dict[str, Any]:
        """Return the loss of the data (without penalty and dropout) and metrics.

        Parameters
        ----------
        X, y
            As for `fit`.
        metrics : str, Metric or sequence of these, optional
            By default ``"accuracy"`` for classes and ``"r2"`` for values.
        sample_weight : array of shape (N,) or (S, N), optional
            Weight of each sample.

        Returns
        -------
        dict
            Numbers by name: ``"loss"``, the mean over the samples, and the metrics; with a stack NumPy arrays of
            shape (S,).

        Raises
        ------
        ValueError, TypeError
            For data or metrics that do not fit.

        Examples
        --------
        >>> import mlpx
        >>> net = mlpx.MLP([1, 1], output="linear")
        >>> net.set_weights([[[1.0]]], [[0.0]])
        >>> net.evaluate([[1.0], [3.0]], [1.0, 1.0], metrics=["mae", "rmse"])["mae"]
        1.0
        """
        output = self.architecture.output
        if metrics is None:
            metrics = "r2" if output.task == "values" else "accuracy"
        chosen = _metrics.get(metrics, output)
        with self.backend.context():
            sample: Any
            if isinstance(X, Source):
                check_arguments({"y": y, "sample_weight": sample_weight})
                check_metrics(chosen, "X")
                sample = HeldOut(self.backend, X, Intake(self, X.classes or self.classes))
            else:
                x = self._features(X, may_stay=True, beside=y)
                found = inputs.targets(y, self.backend, self.master_dtype, output, x, self.members, self.classes)
                weight = inputs.sample_weights(sample_weight, x.shape[-2], self.members)
                sample = Sample.of(self.backend, x, found.y, choose_rows(x.shape[-2], None, self.members), weight)
            values = score(self.backend, self.architecture, sample, self.vector, chosen)
        if self.members is None:
            return {name: float(value[0]) for name, value in values.items()}
        return values

    # Files.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one file, which `mlpx.load` reads under any backend.

        Parameters
        ----------
        path : str or path
            By convention it ends in ``.mlpx``.

        Raises
        ------
        ValueError
            For an activation made by `mlpx.activations.custom`, which no file can hold.
        OSError
            Where the file cannot be written; an existing one is then as it was.

        Examples
        --------
        >>> import mlpx, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.mlpx"
        >>> mlpx.MLP([2, 3, 1], output="linear").save(path)
        >>> path.exists()
        True
        """
        from mlpx.persistence import save

        save(self, Path(path))

    # In other forms, by `mlpx.conversion`.

    def to_onnx(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return the network as an ONNX model; what was done to columns before it is part of that.

        Parameters
        ----------
        path : str or path, optional
            A file to write as well.

        Returns
        -------
        onnx.ModelProto
            See `mlpx.conversion.to_onnx` for its inputs and outputs.

        Raises
        ------
        ValueError, ImportError
            As `mlpx.conversion.to_onnx`.

        Examples
        --------
        >>> import mlpx
        >>> [given.name for given in mlpx.MLP([4, 8, 3]).to_onnx().graph.output]  # doctest: +SKIP
        ['y', 'label']
        """
        from mlpx.conversion import to_onnx

        return to_onnx(self, path)

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters as a plain npz file, which NumPy alone reads.

        Parameters
        ----------
        path : str or path
            See `mlpx.conversion.to_npz` for what the file holds.

        Examples
        --------
        >>> import mlpx, numpy
        >>> mlpx.MLP([4, 3]).to_npz("net.npz")
        >>> numpy.load("net.npz").files
        ['description', '0.weights', '0.bias']
        """
        from mlpx.conversion import to_npz

        to_npz(self, path)

    def to_standalone(self, path: str | os.PathLike[str]) -> None:
        """Write a short program that predicts with NumPy alone, and its parameters beside it.

        Parameters
        ----------
        path : str or path
            A file that ends in ``.py``; see `mlpx.conversion.to_standalone`.

        Raises
        ------
        ValueError
            As `mlpx.conversion.to_standalone`.

        Examples
        --------
        >>> import mlpx
        >>> mlpx.MLP([4, 8, 3]).to_standalone("model.py")
        """
        from mlpx.conversion import to_standalone

        to_standalone(self, path)

    def to_torch(self, *, logits: bool = False) -> Any:
        """Return the network as a model of PyTorch.

        Parameters
        ----------
        logits : bool
            Whether the activation of the output is left out.

        Returns
        -------
        torch.nn.Sequential
            See `mlpx.conversion.to_torch`.

        Raises
        ------
        ValueError, ImportError
            As `mlpx.conversion.to_torch`.

        Examples
        --------
        >>> import mlpx
        >>> len(mlpx.MLP([4, 8, 3]).to_torch())  # doctest: +SKIP
        4
        """
        from mlpx.conversion import to_torch

        return to_torch(self, logits=logits)

    def to_sklearn(self) -> Any:
        """Return the network as a fitted estimator of scikit-learn.

        Returns
        -------
        estimator
            See `mlpx.conversion.to_sklearn`.

        Raises
        ------
        ValueError, ImportError
            As `mlpx.conversion.to_sklearn`.

        Examples
        --------
        >>> import mlpx
        >>> mlpx.MLP([1, 8, 1], output="linear").to_sklearn()  # doctest: +SKIP
        MLPRegressor(hidden_layer_sizes=(8,))
        """
        from mlpx.conversion import to_sklearn

        return to_sklearn(self)


def _check_trace(trace: Any, net: Architecture, ops: Backend, members: int | None) -> None:
    """Refuse what is no trace of such a network."""
    if not isinstance(trace, Trace):
        msg = f"`trace` must be what forward() returned, got {type(trace).__name__}."
        raise TypeError(msg)
    try:
        saved = [at(trace.layers, path) for path in net.weighted]
        widths = [own.x.shape[-1] for own in saved]
        shapes = [tuple(own.z.shape) for own in saved]
    except (AttributeError, IndexError):  # of a network of other layers
        widths, shapes = [x.shape[-1] for x in trace.a[:-1]], []
    wanted = [layer.fan_in for layer in net.weighted.values()]
    if widths != wanted or not type(ops).owns(trace.a[0]):
        came = f"it is of widths {widths}, not {wanted}, or of another backend"
    elif len(trace.layers) != len(net.layers) or shapes != _net_input_shapes(net, trace.a[0].shape[-2], members):
        came = "it is of other layers, or of another number of members"
    else:
        return
    msg = f"`trace` must come from this network's forward(); {came}."
    raise ValueError(msg)


def _net_input_shapes(net: Architecture, rows: int, members: int | None) -> list[tuple[int, ...]]:
    """Return the shapes of the net inputs of all layers with weights."""
    stack = () if members is None else (members,)
    blocks = [layer.shapes()["theta"] for layer in net.weighted.values()]
    return [(*stack, *pieces, rows, fan_out) for *pieces, _, fan_out in blocks]


def _keys(seed: Any, members: int | None) -> list[Key]:
    if hasattr(seed, "__len__") and not isinstance(seed, (str, bytes)) and getattr(seed, "ndim", 1) != 0:
        if len(seed) != members:
            rule = "one int, since `members` is None" if members is None else f"one int, or {members} of them"
            msg = f"`seed` must be {rule}; got {len(seed)}."
            raise ValueError(msg)
        return [Key(_check_seed(s)) for s in seed]
    return [Key(_check_seed(seed), i) for i in range(members or 1)]


def _check_seed(seed: Any) -> int:
    value = check_count("seed", seed, least=0)
    if value >= 2**64:
        msg = f"`seed` must be below 2**64, got {value}."
        raise ValueError(msg)
    return value


def _parameter(value: Any, shape: tuple[int, ...], dtype: str, name: str) -> Array:
    """Return weights or biases that a user gave, as a host array, checked."""
    try:
        array = to_numpy(value)
    except (ValueError, TypeError) as error:
        msg = f"`{name}` must be an array of numbers; it cannot be made one ({error})."
        raise ValueError(msg) from error
    if tuple(array.shape) != shape:
        came = "None" if value is None else str(tuple(array.shape))
        msg = f"`{name}` must have the shape {shape}, got {came}."
        raise ValueError(msg)
    numbers = array.dtype.kind in "iuf"
    if not numbers or not hxp.all(hxp.abs(array) <= hxp.finfo(getattr(hxp, dtype)).max):
        msg = f"`{name}` must hold real numbers that are finite in {dtype} (dtype {array.dtype})."
        raise ValueError(msg)
    return array


def _with_monitor(chosen: tuple[Metric, ...], monitor: str, output: Any, *, validated: bool) -> tuple[Metric, ...]:
    """Return the metrics with the monitored one among them."""
    monitor = _metrics.full_name(monitor)
    if monitor == "loss" or monitor in [metric.name for metric in chosen]:
        found = chosen
    else:
        known = ("loss", *Metric.known)
        found = (*chosen, *_metrics.get(check_choice("monitor", monitor, known), output))
    if not validated and any(not metric.additive for metric in found):
        msg = "`metrics` 'roc_auc' needs all outputs at once: give `validation` rows to compute it on."
        raise ValueError(msg)
    return found


def _check_weight(sample: Sample, what: str) -> None:
    """Refuse rows that have no weight at all."""
    if sample.weight is None:
        return
    rows: Rows = sample.rows
    members = max(
        sample.weight.shape[0] if sample.weight.ndim == 2 else 1, rows.count.shape[0] if rows.count.ndim else 1
    )
    for s, own in enumerate(rows.by_member(members)):
        weight = sample.weight[s] if sample.weight.ndim == 2 else sample.weight
        if not hxp.any(hxp.take(weight, own) > 0):
            msg = f"`sample_weight` times `class_weight` is 0 on every {what} row" + (
                f" of member {s}." if members > 1 else "."
            )
            raise ValueError(msg)


def check_network(net: Any) -> Network:
    """Return `net`, which must be a network."""
    if isinstance(net, Network):
        return net
    came = f"the class {net.__name__}" if isinstance(net, type) else type(net).__name__
    remedy = "Build one, such as mlpx.MLP([64, 128, 10])."
    if not isinstance(net, type) and hasattr(type(net), "network_"):
        remedy = "Give its network_, which it has after fit."
    msg = f"`net` must be an mlpx.Network, got {came}. {remedy}"
    raise TypeError(msg)


def in_double(net: Network, vector: Array) -> Network:
    """Return a copy of a network that computes in float64, with other parameters.

    Parameters
    ----------
    net : Network
        It stays as it is.
    vector : array of shape (P,) or (S, P)
        As ``net.vector``; with an axis in front the copy is a stack of S networks.
    """
    one = copy.copy(net)
    one.dtype_name = "float64"
    one.members = vector.shape[0] if vector.ndim == 2 else None
    if one.members != net.members:  # a stack of one network at several points
        for name in ("keys", "epochs_seen", "steps_seen"):
            setattr(one, name, getattr(net, name)[:1] * (one.members or 1))
    one._set_vector(vector)
    return one
