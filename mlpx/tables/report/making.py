"""From a model and rows with a target to a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx._notes import Note
from mlpx.tables.inferred import rows_inferred
from mlpx.tables.predicting import predict_outputs
from mlpx.tables.preprocessing import labelled_rows
from mlpx.tables.report.classes import Classes
from mlpx.tables.report.importance import (
    MOST_COLUMNS,
    Importance,
    permutation_importance,
    shuffled_rows,
)
from mlpx.tables.report.linear import train_linear
from mlpx.tables.report.numbers import Numbers
from mlpx.tables.report.report import Report
from mlpx.tables.report.words import RANKED_BY, figure, short
from mlpx.tables.requirements import counted, whole
from mlpx.tables.scores import score_classes, score_numbers
from mlpx.tables.targets import ClassTarget, NumberTarget, Target

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mlpx.tables.model import TabularModel


def make_report(
    model: TabularModel, frame: pd.DataFrame, *, importance: bool | None, repeats: int, note: Note
) -> Report:
    """Measure a model on rows with the target.

    Parameters
    ----------
    model : TabularModel
        A model that has learnt.
    frame : pandas.DataFrame
        The rows.
    importance : bool or None
        Whether to shuffle columns; None: where there are not too many.
    repeats : int
        How often.
    note : callable
        Takes a sentence for what was passed over.

    Returns
    -------
    Report
    """
    target = model.preprocessing.target
    frame = labelled_rows(frame, target.name)
    notes: list[str] = []
    outputs = predict_outputs(model.network, model.preprocessing, frame, note=notes.append)
    for sentence in notes:
        note(sentence)
    truth = _truth(target, frame)
    scores = {"model": _scores(target, truth, outputs), "baseline": _trivial(target, truth)}
    if model.training is not None:
        scores |= _linear(model, frame, truth)
    ranked, why = _importance(model, frame, truth, importance, repeats)
    return Report(
        target=target.name,
        task=model.preprocessing.task,
        rows=len(frame),
        scores=scores,
        baseline=_baseline(target),
        findings=_findings(target, truth, outputs, weighted=_weighted(model)),
        importance=ranked,
        importance_note=why,
        inferred=_inferred(model),
        columns=model.preprocessing.describe(),
        notes=tuple(notes),
        history=model.history,
    )


def _truth(target: Target, frame: pd.DataFrame) -> NDArray[Any]:
    """Give the number of each row's class, or the target in its own unit."""
    values = target.encode(frame[target.name])
    if isinstance(target, ClassTarget):
        return np.searchsorted(np.asarray(target.classes), values)
    return target.decode(values)


def _probabilities(outputs: NDArray[Any]) -> NDArray[Any]:
    """Give one column a class; one sigmoid is the probability of the second of two."""
    return outputs if outputs.shape[1] > 1 else np.concatenate([1 - outputs, outputs], axis=1)


def _scores(target: Target, truth: NDArray[Any], outputs: NDArray[Any]) -> dict[str, float]:
    if isinstance(target, NumberTarget):
        return score_numbers(truth, target.decode(outputs))
    return score_classes(truth, _probabilities(outputs))


def _trivial(target: Target, truth: NDArray[Any]) -> dict[str, float]:
    """Measure what needs no columns: the mean, or the shares of the classes, in the training rows."""
    if isinstance(target, NumberTarget):
        return score_numbers(truth, np.full(len(truth), target.mean))
    shares = np.asarray(target.counts) / max(sum(target.counts), 1)
    return score_classes(truth, np.broadcast_to(shares, (len(truth), len(shares))))


def _baseline(target: Target) -> str:
    if isinstance(target, NumberTarget):
        return f"always {figure(target.mean)}, the mean of the training rows"
    return f"always `{short(target.majority)}`, the commonest class of the training rows"


def _linear(model: TabularModel, frame: pd.DataFrame, truth: NDArray[Any]) -> dict[str, dict[str, float]]:
    """Measure a linear model, where one can be trained."""
    assert model.training is not None
    found = train_linear(model.training, seed=model.seed, backend=model.network.backend)
    if found is None:
        return {}
    net, preprocessing = found
    outputs = predict_outputs(net, preprocessing, frame, note=str)
    return {"linear model": _scores(preprocessing.target, truth, outputs)}


def _weighted(model: TabularModel) -> bool:
    return model.training is not None and model.training.recipe.class_weight is not None


def _findings(target: Target, truth: NDArray[Any], outputs: NDArray[Any], *, weighted: bool) -> Classes | Numbers:
    if isinstance(target, NumberTarget):
        return Numbers(truth, target.decode(outputs))
    return Classes.of(target.classes, truth, _probabilities(outputs), weighted=weighted)


def _importance(
    model: TabularModel, frame: pd.DataFrame, truth: NDArray[Any], wanted: bool | None, repeats: int
) -> tuple[tuple[Importance, ...], str]:
    """Give the columns in their order, and a sentence on how that was found, or why it was not."""
    columns = len(model.preprocessing.columns)
    if wanted is False:
        return (), ""
    if wanted is None and columns > MOST_COLUMNS:
        return (), f"no column was shuffled: there are {columns}, and it takes {repeats} predictions for each"
    count = shuffled_rows(len(frame), columns, repeats)
    chosen = np.sort(np.random.default_rng(model.seed).permutation(len(frame))[:count])
    net, preprocessing, part = model.network, model.preprocessing, truth[chosen]
    inputs = preprocessing.transform(frame.iloc[chosen], dtype=net.master_dtype_name, note=str)
    loss, score = RANKED_BY[preprocessing.task]

    def losses(x: NDArray[Any]) -> tuple[float, float]:
        outputs = np.asarray(net.predict(x))
        scores = _scores(preprocessing.target, part, outputs if net.members is None else outputs.mean(axis=0))
        return scores[loss], -scores.get(score, 0.0)

    found = permutation_importance(preprocessing, inputs, losses, repeats=repeats, seed=model.seed)
    times = "once" if repeats == 1 else f"{repeats} times"
    drawn = f" that were drawn of {whole(len(frame))}, to bound the time" if count < len(frame) else ""
    return found, f"each column was shuffled {times} among {counted(count, 'row')}{drawn}: mean ± standard deviation"


def _inferred(model: TabularModel) -> tuple[tuple[str, str], ...]:
    """Give labels and what was inferred, but for the columns."""
    training, preprocessing = model.training, model.preprocessing
    known = [("task", f"{preprocessing.task} of `{short(preprocessing.target.name)}`")]
    if training is not None:
        known.append(("rows", rows_inferred(training.split)))
        known.append(("network", training.recipe.describe(preprocessing.target.width)))
    return tuple(known)
