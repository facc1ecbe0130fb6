"""Networks to ONNX: one graph with the layers, and with what was done to the table before them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mlpx import _optional
from mlpx._typing import Array
from mlpx._version import __version__
from mlpx.backends import to_numpy
from mlpx.conversion.columns import column_entries, target_entry
from mlpx.conversion.onnx_columns import ML, column_inputs, prepared
from mlpx.conversion.onnx_nodes import Graph, OnnxBackend
from mlpx.conversion.tracing import Traced, TracingNamespace, source
from mlpx.model import Network, check_network

__all__ = ["INSTALL", "ML_OPSET", "OPSET", "to_onnx"]

INSTALL = 'pip install "mlpx[onnx]"'
OPSET, ML_OPSET, IR_VERSION = 13, 2, 7


def to_onnx(net: Network, path: str | os.PathLike[str] | None = None) -> Any:
    """Return a network as an ONNX model, and write it to a file where one is named.

    Parameters
    ----------
    net : Network
        A network or a stack, of any layers.
    path : str or path, optional
        A file to write; by convention it ends in ``.onnx``.

    Returns
    -------
    onnx.ModelProto
        In opset 13 (ONNX 1.8) and ai.onnx.ml 2, checked by ``onnx.checker``; any number of rows.

    Raises
    ------
    ValueError
        For a function or layer of a user's own that does more than functions of the Array API standard, and for a
        description of columns that is none of `mlpx.tables.Preprocessing`.
    ImportError
        Where the package onnx is not installed.

    Notes
    -----
    A network by itself has the input ``X`` of shape (n, M) and the output ``y``, which is what `predict` gives: of
    shape (n, K), of a stack (S, n, K). Where the outputs stand for classes there is also ``label``, what
    `predict_labels` gives. float16 and bfloat16 are exported as float32.

    With a description of columns in ``net.preprocessing`` it is part of the graph. Each column is an input of its name,
    of shape (n, 1): categories are texts, and the empty text stands for a missing one; numbers are double, and so are
    dates, as seconds since 1970-01-01 UTC; NaN stands for a missing one. The outputs are ``label``, texts of shape
    (n,), and ``probabilities``, of shape (n, K); or ``prediction``, numbers of shape (n,) in the target's own unit. Of
    a stack it is the mean over the members. Where a column has the name of an output, that gets an underscore behind.

    Dropout is left out, as in prediction. On onnxruntime the outputs differ from those of mlpx by at most 1e-5. What
    onnxruntime has no float64 for, such as ``atan``, is computed in float32 there.

    Examples
    --------
    >>> import onnx
    >>> import mlpx
    >>> from mlpx.conversion import to_onnx
    >>> model = to_onnx(mlpx.MLP([4, 8, 3]))
    >>> [node.op_type for node in model.graph.node]
    ['MatMul', 'Add', 'Relu', 'MatMul', 'Add', 'Softmax', 'Identity', 'ArgMax', 'Identity']
    """
    net = check_network(net)
    onnx = _optional.require("onnx", "Exporting to ONNX", INSTALL)
    _optional.require("onnx.checker", "Exporting to ONNX", INSTALL)
    vector = np.asarray(to_numpy(net.vector), dtype=net.master_dtype_name)
    if net.preprocessing is None:
        graph = Graph(onnx, _names(net, vector))
        inputs, outputs = _plain(net, graph, vector)
    else:
        entries, target = _columns(net)
        graph = Graph(onnx, _names(net, vector), [entry["name"] for entry in entries])
        inputs, outputs = _table(net, graph, vector, entries, target)
    made = onnx.helper.make_graph(graph.nodes, "mlpx", inputs, outputs, graph.constants)
    model = onnx.helper.make_model(
        made,
        opset_imports=[onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(ML, ML_OPSET)],
        ir_version=IR_VERSION,
        producer_name="mlpx",
        producer_version=__version__,
    )
    onnx.checker.check_model(model)
    if path is not None:
        Path(path).write_bytes(model.SerializeToString())
    return model


def _names(net: Network, vector: Array) -> dict[int, str]:
    """Return names of weights and other parameters by the address of their first number in the host's vector."""
    architecture = net.architecture
    names: dict[int, str] = {}
    for segment in architecture.segments:
        block = np.reshape(vector[..., segment.start : segment.stop], (*vector.shape[:-1], *segment.shape))
        layer = architecture.weighted.get(segment.layer)
        if layer is None:
            parts: dict[str, Any] = {segment.name: block}
        else:
            weights, bias = layer.split(block)
            parts = {f"{segment.layer}.weights": weights, f"{segment.layer}.bias": bias}
        names.update({part.__array_interface__["data"][0]: name for name, part in parts.items() if part is not None})
    return names


