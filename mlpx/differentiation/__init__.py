"""Derivatives by other roads than back-propagation, to check it and to bring functions of your own.

- `check_gradients`, `check_derivative`: back-propagation, or one activation, against central differences;
- `activation_from_formula`, `loss_from_formula`: a formula as a text, and its derivative by SymPy;
- `derivative`, `value_and_derivative`: an element-wise function ``f(z, xp)``, by dual numbers, in one pass;
- `gradient`, `value_and_gradient`: a scalar function of arrays ``f(*arrays, xp)``, by a tape;
- `directional_derivative`, `hessian_product`: along a direction;
- `graph`, `show_graph`: the computational graph with values and derivatives, as text and as a picture.

Functions are written in functions of the Array API standard, from the namespace ``xp`` that they are given, and run on
every array library.
"""

from mlpx.differentiation.formula import FUNCTIONS
from mlpx.differentiation.forward import derivative, directional_derivative, value_and_derivative
from mlpx.differentiation.graphs import Graph, Node, graph, show_graph
from mlpx.differentiation.numerical import check_derivative, check_gradients
from mlpx.differentiation.report import BlockCheck, Entry, GradientReport
from mlpx.differentiation.reverse import gradient, hessian_product, value_and_gradient
from mlpx.differentiation.symbolic import activation_from_formula, loss_from_formula

__all__ = [
    "FUNCTIONS",
    "BlockCheck",
    "Entry",
    "GradientReport",
    "Graph",
    "Node",
    "activation_from_formula",
    "check_derivative",
    "check_gradients",
    "derivative",
    "directional_derivative",
    "gradient",
    "graph",
    "hessian_product",
    "loss_from_formula",
    "show_graph",
    "value_and_derivative",
    "value_and_gradient",
]
