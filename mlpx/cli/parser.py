"""The command line's words. Nothing here imports an optional library; each command imports what it needs."""

from __future__ import annotations

import argparse
import platform
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from mlpx.cli.console import complain, say
from mlpx.tables.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = "a .csv, .csv.gz, .parquet or .npz file, or digits, iris, wine, breast_cancer or diabetes"
DTYPES = ["float32", "float64", "float16", "bfloat16"]


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, as every other complaint of the command is."""

    def error(self, message: str) -> NoReturn:
        """Write the sentence and leave with the status 2."""
        complain(f"{message}; see `{self.prog} --help`")
        self.exit(2)


class Version(argparse.Action):
    """Write the versions of mlpx, Python and NumPy, and leave."""

    def __init__(self, option_strings: list[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="write the version and leave")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Answer ``--version``; the version is looked up only when it is asked for."""
        say(f"mlpx {import_module('mlpx').__version__} (Python {platform.python_version()})")
        parser.exit(0)


def make_parser() -> Parser:
    """Make the parser of the whole command; ``options.run(options)`` then does the work."""
    parser = Parser(prog="mlpx", description="Train a multi-layer perceptron on a table, and use it.")
    parser.add_argument("--version", action=Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    _add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_export(commands)
    _add_info(commands)
    _add_replay(commands)
    _add_bench(commands)
    return parser


def _command(commands: Any, name: str, text: str) -> Parser:
    """Add a command whose work is done by ``run`` of the module of the same name."""
    parser: Parser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}. Defaults stand in parentheses."
    )
    parser.set_defaults(run=lambda options: import_module(f"mlpx.cli.{name}").run(options))
    return parser


def _add_train(commands: Any) -> None:
    parser = _command(commands, "train", "train a network on a table and write it to a file")
    parser.add_argument("data", metavar="DATA", help=DATA)
    files = parser.add_argument_group("data")
    files.add_argument("--target", metavar="COLUMN", help="the column to predict")
    files.add_argument(
        "--task", choices=["auto", "classification", "regression"], default="auto", help="by default what the target is"
    )
    files.add_argument("--drop", metavar="COLUMNS", action="append", default=[], help="columns to leave out: a,b,c")
    tests = files.add_mutually_exclusive_group()
    tests.add_argument("--test-fraction", metavar="F", type=fraction, help="share of rows kept for testing (0.2)")
    tests.add_argument("--test", metavar="FILE", help="a table of test rows")
    tests.add_argument("--split", metavar="COLUMN", help="the column that says train or test")
    ways = files.add_mutually_exclusive_group()
    ways.add_argument("--group", metavar="COLUMN", help="keep whole groups of this column, such as patients, apart")
    ways.add_argument("--time", metavar="COLUMN", help="keep the latest rows by this column apart")
    files.add_argument(
        "--validation", metavar="F", type=fraction, default=0.1, help="share of the others that chooses the epoch (0.1)"
    )
    _add_network(parser.add_argument_group("network"))
    _add_training(parser.add_argument_group("training"))
    _add_course(parser.add_argument_group("long runs"))
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="MODEL", help="file to write (DATA's name with .mlpx)")
    output.add_argument("--force", action="store_true", help="overwrite a file that is no model of this target")
    _add_report(output)
    output.add_argument("--quiet", action="store_true", help="write only the results")


def _add_network(group: Any) -> None:
    group.add_argument("--hidden", metavar="N,N", type=sizes, help="units of the hidden layers, or none (by size)")
    group.add_argument(
        "--activation", metavar="NAME", default=Recipe.activation, help=f"of the hidden layers ({Recipe.activation})"
    )
    group.add_argument(
        "--members",
        metavar="N",
        type=positive_whole,
        default=Recipe.members,
        help=f"networks whose predictions are averaged ({Recipe.members})",
    )
    group.add_argument(
        "--bins", metavar="N", type=not_negative_whole, help="pieces along a column of numbers (by size of the table)"
    )
    _add_numbers(group, "l2", not_negative, "penalty on the weights")
    _add_numbers(group, "weight_decay", not_negative, "share of the weights that a step takes off, times its rate")
    _add_numbers(group, "dropout", fraction, "of the hidden layers")
    group.add_argument("--dtype", choices=DTYPES, default="float32")
    _add_place(group)


def _add_numbers(group: Any, name: str, kind: Callable[[str], float], text: str) -> None:
    """Add an option whose default is that of `mlpx.TabularModel`."""
    default = getattr(Recipe, name)
    option = f"--{name.replace('_', '-')}"
    group.add_argument(option, metavar="X", type=kind, default=default, help=f"{text} ({default:g})")


def _add_report(group: Any) -> None:
    group.add_argument("--report", metavar="FILE", help="a .html page to write: scores, errors, columns, pictures")
    group.add_argument("--no-importance", action="store_true", help="do not measure which columns the model needs")


def _add_course(group: Any) -> None:
    group.add_argument("--checkpoint", metavar="DIR", help="a folder in which to write down where training is")
    group.add_argument(
        "--checkpoint-seconds", metavar="S", type=positive, default=60.0, help="time between two checkpoints (60)"
    )
    group.add_argument("--resume", action="store_true", help="go on from the latest checkpoint, where there is one")
    group.add_argument("--time-limit", metavar="MINUTES", type=positive, help="end training after so long")
    group.add_argument("--log", metavar="FILE", help="a .csv or .json file with the numbers of each epoch")


def _add_dtype(group: Any) -> None:
    group.add_argument("--dtype", choices=DTYPES, help="what to compute in (as the model was trained)")


def _add_place(group: Any) -> None:
    group.add_argument("--backend", metavar="NAME", help="numpy, cupy, torch, jax or auto (numpy)")
    group.add_argument("--device", metavar="NAME", help="such as cuda:1")


