"""Traced formulas as nodes of an ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from mlpx import activations
from mlpx._typing import Formula
from mlpx.conversion.tracing import Traced, TracingBackend, TracingNamespace

__all__ = ["Graph", "OnnxBackend"]

# the same function under ONNX's name
_SAME = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin", "asinh": "Asinh", "atan": "Atan",
    "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "divide": "Div", "equal": "Equal", "erf": "Erf",
    "exp": "Exp", "floor": "Floor", "greater": "Greater", "greater_equal": "GreaterOrEqual", "isnan": "IsNaN",
    "less": "Less", "less_equal": "LessOrEqual", "log": "Log", "logical_and": "And", "logical_not": "Not",
    "logical_or": "Or", "matmul": "MatMul", "maximum": "Max", "minimum": "Min", "multiply": "Mul", "negative": "Neg",
    "pow": "Pow", "reciprocal": "Reciprocal", "round": "Round", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "sqrt": "Sqrt", "subtract": "Sub", "tan": "Tan", "tanh": "Tanh", "where": "Where",
}  # fmt: skip
_REDUCTIONS = {"max": "ReduceMax", "mean": "ReduceMean", "min": "ReduceMin", "prod": "ReduceProd"}
# onnxruntime computes these in float32 alone
_SINGLE = {"Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Erf", "Sinh", "Tan"}

# activations that ONNX has as one node, in every type and in float32 alone
_NODES: dict[str, Any] = {
    "relu": lambda f: ("Relu", {}),
    "logistic": lambda f: ("Sigmoid", {}),
    "softmax": lambda f: ("Softmax", {"axis": -1}),
    "tanh": lambda f: ("Tanh", {}),
}
_SINGLE_NODES: dict[str, Any] = {
    "elu": lambda f: ("Elu", {"alpha": f.gamma}),
    "leaky_relu": lambda f: ("LeakyRelu", {"alpha": f.gamma}),
    "selu": lambda f: ("Selu", {"alpha": activations.SELU_GAMMA, "gamma": activations.SELU_LAMBDA}),
    "softplus": lambda f: ("Softplus", {}),
}

_XP: Any = TracingNamespace()


class OnnxBackend(TracingBackend):
    """What layers ask of a backend; an activation that ONNX knows becomes one node.

    Parameters
    ----------
    dtype : dtype
        The type that is computed in.
    """

    def __init__(self, dtype: Any) -> None:
        single = np.dtype(dtype) == np.float32
        super().__init__(TracingNamespace(("erf",) if single else ()))
        self.nodes = {**_NODES, **(_SINGLE_NODES if single else {})}

    def evaluate(self, formula: Formula, *arrays: Any) -> Any:
        """Return the formula's graph."""
        name = getattr(formula, "name", None)
        if type(formula) is not getattr(activations, str(name), None) or name not in self.nodes:
            return super().evaluate(formula, *arrays)
        kind, attributes = self.nodes[name](formula)
        return Traced("node", arrays, {"kind": kind, **attributes}, arrays[0].dtype, arrays[0].shape)


