"""What every conversion from a network asks of it."""

from __future__ import annotations

from typing import Any, NoReturn

from mlpx.model import Network, check_network


def check_single(net: Any, kind: str) -> Network:
    """Return `net`, which must be one network; a stack is none."""
    found = check_network(net)
    if found.members is not None:
        msg = (
            f"`net` is a stack of {found.members} networks, but {kind} is one network; give net.member(0), or another."
        )
        raise ValueError(msg)
    return found


def refuse_layer(position: int, what: object, rule: str) -> NoReturn:
    """Refuse a network for one of its layers."""
    msg = f"`net` has {what} at layers[{position}], but {rule}"
    raise ValueError(msg)


def refuse_missing(library: str, command: str, error: ModuleNotFoundError) -> NoReturn:
    """Say what to install."""
    msg = f"This conversion needs {library}, which is not installed; install it with: {command}"
    raise ImportError(msg, name=error.name) from error
