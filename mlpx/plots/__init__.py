"""Pictures of networks and of their training, with matplotlib.

Every function draws on the `ax` that it is given, else on a new figure, and returns the Axes. None shows the figure,
and none changes matplotlib's settings. matplotlib is imported when the first picture is drawn.
"""

from mlpx.plots.boundaries import decision_boundary
from mlpx.plots.confusion import confusion_matrix
from mlpx.plots.curves import training_curves
from mlpx.plots.diagnostics import error_norms, range_test
from mlpx.plots.functions import activation
from mlpx.plots.surfaces import loss_surface
from mlpx.plots.tiles import weights

__all__ = [
    "activation",
    "confusion_matrix",
    "decision_boundary",
    "error_norms",
    "loss_surface",
    "range_test",
    "training_curves",
    "weights",
]
