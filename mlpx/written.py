"""What activations and losses that are written as formulas have in common."""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["Written"]


class Written:
    """A description whose function is a formula as a text, and whose derivative is found by SymPy.

    Attributes
    ----------
    variables : tuple of str
        Names of the arrays in the formula; the derivative is by the first.
    """

    variables: ClassVar[tuple[str, ...]]
    text: str
    parameters: tuple[tuple[str, float], ...]
    _value: Any
    _slope: Any

    def __post_init__(self) -> None:
        from mlpx.differentiation.formula import check_parameters
        from mlpx.differentiation.symbolic import derived

        if not isinstance(self.text, str):
            msg = f"`text` must be a formula as a text, got {self.text!r}."
            raise TypeError(msg)
        parameters = check_parameters(self.parameters, self.variables)
        value, slope = derived(self.text, parameters, self.variables)
        for name, found in (("parameters", parameters), ("_value", value), ("_slope", slope)):
            object.__setattr__(self, name, found)

    @property
    def code(self) -> str:
        """What is computed, as text to read."""
        return f"{self._value.code('f')}\n{self._slope.code('derivative')}"
