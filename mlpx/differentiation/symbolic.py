"""The symbolic road: activations and losses from formulas, their derivatives by SymPy.

A text is walked by `mlpx.differentiation.formula` and never reaches SymPy's own parser, which evaluates what it reads.
The derivative is taken by SymPy, with functions of our own where SymPy's would be unstable as numbers: ``sigmoid`` and
``softplus`` stay what they are and never become quotients of exponentials. Formula and derivative are then emitted as
programs (`mlpx.differentiation.program`), in which every common part is computed once.

At a kink the derivative is that from the left, as the specification of the activations has it: 0 for ``max(0, x)`` at
0, gamma for ``max(x, gamma*x)`` with gamma below 1. That of ``abs`` and ``sign`` is 0 there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from mlpx.activations import formula
from mlpx.differentiation.algebra import expression, printed, sympy_module, variable
from mlpx.differentiation.lowering import lowered
from mlpx.differentiation.program import Constant, Program
from mlpx.losses import formula as loss_formula

__all__ = ["Derived", "activation_from_formula", "derived", "loss_from_formula"]


_MOST_FACTORED = 100


class Derived(NamedTuple):
    """A formula and its derivative by the first variable."""

    value: Program
    slope: Program


@lru_cache(maxsize=256)
def derived(text: str, parameters: tuple[tuple[str, float], ...], variables: tuple[str, ...]) -> Derived:
    """Return a formula and its derivative as programs.

    Parameters
    ----------
    text : str
        The formula.
    parameters : tuple of (str, float)
        As `mlpx.differentiation.formula.check_parameters` returns them.
    variables : tuple of str
        The names of the arrays; the derivative is by the first.

    Raises
    ------
    ValueError
        For what is no formula, holds a function without a derivative, or does not depend on the first variable.
    ImportError
        Where SymPy is missing.
    """
    sympy = sympy_module()
    parsed = expression(text, parameters, variables)
    try:
        return _derived(sympy, parsed, dict(parameters), variables)
    except ValueError:
        raise
    except Exception as error:  # of SymPy's many
        msg = f"`text` {text!r} cannot be differentiated ({type(error).__name__}: {error})."
        raise ValueError(msg) from error


def _derived(sympy: Any, parsed: Any, parameters: dict[str, float], variables: tuple[str, ...]) -> Derived:
    slope = sympy.diff(parsed, variable(variables[0]))
    forms = [lowered(slope, variables, parameters)]
    if len(forms[0].steps) <= _MOST_FACTORED:  # on long ones it takes very long
        forms.append(lowered(sympy.factor_terms(slope), variables, parameters))
    shortest = min(forms, key=lambda form: len(form.steps))
    if isinstance(shortest.result, Constant) and shortest.result.value == 0:
        msg = f"`text` must depend on {variables[0]} and have a derivative other than 0, or nothing can be learned."
        raise ValueError(msg)
    return Derived(lowered(parsed, variables, parameters), shortest)


def activation_from_formula(text: Any, /, **parameters: float) -> formula:
    """Return the activation that a formula describes, with its derivative by SymPy.

    Parameters
    ----------
    text : str or expression of SymPy
        In the variable ``x`` (or ``z``): numbers, ``+ - * / **``, brackets, ``pi``, the functions of
        `mlpx.differentiation.FUNCTIONS`, and parameters.
    **parameters : float
        The value of each parameter.

    Returns
    -------
    mlpx.activations.formula
        It runs on every backend and is saved in model files as its text and parameters. Its `code` shows both programs.

    Raises
    ------
    ValueError
        For a text that is no such formula, and for one whose derivative is 0.
    TypeError
        For what is neither a text nor an expression.
    ImportError
        Where SymPy is missing: ``pip install "mlpx[symbolic]"``.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx.differentiation import activation_from_formula
    >>> swish = activation_from_formula("x * sigmoid(beta*x)", beta=1.5)
    >>> print(swish.code)
    f(x):
        t1 = beta * x
        t2 = sigmoid(t1)
        t3 = x * t2
        return t3
    derivative(x):
        t1 = beta * x
        t2 = sigmoid(t1)
        t3 = 1 - t2
        t4 = t3 * t1
        t5 = t4 * t2
        t6 = t5 + t2
        return t6
    >>> net = mlpx.MLP([2, 8, 1], activation=swish, output="linear")
    """
    return formula(text if isinstance(text, str) else printed(text), tuple(parameters.items()))


def loss_from_formula(text: Any, /, **parameters: float) -> loss_formula:
    """Return the loss that a formula describes, with its derivative by SymPy.

    Parameters
    ----------
    text : str or expression of SymPy
        In the variables ``p``, an output of the network, and ``y``, its target; else as for `activation_from_formula`.
    **parameters : float
        The value of each parameter.

    Returns
    -------
    mlpx.losses.formula
        The sum of the formula over the outputs of a sample. It goes with any output.

    Raises
    ------
    ValueError, TypeError, ImportError
        As `activation_from_formula`.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx.differentiation import loss_from_formula
    >>> smooth = loss_from_formula("c**2 * (sqrt(1 + ((p - y)/c)**2) - 1)", c=0.5)
    >>> net = mlpx.MLP([2, 8, 1], output="linear", loss=smooth)
    """
    return loss_formula(text if isinstance(text, str) else printed(text), tuple(parameters.items()))