def _add_training(group: Any) -> None:
    group.add_argument("--epochs", metavar="N", type=positive_whole, help="passes through the rows (by size)")
    group.add_argument("--batch-size", metavar="N", type=positive_whole, help="rows a step (by size of the table)")
    group.add_argument(
        "--learning-rate", metavar="X", type=positive, help="of Adam, the greatest of one cycle (by rows a step)"
    )
    group.add_argument(
        "--patience", metavar="N", type=positive_whole, help="epochs without progress before the end (none)"
    )
    group.add_argument("--class-weight", choices=["balanced"], help="let rare classes count as much as common ones")
    group.add_argument("--seed", metavar="N", type=not_negative_whole, default=0, help="of all random draws (0)")


def _add_predict(commands: Any) -> None:
    parser = _command(commands, "predict", "predict the target of each row of a table, as CSV")
    parser.add_argument("model", metavar="MODEL", help="a file that `mlpx train` wrote")
    parser.add_argument("data", metavar="DATA", help=DATA)
    parser.add_argument("-o", "--output", metavar="FILE", help="a .csv file to write (standard output)")
    parser.add_argument("--force", action="store_true", help="overwrite a file")
    parser.add_argument("--proba", action="store_true", help="add the probability of each class, one column a class")
    _add_dtype(parser)
    _add_place(parser)


def _add_evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", "measure a model on a table that has the target")
    parser.add_argument("model", metavar="MODEL", help="a file that `mlpx train` wrote")
    parser.add_argument("data", metavar="DATA", help=DATA)
    _add_report(parser)
    _add_dtype(parser)
    _add_place(parser)


def _add_export(commands: Any) -> None:
    parser = _command(commands, "export", "write a model for where mlpx is not installed")
    parser.add_argument("model", metavar="MODEL", help="a file that `mlpx train` or `save` wrote")
    kinds = parser.add_mutually_exclusive_group()
    for kind, text in (
        ("onnx", "a graph for onnxruntime and others, with the columns of the table (by default)"),
        ("numpy", "a program of under 200 lines that needs NumPy alone, and its parameters beside it"),
        ("npz", "the parameters as arrays of NumPy"),
        ("torch", "a module of PyTorch, without the columns"),
    ):
        kinds.add_argument(
            f"--{kind}", dest="kind", action="store_const", const={"numpy": "program"}.get(kind, kind), help=text
        )
    parser.add_argument("-o", "--output", metavar="PATH", help="file to write (MODEL's name in the current folder)")
    parser.add_argument("--force", action="store_true", help="overwrite a file")


def _add_info(commands: Any) -> None:
    parser = _command(commands, "info", "show the backends of this machine, or what is in a model file")
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a file that `mlpx train` wrote")


def _add_replay(commands: Any) -> None:
    parser = _command(commands, "replay", "make the step again in which training diverged")
    parser.add_argument("file", metavar="FILE", help="the file that the error named")
    _add_place(parser)


def _add_bench(commands: Any) -> None:
    parser = _command(commands, "bench", "measure this machine, mlpx on it, and other libraries beside it")
    parser.add_argument("--full", action="store_true", help="the whole grid, half an hour or so")
    suites = "products,outer,training,stacks,memory,estimators,diagnostics"
    parser.add_argument("--suite", metavar="NAMES", type=names, help=f"{suites} (all)")
    parser.add_argument("--backend", metavar="NAMES", type=names, help="such as numpy,torch:cuda:0 (all that are here)")
    parser.add_argument("--dtype", metavar="NAMES", type=names, help="float32,float64 (float32, with --full both)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--save", metavar="PATH", nargs="?", const="", help="write a JSON file or into a folder (benchmarks/results)"
    )
    output.add_argument("--force", action="store_true", help="overwrite a file that holds more suites")
    output.add_argument("--compare", metavar="FILE", nargs="+", help="measure nothing, show files of --save together")
    output.add_argument("--plots", metavar="DIR", help="write pictures of what is shown into a folder")


def _number(text: str, convert: Callable[[str], float], rule: str, holds: Callable[[float], bool]) -> Any:
    """Read a number that keeps a rule, or say the rule."""
    try:
        number = convert(text)
    except ValueError:
        number = float("nan")
    if not holds(number):
        msg = f"must be {rule}; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return number


def positive_whole(text: str) -> int:
    """Read a whole number from 1 on."""
    return int(_number(text, int, "a whole number from 1 on", lambda number: number >= 1))


def not_negative_whole(text: str) -> int:
    """Read a whole number from 0 on."""
    return int(_number(text, int, "a whole number from 0 on", lambda number: number >= 0))


def positive(text: str) -> float:
    """Read a finite number above 0."""
    return float(_number(text, float, "a number above 0", lambda number: 0 < number < float("inf")))


def not_negative(text: str) -> float:
    """Read a finite number from 0 on."""
    return float(_number(text, float, "a number from 0 on", lambda number: 0 <= number < float("inf")))


def fraction(text: str) -> float:
    """Read a number from 0 to below 1."""
    return float(_number(text, float, "a number from 0 to below 1", lambda number: 0 <= number < 1))


def sizes(text: str) -> list[int]:
    """Read the sizes of hidden layers, ``64,32``; "none" stands for no hidden layer."""
    parts = [] if text == "none" else [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        rule = "whole numbers from 1 on, such as 64,32, or none for no hidden layer"
        msg = f"must be {rule}; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return [int(part) for part in parts]


def names(text: str) -> list[str]:
    """Read names separated by commas."""
    found = [part.strip() for part in text.split(",")]
    if not all(found):
        msg = f"must be names separated by commas; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return list(dict.fromkeys(found))
