"""Derivatives by other roads than back-propagation, to check it and to bring functions of your own.

`check_gradients` and `check_derivative` compare with central differences.
"""

from mlpx.differentiation.numerical import check_derivative, check_gradients
from mlpx.differentiation.report import BlockCheck, Entry, GradientReport

__all__ = ["BlockCheck", "Entry", "GradientReport", "check_derivative", "check_gradients"]
