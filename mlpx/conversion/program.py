"""The text of a program that predicts as a network does: a few fixed pieces, and those that the network needs."""

from __future__ import annotations

import json
import keyword
import re
from itertools import chain, count
from typing import Any

from mlpx import activations, special
from mlpx._version import __version__
from mlpx.activations import Activation
from mlpx.conversion import pieces
from mlpx.conversion.source import function_lines
from mlpx.layers import AlphaDropout, Dense, Dropout, Layer, Maxout, PReLU, Skip
from mlpx.model import Network

__all__ = ["Program"]


class Program:
    """A program that is put together piece by piece.

    Parameters
    ----------
    net : Network
        What it predicts as.
    name : str
        Its file's name without the ending.
    columns, target : list of dict, dict or None
        What `mlpx.conversion.columns` gives; None for a network without columns.
    """

    def __init__(self, net: Network, name: str, columns: list[dict[str, Any]] | None, target: Any) -> None:
        self.net, self.name, self.columns, self.target = net, name, columns, target
        self.members = net.members is not None
        self.functions: dict[Any, tuple[str, list[str]]] = {}
        self.body: list[str] = []
        self.embeds = False
        self._chain(net.layers, "")

    def text(self) -> str:
        """Return the program."""
        head = pieces.HEAD if self.columns is None else pieces.HEAD_OF_COLUMNS
        parts = [self._filled(head), *self._functions()]
        if self.embeds:
            parts.append(pieces.EMBED)
        parts.append("\n".join(["def network(x):", '    """Return the outputs."""', *self.body, "    return x"]))
        parts += self._plain() if self.columns is None else self._table(self.columns)
        return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"

    def _filled(self, text: str) -> str:
        """Return a piece with the names of this program."""
        first = (self.columns or [{"name": ""}])[0]["name"]
        words = {
            "NAME": _one_line(self.name),
            "VERSION": __version__,
            "LAYERS": _one_line(" - ".join([str(self.net.sizes[0]), *(layer.label for layer in self.net.layers)])),
            "TARGET": _one_line(self.target["name"]) if self.target else "",
            "COLUMN": _one_line(json.dumps(first, ensure_ascii=False)),
        }
        return re.sub("<([A-Z]+)>", lambda match: words[match[1]], text)

    def _functions(self) -> list[str]:
        """Return the activations, after the error function where one calls it."""
        made = ["\n".join(lines) for _, lines in self.functions.values()]
        if not any("erf(" in text for text in made):
            return made
        p, q = (_tuple(name, numbers) for name, numbers in (("ERF_P", special._ERF_P), ("ERF_Q", special._ERF_Q)))
        return [pieces.ERF.replace("<P>", p).replace("<Q>", q), *made]

    def _plain(self) -> list[str]:
        """Return what predicts from an array."""
        output = self.net.architecture.output
        predict = pieces.PREDICT_LABELS.get(output.task, pieces.PREDICT)
        labels = "decided" if self.net.classes is None else pieces.NAMED
        return [predict.replace("<NAMED>", labels), pieces.MAIN]

    def _table(self, columns: list[dict[str, Any]]) -> list[str]:
        """Return what predicts from columns."""
        kinds = {entry["kind"] for entry in columns}
        parts = [text for needed, text in pieces.VALUES if kinds & needed]
        parts += [pieces.COLUMNS[kind] for kind in pieces.COLUMNS if kind in kinds]
        table = "".join(f'    "{kind}": {kind},\n' for kind in pieces.COLUMNS if kind in kinds)
        parts.append(pieces.PREPARE.replace("<KINDS>\n", table))
        mean = "\n    outputs = outputs.mean(axis=0)" if self.members else ""
        predict = pieces.PREDICT_CLASSES if "classes" in self.target else pieces.PREDICT_NUMBERS
        both = pieces.SECOND if self.net.architecture.output.task == "binary" else ""
        parts.append(predict.replace("<MEAN>", mean).replace("<BOTH>", both))
        return [*parts, pieces.READ, pieces.MAIN_CLASSES if "classes" in self.target else pieces.MAIN_NUMBERS]

    # The layers, one line each.

    def _chain(self, layers: tuple[Layer, ...], above: str, depth: int = 0) -> None:
        for i, layer in enumerate(layers):
            self._layer(layer, f"{above}{i}", depth)

    def _layer(self, layer: Layer, path: str, depth: int) -> None:
        if type(layer) in (Dropout, AlphaDropout):
            return
        if type(layer) is Skip:
            self._skip(layer, path, depth)
        elif type(layer) is Dense:
            self._line(self._activated(layer.activation, self._affine("x", layer, path)))
        elif type(layer) is Maxout:
            self._line(self._affine("np.expand_dims(x, -3)", layer, path))
            self._line("np.max(x, axis=-3)")
        elif type(layer) is PReLU:
            self._line(f"np.maximum(x, 0) + {self._row(path, 'gamma')} * np.minimum(x, 0)")
        elif layer.name == "Embedding":
            tables = ", ".join(f'({column}, P["{path}.table{i}"])' for i, (column, *_) in enumerate(layer.tables))  # type: ignore[attr-defined]
            self.embeds = True
            self._line(f"embed(x, [{tables}])")
        else:
            msg = f"`net` has the layer {layer.name} at layers.{path}, which cannot be written as a program of NumPy."
            raise ValueError(msg)

    def _line(self, expression: str) -> None:
        self.body.append(f"    x = {expression}")

    def _affine(self, x: str, layer: Any, path: str) -> str:
        product = f'{x} @ P["{path}.weights"]'
        return f"{product} + {self._row(path, 'bias', pieces=type(layer) is Maxout)}" if layer.bias else product

    def _row(self, path: str, name: str, *, pieces: bool = False) -> str:
        """Return a parameter of one number a unit, so that it goes with many rows."""
        return f'P["{path}.{name}"]{"[..., None, :]" if self.members or pieces else ""}'

    def _skip(self, layer: Skip, path: str, depth: int) -> None:
        beside = f"skipped{depth or ''}"
        self.body.append(f"    {beside} = x")
        self._chain(layer.layers, f"{path}.layers.", depth + 1)
        if isinstance(layer.projection, Dense):
            projected = self._affine(beside, layer.projection, f"{path}.projection")
            beside = self._activated(layer.projection.activation, projected)
        self._line(self._activated(layer.activation, f"x + {beside}"))

    def _activated(self, activation: Any, z: str) -> str:
        if activation == activations.identity():
            return z
        if activation not in self.functions:
            name = self._name(activation)
            comment = _one_line(_comment(activation)).replace('"', "'")  # one at the end would close a fourth
            lines = function_lines(name, activation, comment, self.net.master_dtype_name)
            self.functions[activation] = name, lines
        return f"{self.functions[activation][0]}({z})"

    def _name(self, activation: Activation) -> str:
        """Return a name for a function that no other has."""
        wanted = activation.label
        plain = wanted.isidentifier() and wanted.isascii() and not keyword.iskeyword(wanted)
        base = wanted if plain and wanted not in pieces.TAKEN else activation.name
        taken = {name for name, _ in self.functions.values()}
        return next(name for name in chain([base], (f"{base}_{i}" for i in count(2))) if name not in taken)


def _comment(activation: Activation) -> str:
    """Return what an activation is, in a few words: its formula, which its class begins with, or its name."""
    if isinstance(activation, activations.formula):
        return f"f(z) = {activation.text}"
    first = (type(activation).__doc__ or "").partition("\n")[0].partition(";")[0]
    return first.replace("``", "").rstrip(".") if first.startswith("``f(z)") else activation.label


def _one_line(text: str) -> str:
    """Return a text as it may stand in a docstring of one line."""
    line = text.encode("unicode_escape").decode("ascii").replace("\\", "/").replace('"""', "'''")
    return line if len(line) <= 90 else f"{line[:89]}…"


def _tuple(name: str, numbers: tuple[float, ...]) -> str:
    """Return coefficients as lines of Python."""
    rows = [numbers[i : i + 4] for i in range(0, len(numbers), 4)]
    return "\n".join([f"{name} = (", *(f"    {', '.join(map(repr, row))}," for row in rows), ")"])