class Graph:
    """Nodes and constants of an ONNX graph, in the order in which they were asked for.

    Parameters
    ----------
    onnx : module
        The library.
    names : dict of str
        Names of parameters by the address of their first number, for as long as these are there.
    taken : collection of str
        Names of inputs, which nothing else is called; it gets underscores behind its name instead.
    """

    def __init__(self, onnx: Any, names: dict[int, str] | None = None, taken: Collection[str] = ()) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names, self._taken = names or {}, frozenset(taken)
        self._written: dict[int, tuple[Traced, str]] = {}  # the array too, so that its id stays its own
        self._known: dict[Any, str] = {}

    def node(self, kind: str, *inputs: str, domain: str = "", name: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = self.free(name or f"{kind}_{len(self.nodes)}")
        made = self.onnx.helper.make_node(kind, list(inputs), [output], output, domain=domain, **attributes)
        self.nodes.append(made)
        return output

    def free(self, name: str) -> str:
        """Return a name that no input has."""
        while name in self._taken:
            name += "_"
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a constant, each one once, and return its name."""
        array = np.asarray(value) if dtype is None else np.asarray(value, dtype=dtype)
        name = self._names.get(array.__array_interface__["data"][0])
        key = name or (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = found = self.free(name or f"constant_{len(self.constants)}")
            self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(array, order="C"), found))
        return self._known[key]

    def write(self, x: Any, dtype: Any = None) -> str:
        """Add what makes a traced array, and return the name of its output.

        Parameters
        ----------
        x : Traced, array or number
            What is wanted.
        dtype : dtype, optional
            The type that it is wanted in; by default its own.
        """
        if not isinstance(x, Traced):
            return self.constant(x, dtype)
        if id(x) not in self._written:
            self._written[id(x)] = (x, self._write(x))
        name = self._written[id(x)][1]
        return name if dtype is None or x.dtype == dtype else self.cast(name, dtype)

    def cast(self, name: str, dtype: Any) -> str:
        """Add a change of type."""
        return self.node("Cast", name, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _write(self, x: Traced) -> str:
        special = getattr(self, f"_{x.operation}", None)
        if special is not None:
            return str(special(x))
        if x.operation in _REDUCTIONS:
            return self._reduced(_REDUCTIONS[x.operation], x)
        if x.operation not in _SAME:
            msg = f"it calls xp.{x.operation}, which ONNX has no node for"
            raise TypeError(msg)
        kind, common = _SAME[x.operation], self._common(x)
        if kind in _SINGLE and common == np.float64:
            return self.cast(self.node(kind, *(self.write(o, np.dtype("float32")) for o in x.operands)), common)
        return self.node(kind, *(self.write(o, common) for o in x.operands))

    def _common(self, x: Traced) -> Any:
        """Return the type that the operands of a node share."""
        return np.result_type(*(o.dtype if hasattr(o, "dtype") else o for o in x.operands))

    # Functions that ONNX lacks, or calls with other arguments.

    def _input(self, x: Traced) -> str:
        return str(x.options["name"])

    def _node(self, x: Traced) -> str:
        attributes = {key: value for key, value in x.options.items() if key != "kind"}
        return self.node(x.options["kind"], *(self.write(o) for o in x.operands), **attributes)

    def _astype(self, x: Traced) -> str:
        return self.cast(self.write(x.operands[0]), x.dtype)

    def _where(self, x: Traced) -> str:
        condition, a, b = x.operands
        return self.node("Where", self.write(condition), self.write(a, x.dtype), self.write(b, x.dtype))

    def _expand_dims(self, x: Traced) -> str:
        return self.node("Unsqueeze", self.write(x.operands[0]), self.constant(x.options["axes"], "int64"))

    def _column(self, x: Traced) -> str:
        return self.node("Gather", self.write(x.operands[0]), self.constant(x.options["index"], "int64"), axis=-1)

    def _columns(self, x: Traced) -> str:
        ends = [self.constant([x.options[name]], "int64") for name in ("start", "stop")]
        return self.node("Slice", self.write(x.operands[0]), *ends, self.constant([-1], "int64"))

    def _take(self, x: Traced) -> str:
        table, index = x.operands
        return self.node("Gather", self.write(table), self.write(index), axis=x.options["axis"])

    def _broadcast_to(self, x: Traced) -> str:
        sizes = [1 if size is None else size for size in x.shape]  # Expand leaves what is 1 there as it is
        return self.node("Expand", self.write(x.operands[0]), self.constant(sizes, "int64"))

    def _concat(self, x: Traced) -> str:
        return self.node("Concat", *(self.write(o, x.dtype) for o in x.operands), axis=x.options["axis"])

    def _sum(self, x: Traced) -> str:
        axes = self.constant(np.atleast_1d(x.options["axis"]), "int64")
        return self.node("ReduceSum", self.write(x.operands[0]), axes, keepdims=int(x.options["keepdims"]))

    def _reduced(self, kind: str, x: Traced) -> str:
        axes = np.atleast_1d(x.options["axis"]).tolist()
        return self.node(kind, self.write(x.operands[0]), axes=axes, keepdims=int(x.options["keepdims"]))

    def _not_equal(self, x: Traced) -> str:
        common = self._common(x)
        return self.node("Not", self.node("Equal", *(self.write(o, common) for o in x.operands)))

    def _isfinite(self, x: Traced) -> str:
        (y,) = x.operands
        return self.write(abs(y) < np.asarray(np.inf, dtype=y.dtype))

    def _expm1(self, x: Traced) -> str:
        # e^x - 1 = tanh(x/2) (e^x + 1), without cancellation near 0
        (y,) = x.operands
        return self.write(_XP.tanh(0.5 * y) * (_XP.exp(y) + 1.0))

    def _log1p(self, x: Traced) -> str:
        # log(1 + x) = 2 atanh(x / (2 + x)) near 0, where 1 + x would lose the digits of x
        (y,) = x.operands
        r = y / (y + 2.0)
        series = 2.0 * r * (1.0 + r * r * (1 / 3 + r * r * (1 / 5 + r * r * (1 / 7 + r * r / 9))))
        return self.write(_XP.where(abs(r) < 0.02, series, _XP.log(y + 1.0)))

    def _log2(self, x: Traced) -> str:
        return self.write(_XP.log(*x.operands) / math.log(2))

    def _log10(self, x: Traced) -> str:
        return self.write(_XP.log(*x.operands) / math.log(10))

    def _square(self, x: Traced) -> str:
        (y,) = x.operands
        return self.write(y * y)

    def _ones_like(self, x: Traced) -> str:
        return self._filled(x, 1)

    def _zeros_like(self, x: Traced) -> str:
        return self._filled(x, 0)

    def _filled(self, x: Traced, number: int) -> str:
        value = self.onnx.numpy_helper.from_array(np.full((1,), number, dtype=x.dtype))
        return self.node("ConstantOfShape", self.node("Shape", self.write(x.operands[0])), value=value)
