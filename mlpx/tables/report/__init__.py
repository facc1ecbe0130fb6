"""The report on a model of a table: how good it is beside simpler ones, where it errs, which columns it needs.

`make_report` measures; a `Report` is then text (``print(report)``), a dictionary that JSON can hold, or one HTML page
with pictures, which needs no network and no script.
"""

from mlpx.tables.report.classes import Classes
from mlpx.tables.report.importance import Importance
from mlpx.tables.report.making import make_report
from mlpx.tables.report.numbers import Numbers
from mlpx.tables.report.report import Report

__all__ = ["Classes", "Importance", "Numbers", "Report", "make_report"]
