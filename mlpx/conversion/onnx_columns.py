"""The columns of a table as inputs of an ONNX graph, and the nodes that prepare them for the network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpx.conversion.onnx_nodes import Graph
from mlpx.conversion.tracing import Traced, TracingNamespace, source

__all__ = ["ML", "column_inputs", "prepared"]

ML = "ai.onnx.ml"
_HUGE = 1e100  # its square is finite, and far beyond any bound
_TEXTS = ("category", "embedded")


def column_inputs(onnx: Any, entries: list[dict[str, Any]]) -> list[Any]:
    """Return one input a column, of shape (n, 1): text for categories, double for numbers and dates."""
    types = onnx.TensorProto
    return [
        onnx.helper.make_tensor_value_info(
            entry["name"], types.STRING if entry["kind"] in _TEXTS else types.DOUBLE, ["n", 1]
        )
        for entry in entries
    ]


def prepared(graph: Graph, entries: list[dict[str, Any]], dtype: Any) -> str:
    """Write the nodes that turn columns into the network's inputs, and return their name.

    Parameters
    ----------
    graph : Graph
        Where the nodes go.
    entries : list of dict
        What `mlpx.conversion.columns.column_entries` gives.
    dtype : dtype
        The network's type.

    Returns
    -------
    str
        Name of an array of shape (n, width).
    """
    parts = [graph.write(part, dtype) for entry in entries for part in _PARTS[entry["kind"]](graph, entry)]
    return graph.node("Concat", *parts, axis=1, name="prepared")


_XP: Any = TracingNamespace()


def _scaled(x: Any, entry: dict[str, Any]) -> Any:
    u = (x - entry["center"]) / entry["scale"]
    if entry.get("clip") is None:
        return u
    u = _XP.clip(u, -_HUGE, _HUGE)
    v = u / entry["clip"]
    return u / _XP.sqrt(1.0 + v * v)


def _number(graph: Graph, entry: dict[str, Any]) -> list[Any]:
    x = source(entry["name"], "float64", 1)
    missing = _XP.isnan(x)
    x = _XP.where(missing, entry["fill"], x)
    parts = [_scaled(x, entry)]
    if entry["missing"]:
        parts.append(_XP.astype(missing, np.float64))
    if entry["knots"]:
        knots = np.asarray(entry["knots"], dtype=np.float64)[None, :]
        parts.append(_XP.clip((x - knots[:, :-1]) / np.diff(knots), 0.0, 1.0))
    return parts


def _date(graph: Graph, entry: dict[str, Any]) -> list[Any]:
    x = source(entry["name"], "float64", 1)
    missing = _XP.isnan(x)
    parts = [_scaled(_XP.where(missing, entry["center"], x), entry)]
    for period in entry["phases"]:
        angle = 2 * math.pi * ((x - period * _XP.floor(x / period)) / period)
        parts += [_XP.where(missing, 0.0, wave(angle)) for wave in (_XP.sin, _XP.cos)]
    return parts


def _category(graph: Graph, entry: dict[str, Any]) -> list[Any]:
    count = len(entry["categories"])
    places = dict(zip(entry["categories"], range(count), strict=True))
    if entry["missing"]:
        places.setdefault("", count)
    code = _coded(graph, entry["name"], places, -1)
    return [_XP.equal(code, np.arange(count + entry["missing"])[None, :])]


def _embedded(graph: Graph, entry: dict[str, Any]) -> list[Any]:
    places = {text: i + 1 for i, text in enumerate(entry["categories"])}
    return [_coded(graph, entry["name"], places, 0)]


def _coded(graph: Graph, name: str, places: dict[str, int], unknown: int) -> Traced:
    """Return the place of each text as a whole number."""
    output = graph.node(
        "LabelEncoder",
        name,
        domain=ML,
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=unknown,
    )
    return source(output, "int64", 1)


_PARTS = {"number": _number, "category": _category, "embedded": _embedded, "date": _date}
