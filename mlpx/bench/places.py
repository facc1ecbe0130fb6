"""Which backends are measured, by name."""

from __future__ import annotations

import mlpx
from mlpx.backends import Backend

#: Made for proofs; measured only where it is asked for.
FOR_PROOFS = {"array_api_strict"}


def default_backends() -> list[str]:
    """Name the backends that are installed and made for work."""
    return [info.name for info in mlpx.available_backends() if info.available and info.name not in FOR_PROOFS]


def find_backend(place: str) -> Backend:
    """Return the backend that ``"torch"`` or, with a device, ``"torch:cuda:0"`` stands for."""
    name, _, device = place.partition(":")
    return mlpx.get_backend(name, device or None)
