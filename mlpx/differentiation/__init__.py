"""Derivatives by other roads than back-propagation, to check it and to bring functions of your own.

`check_gradients` and `check_derivative` compare with central differences. `activation_from_formula` and
`loss_from_formula` take a formula as a text, and its derivative by SymPy.
"""

from mlpx.differentiation.formula import FUNCTIONS
from mlpx.differentiation.numerical import check_derivative, check_gradients
from mlpx.differentiation.report import BlockCheck, Entry, GradientReport
from mlpx.differentiation.symbolic import activation_from_formula, loss_from_formula

__all__ = [
    "FUNCTIONS",
    "BlockCheck",
    "Entry",
    "GradientReport",
    "activation_from_formula",
    "check_derivative",
    "check_gradients",
    "loss_from_formula",
]
