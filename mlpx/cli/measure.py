"""Measures on test rows, beside what needs no network: the commonest class, or the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx.cli.console import counted, figure, note, say_table
from mlpx.tables import ClassTarget, NumberTarget, Preprocessing

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    import mlpx


def report(net: mlpx.Network, preprocessing: Preprocessing, frame: pd.DataFrame, title: str) -> None:
    """Measure a network on rows with a target and write a small table."""
    inputs = preprocessing.transform(frame, dtype=net.master_dtype_name, note=note)
    y = preprocessing.transform_target(frame)
    target = preprocessing.target
    heading = f"{title}, {counted(len(frame), 'row')}"
    if isinstance(target, ClassTarget):
        rows = [(heading, "network", f"always {target.majority[:20]}"), *_classification(net, inputs, y, target)]
    else:
        rows = [(heading, "network", f"always {figure(target.mean)}"), *_regression(net, inputs, y, target)]
    say_table(rows)


def _classification(net: mlpx.Network, inputs: Any, y: NDArray[Any], target: ClassTarget) -> list[tuple[str, str, str]]:
    everywhere = len(np.unique(y)) == len(target.classes)  # the area under the curve needs every class
    metrics = ("accuracy", "roc_auc") if everywhere else ("accuracy",)
    values = net.evaluate(inputs, y, metrics=metrics)
    rows = [("accuracy", f"{values['accuracy']:.4f}", f"{np.mean(y == target.majority):.4f}")]
    if everywhere:
        rows.append(("ROC AUC", f"{values['roc_auc']:.4f}", "0.5000"))
    return [*rows, ("cross-entropy", f"{values['loss']:.4f}", "")]


def _regression(net: mlpx.Network, inputs: Any, y: NDArray[Any], target: NumberTarget) -> list[tuple[str, str, str]]:
    truth, predicted = target.decode(y), target.decode(net.predict(inputs))
    ours, trivial = errors(truth, predicted), errors(truth, np.full_like(truth, target.mean))
    return [(name, _written(name, ours[name]), _written(name, trivial[name])) for name in ours]


def _written(name: str, value: float) -> str:
    """Write errors with five digits, and shares with four decimals, never as minus nothing."""
    return f"{value:z.4f}" if name == "R2" else figure(value)


def errors(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    """Measure predictions in the target's own unit."""
    difference = predicted - truth
    spread = float(((truth - truth.mean()) ** 2).sum())
    measures = {"RMSE": float(np.sqrt((difference**2).mean())), "MAE": float(np.abs(difference).mean())}
    return measures if spread == 0 else measures | {"R2": 1 - float((difference**2).sum()) / spread}
