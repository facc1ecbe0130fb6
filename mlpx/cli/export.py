"""``mlpx export``: a model for where mlpx is not installed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import mlpx
from mlpx import _optional
from mlpx.backends import make_backend
from mlpx.cli.console import note, say_wrapped
from mlpx.conversion import to_npz, to_onnx, to_standalone, to_torch
from mlpx.persistence import read

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

#: Inputs of a graph that are named one by one.
MOST_NAMES = 30
ENDINGS = {"onnx": ".onnx", "program": ".py", "npz": ".npz", "torch": ".pt"}


def run(options: argparse.Namespace) -> None:
    """Write the file, and say how it is used."""
    kind = choose_kind(options)
    net = load(options.model)
    paths = choose_outputs(options, kind)
    say_wrapped(WRITERS[kind](net, paths[0]))


def choose_kind(options: argparse.Namespace) -> str:
    """Give what was asked for, else what belongs to the ending of the output, else ONNX."""
    if options.kind is not None:
        return str(options.kind)
    if options.output is None:
        return "onnx"
    ending = Path(options.output).suffix.lower()
    found = [kind for kind, known in ENDINGS.items() if known == ending]
    if not found:
        known = ", ".join(ENDINGS.values())
        msg = f"`--output` must have one of the endings {known}, or say what to write, --onnx; got `{options.output}`"
        raise ValueError(msg)
    return found[0]


def load(path: str) -> mlpx.Network:
    """Read a model file, on NumPy and only to write it in another form."""
    if not Path(path).is_file():
        what = "is a folder, not a file" if Path(path).is_dir() else "does not exist"
        msg = f"the file `{path}` {what}; give the path of a model"
        raise FileNotFoundError(msg)
    net: mlpx.Network = read(Path(path), make_backend("numpy"))
    return net


def choose_outputs(options: argparse.Namespace, kind: str) -> list[Path]:
    """Give the files to write, none of which may be the model, nor without ``--force`` be there."""
    path = Path(options.output or Path(options.model).with_suffix(ENDINGS[kind]).name)
    if kind == "program" and path.suffix != ".py":
        msg = f"`--output` must end in .py for a program; got `{path}`"
        raise ValueError(msg)
    paths = [path, path.with_suffix(".npz")] if kind == "program" else [path]
    for one in paths:
        beside = f"; `{path}` needs `{one}` beside it" if one != path else ""
        _check_output(one, Path(options.model), force=options.force, why=beside)
    return paths


def _check_output(path: Path, model: Path, *, force: bool, why: str) -> None:
    if path.is_dir():
        msg = f"`--output` must name a file; `{path}` is a folder"
        raise ValueError(msg)
    if path.resolve() == model.resolve():
        msg = f"`--output` must not be the file that is read; got `{path}`"
        raise ValueError(msg)
    if path.exists() and not force:
        msg = f"`{path}` exists{why}; choose another `--output`, or overwrite it with `--force`"
        raise ValueError(msg)
    if not path.parent.is_dir():
        msg = f"the folder `{path.parent}` does not exist; make it, or choose another `--output`"
        raise ValueError(msg)


def write_onnx(net: mlpx.Network, path: Path) -> str:
    """Write an ONNX file."""
    model = to_onnx(net, path)
    file, outputs = repr(str(path)), [given.name for given in model.graph.output]
    use = f"with onnxruntime: session = InferenceSession({file}); session.run({outputs}, inputs)"
    names = [repr(given.name) for given in model.graph.input]
    inputs = ", ".join(names) if len(names) <= MOST_NAMES else "session.get_inputs() has the names"
    if net.preprocessing is None:
        return f"wrote {_sized(path)}; {use}, where inputs has an array of shape (n, {net.sizes[0]}) as {inputs}"
    kinds = "an array of shape (n, 1) by the name of each column, float64 for numbers and dates, texts for categories"
    return f"wrote {_sized(path)}; {use}, where inputs has {kinds}: {inputs}"


def write_program(net: mlpx.Network, path: Path) -> str:
    """Write a program and its parameters."""
    to_standalone(net, path)
    return (
        f"wrote {_sized(path)} and {_sized(path.with_suffix('.npz'))}, which belong together and need NumPy alone: "
        f"python {path} data.csv > predictions.csv"
    )


def write_npz(net: mlpx.Network, path: Path) -> str:
    """Write the parameters."""
    to_npz(net, path)
    return f"wrote {_sized(path)}: numpy.load({str(path)!r}) has the parameters by name, and `description` in JSON"


def write_torch(net: mlpx.Network, path: Path) -> str:
    """Write a module of PyTorch."""
    if net.members is not None:
        several = f"the model is {net.members} networks whose predictions are averaged"
        msg = f"{several}, and a torch.nn.Sequential is one; train with `--members 1`, or export with `--onnx`"
        raise ValueError(msg)
    model = to_torch(net)
    _optional.require("torch", "exporting to PyTorch", "pip install torch").save(model, path)
    if net.preprocessing is not None:
        note("what is done to the columns is no part of a torch.nn.Sequential; it takes the network's inputs")
    return f"wrote {_sized(path)}: torch.load({str(path)!r}, weights_only=False) is a torch.nn.Sequential"


def _sized(path: Path) -> str:
    return f"`{path}` ({math.ceil(path.stat().st_size / 1000)} kB)"


WRITERS: dict[str, Callable[[mlpx.Network, Path], str]] = {
    "onnx": write_onnx,
    "program": write_program,
    "npz": write_npz,
    "torch": write_torch,
}
