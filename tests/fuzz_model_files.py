"""Fuzzing of the loader of model files: ``python tests/fuzz_model_files.py --cases 100000 --seed 0``.

Every case either loads a network, which then predicts, or raises `mlpx.ModelFileError`: no other exception, no warning,
no hang, no memory out of proportion to the file.
"""

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import fuzzing
import mlpx
from fuzzing import Fault, Rng
from mlpx.cli import models
from mlpx.tables import Preprocessing, predict_table
from mutations import mutated, pick

COLUMNS = {"size": [1.0, 2.5, np.nan, 4.0], "colour": ["red", None, "blue", "red"], "price": [1.0, 2.0, 3.0, 5.0]}
FRAME = pd.DataFrame(COLUMNS)
LABELS = FRAME.assign(kind=["a", "b", "a", "b"])
ROWS = 3
HOSTILE = [
    "x**x**x",
    "exp(exp(exp(exp(x))))",
    "1/0",
    "1/(x-x)",
    "sqrt(-1)*x",
    "__import__('os')",
    "x.real",
    "lambda: 1",
]
HOSTILE += [
    "(" * 300 + "x" + ")" * 300,
    "x*" * 150 + "x",
    "sin(" * 40 + "x" + ")" * 40,
    "9" * 900,
    "x**64**64",
    "max(x)",
]
HOSTILE += [
    "x" + "+tanh(x*sigmoid(x))" * 30,
    "log(" * 20 + "x" + ")" * 20,
    "sqrt(" * 45 + "x" + ")" * 45,
    "x if x else 1",
]
HOSTILE += [
    "tanh(" * 12 + "x" + "*x+1)" * 12,
    "abs(sin(atan(" * 8 + "x" + ")))" * 8,
    "max(x,min(x,sign(x)))",
    "\n",
    "é",
]


def networks() -> list[mlpx.Network]:
    """Return small networks with every kind of layer, and of what they are made of."""
    a, layers = mlpx.activations, mlpx
    formula = mlpx.differentiation.activation_from_formula("x*sigmoid(beta*x)", beta=1.5)
    block = mlpx.Skip(layers.Dense(3, 3, "relu"), mlpx.PReLU(3), layers.Dense(3, 4), activation="tanh")
    within = mlpx.Skip(mlpx.Skip(layers.Dense(3, 3)), mlpx.Dropout(0.1))
    found: list[mlpx.Network] = [
        mlpx.MLP([2, 3, 2], seed=1),
        mlpx.MLP([2, 3, 1], output="sigmoid", members=3, dropout=(0.1, 0.2, 0.3), l2=(0.0, 0.1, 0.2)),
        mlpx.MLP([2, 1], output="linear", loss=mlpx.losses.huber(0.3), dtype="float64"),
        mlpx.Network(
            [layers.Dense(2, 3, a.leaky_relu(0.2), mask=[[1, 0, 1], [1, 1, 0]], max_norm=2.0), layers.Dense(3, 2)]
        ),
        mlpx.Network([layers.Dense(2, 3), mlpx.PReLU(3), within, block, layers.Dense(4, 2, "softmax")], members=2),
        mlpx.Network([mlpx.Maxout(2, 3, pieces=2), layers.Dense(3, 3, formula), layers.Dense(3, 1, formula)]),
        mlpx.Network(
            [layers.Dense(2, 3, "selu"), mlpx.AlphaDropout(0.1), layers.Dense(3, 2, a.softplus())], dtype="float16"
        ),
    ]
    classes = mlpx.MLP([2, 3, 2], seed=2)
    classes.fit([[0.0, 1.0], [1.0, 0.0]], np.array(["no", "yes"]), epochs=1)
    return [*found, classes, of_table(FRAME, "price", output="linear"), of_table(LABELS, "kind")]


def of_table(frame: pd.DataFrame, target: str, **options: Any) -> mlpx.Network:
    """Return a network with the description of the columns that it was made for."""
    prepared = Preprocessing.fit(frame, target, task="regression" if options else "classification")
    net = mlpx.MLP([prepared.width, 3, prepared.target.width], **options)
    net.fit(prepared.transform(frame), prepared.target.encode(frame[target]), epochs=1)
    net.preprocessing = prepared.to_dict()
    return net


