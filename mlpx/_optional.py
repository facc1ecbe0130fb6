"""Libraries that only parts of the package need, imported when first used."""

from __future__ import annotations

import importlib
from typing import Any

_LIBRARIES = {"sklearn": "scikit-learn", "sympy": "SymPy"}


def require(module: str, purpose: str, install: str) -> Any:
    """Import a module of an optional library, or say what to install.

    Parameters
    ----------
    module : str
        Such as ``"pandas"`` or ``"sklearn.datasets"``.
    purpose : str
        What needs it, as the subject of the sentence: ``"reading a CSV file"``.
    install : str
        The command that installs it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        Where the library is not installed. An error of another kind within it stays what it is.
    """
    top = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != top:
            raise
        msg = f"{purpose} needs {_LIBRARIES.get(top, top)}, which is not installed; install it with: {install}"
        raise ImportError(msg, name=module) from error