def _outputs(net: Network, x: Traced, vector: Array) -> Traced:
    """Return the network's outputs as a graph of functions."""
    ops: Any = OnnxBackend(x.dtype)
    z, _ = net.architecture.forward(ops, vector, x)
    y: Traced = ops.evaluate(net.architecture.output.activation, z)
    return y


def _info(graph: Graph, name: str, dtype: Any, shape: list[Any]) -> Any:
    """Return the description of an input or output."""
    helper, types = graph.onnx.helper, graph.onnx.TensorProto
    kind = types.STRING if dtype is str else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, shape)


def _plain(net: Network, graph: Graph, vector: Array) -> tuple[list[Any], list[Any]]:
    """Write a network without columns, and return inputs and outputs."""
    widths, dtype = net.architecture.widths, net.master_dtype_name
    members = [] if net.members is None else [net.members]
    y = graph.node("Identity", graph.write(_outputs(net, source("X", dtype, widths[0]), vector)), name="y")
    outputs = [_info(graph, y, dtype, [*members, "n", widths[-1]])]
    task = net.architecture.output.task
    if task != "values":
        decided = _decided(graph, y, task, dtype)
        kind = np.int64 if net.classes is None else _kind(net.classes)
        label = decided if net.classes is None else graph.node("Gather", _classes(graph, net.classes), decided)
        each = [widths[-1]] if task == "labels" else []
        outputs.append(_info(graph, graph.node("Identity", label, name="label"), kind, [*members, "n", *each]))
    return [_info(graph, "X", dtype, ["n", widths[0]])], outputs


def _decided(graph: Graph, y: str, task: str, dtype: str) -> str:
    """Write the decision: the index of a class, or 0 and 1."""
    if task == "classes":
        return graph.node("ArgMax", y, axis=-1, keepdims=0)
    above = graph.cast(graph.node("Greater", y, graph.constant(0.5, dtype)), np.int64)
    return above if task == "labels" else graph.node("Squeeze", above, graph.constant([-1], "int64"))


def _kind(classes: tuple[Any, ...]) -> Any:
    """Return the type of labels."""
    kind = np.asarray(classes).dtype
    return str if kind.kind in "UOST" else kind


def _classes(graph: Graph, classes: tuple[Any, ...]) -> str:
    """Write the labels as a constant."""
    kind = _kind(classes)
    if kind is not str:
        return graph.constant(np.asarray(classes))
    texts = [str(label).encode() for label in classes]
    name = graph.free("classes")
    graph.constants.append(graph.onnx.helper.make_tensor(name, graph.onnx.TensorProto.STRING, [len(texts)], texts))
    return name


def _columns(net: Network) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what is done to the columns, and the target."""
    from mlpx.tables import Preprocessing

    preprocessing = Preprocessing.from_dict(net.preprocessing)
    entries = column_entries(preprocessing)
    if any(not entry["name"] for entry in entries):
        msg = "`net` has a column whose name is empty, which an input of a graph cannot be; name it and train again."
        raise ValueError(msg)
    return entries, target_entry(preprocessing)


def _table(
    net: Network, graph: Graph, vector: Array, entries: list[dict[str, Any]], target: dict[str, Any]
) -> tuple[list[Any], list[Any]]:
    """Write a network with its columns, and return inputs and outputs."""
    dtype = net.master_dtype_name
    x = source(prepared(graph, entries, dtype), dtype, net.architecture.widths[0])
    y = _outputs(net, x, vector)
    if net.members is not None:
        y = TracingNamespace().mean(y, axis=0)
    inputs = column_inputs(graph.onnx, entries)
    if "classes" not in target:
        return inputs, [_prediction(graph, graph.write(y, np.float64), target, dtype)]
    return inputs, _labelled(graph, graph.write(y), target["classes"], net.architecture.output.task, dtype)


def _prediction(graph: Graph, y: str, target: dict[str, Any], dtype: Any) -> Any:
    """Write the numbers in the target's own unit."""
    scaled = graph.node("Mul", y, graph.constant(target["scale"], "float64"))
    number = graph.node("Add", scaled, graph.constant(target["mean"], "float64"))
    flat = graph.node("Squeeze", graph.cast(number, dtype), graph.constant([-1], "int64"), name="prediction")
    return _info(graph, flat, dtype, ["n"])


def _labelled(graph: Graph, y: str, classes: list[str], task: str, dtype: Any) -> list[Any]:
    """Write labels and probabilities."""
    if task == "binary":  # one sigmoid gives the probability of the second of two classes
        other = graph.node("Sub", graph.constant(1, dtype), y)
        y = graph.node("Concat", other, y, axis=-1)
    probabilities = graph.node("Identity", y, name="probabilities")
    best = graph.node("ArgMax", probabilities, axis=-1, keepdims=0)
    label = graph.node("Gather", _classes(graph, tuple(classes)), best, name="label")
    return [_info(graph, label, str, ["n"]), _info(graph, probabilities, dtype, ["n", len(classes)])]