@functools.cache
def seeds() -> list[bytes]:
    """Return the files that all others are made from."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for net in networks():
            net.save(Path(folder) / "model.mlpx")
            found.append((Path(folder) / "model.mlpx").read_bytes())
    return found


# Descriptions that a fuzzer of trees seldom finds.


def nested_deeper(rng: Rng, model: dict[str, Any]) -> None:
    """Put a layer into blocks."""
    layers = model.get("layers")
    if isinstance(layers, list) and layers:
        i = int(rng.integers(len(layers)))
        for _ in range(int(pick(rng, [1, 5, 40, 47, 48, 49, 50, 200]))):
            layers[i] = {
                "name": "Skip",
                "layers": [{"family": "layer"} | layers[i] if isinstance(layers[i], dict) else 1],
            }


def many_layers(rng: Rng, model: dict[str, Any]) -> None:
    """Repeat a layer."""
    layers = model.get("layers")
    if isinstance(layers, list) and layers:
        i = int(rng.integers(len(layers)))
        layers[i:i] = [layers[i]] * int(pick(rng, [1, 10, 100]))


def other_formula(rng: Rng, model: dict[str, Any]) -> None:
    """Give an activation another text."""
    layers = model.get("layers")
    layer = pick(rng, layers) if isinstance(layers, list) and layers else None
    if isinstance(layer, dict):
        text, numbers = (
            pick(rng, HOSTILE),
            pick(rng, [[], [["beta", 1.5]], [["x", 1.0]], [["beta", 1e308]], [[1, 2]], 3]),
        )
        layer["activation"] = {"family": "activation", "name": "formula", "text": text, "parameters": numbers}


def larger(rng: Rng, model: dict[str, Any]) -> None:
    """Claim sizes that no file holds."""
    layers = model.get("layers")
    layer = pick(rng, layers) if isinstance(layers, list) and layers else None
    if isinstance(layer, dict):
        sizes = [1, 2**20, 2**31, 2**40, 2**62, 10**400, -1]
        for name in ("fan_in", "fan_out", "units", "pieces"):
            if name in layer and rng.integers(2):
                layer[name] = pick(rng, sizes)
    if rng.integers(4) == 0:
        model["members"] = pick(rng, sizes) if isinstance(layer, dict) else 2**40


MUTATIONS = [nested_deeper, many_layers, other_formula, larger]


def make(rng: Rng) -> bytes:
    """Return the bytes of one case."""
    mutations = MUTATIONS if rng.integers(3) == 0 else []
    return mutated(rng, pick(rng, seeds()), "model", mutations)


def check(path: Path) -> str:
    """Return what became of a file."""
    try:
        net = mlpx.load(path, "numpy")
    except mlpx.ModelFileError as error:
        if isinstance(error.__cause__, MemoryError):
            msg = "asked for more memory than there is"
            raise Fault(msg) from error
        str(error).encode()
        return "refused"
    except ValueError as error:
        if "bfloat16" in str(error):
            return "refused"
        raise
    predicted = net.predict(np.ones((ROWS, net.sizes[0]), dtype=np.float32))
    if predicted.shape[-2:] != (ROWS, net.sizes[-1]):
        msg = f"predictions have the shape {predicted.shape}"
        raise Fault(msg)
    repr(net)
    again(net, path.with_suffix(".again"))
    try:
        _, prepared = models.load(str(path), "numpy")
        if prepared is not None:
            predict_table(net, FRAME, note=lambda _: None)
            return "predicts a table"
    except ValueError:
        return "loads, and has no table"
    return "loads"


def again(net: mlpx.Network, path: Path) -> None:
    """Save what was loaded, which must load again."""
    net.save(path)
    if repr(mlpx.load(path, "numpy")) != repr(net):
        msg = "is another network once it is saved"
        raise Fault(msg)


if __name__ == "__main__":
    sys.exit(fuzzing.main(make, check, "Spoils model files and loads them.", "model.mlpx"))
