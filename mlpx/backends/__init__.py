"""Array libraries behind one seam: the only place in the package that names one."""

from mlpx.backends.base import Backend
from mlpx.backends.selection import (
    BackendInfo,
    available_backends,
    get_backend,
    library_of,
    make_backend,
    set_backend,
    to_numpy,
    use_backend,
)

__all__ = [
    "Backend",
    "BackendInfo",
    "available_backends",
    "get_backend",
    "library_of",
    "make_backend",
    "set_backend",
    "to_numpy",
    "use_backend",
]
