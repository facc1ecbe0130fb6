"""The command ``mlpx``: train, predict and evaluate on tables, and look at what is installed or stored.

Results go to standard output, notes and progress to standard error. A user's mistake ends with one sentence on
standard error and the exit status 2; Ctrl-C ends with 130, except in training, where it keeps the best model so far.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from mlpx.cli.console import complain
from mlpx.cli.parser import make_parser
from mlpx.exceptions import MlpxError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a wrong argument, file or installation raises; anything else is a fault of ours and shows its traceback.
MISTAKES = (MlpxError, ValueError, OSError, ImportError, MemoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the command's name; by default that of the process.

    Returns
    -------
    int
        The exit status: 0, 2 for a user's mistake, 130 after Ctrl-C, 141 where the reader of a pipe has gone.
    """
    try:
        options = make_parser().parse_args(arguments)
        options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _forget_output()
        return 141
    except MISTAKES as error:
        complain(_sentence(error))
        return 2
    return 0


def _sentence(error: BaseException) -> str:
    """Tell what went wrong."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; take fewer rows or columns, or a smaller `--batch-size`"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: `{error.filename}`" if error.filename else error.strerror
    return str(error)


def _forget_output() -> None:
    """Point standard output to nowhere, so that Python does not complain of the closed pipe on its way out."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


__all__ = ["main"]
