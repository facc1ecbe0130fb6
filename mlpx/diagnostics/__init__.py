"""What goes on inside a network that learns: `Diagnostics` while it trains, `learning_rate_range_test` before."""

from mlpx.diagnostics.range_test import RangeTest, learning_rate_range_test
from mlpx.diagnostics.recorder import Diagnostics

__all__ = ["Diagnostics", "RangeTest", "learning_rate_range_test"]
