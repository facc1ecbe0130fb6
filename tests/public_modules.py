"""The modules whose ``__all__`` is the public contract."""

import importlib
import importlib.util
from types import ModuleType

_ALL = [
    "mlpx", "mlpx.activations", "mlpx.bench", "mlpx.callbacks", "mlpx.conversion", "mlpx.diagnostics",
    "mlpx.differentiation", "mlpx.initializers", "mlpx.losses", "mlpx.metrics", "mlpx.optimizers", "mlpx.plots",
    "mlpx.schedules", "mlpx.sklearn", "mlpx.sources", "mlpx.threshold",
]  # fmt: skip
PUBLIC = [name for name in _ALL if importlib.util.find_spec(name)]


def load(name: str) -> ModuleType | None:
    """Import a module; None where its optional library is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "mlpx").startswith("mlpx"):
            raise
        return None
