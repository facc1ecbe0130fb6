"""What a search and a cross-validation consist of: one estimator on one split of the data, many times."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from mlpx.sklearn.classifier import MLPClassifier
from mlpx.sklearn.internals import check_method_params, rows_like, safe_split
from mlpx.sklearn.regressor import MLPRegressor

__all__ = ["Split", "Trial", "network_of", "seed_list", "with_settings"]


@dataclass(eq=False)
class Split:
    """One division of the data, each part cut out once, when first needed.

    Parameters
    ----------
    estimator : estimator
        What is tried; says whether X is pairwise, so that columns are cut too.
    X, y : data
        All of it.
    train, test : array of int
        Rows.
    fit_params, score_params : dict
        What goes to `fit` and to the scorer; what has a row a sample is cut as X is.
    """

    estimator: Any
    X: Any
    y: Any
    train: Any
    test: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]

    @cached_property
    def training(self) -> Any:
        """X and y to train on."""
        return safe_split(self.estimator, self.X, self.y, rows_like(self.X, self.train))

    @cached_property
    def held_out(self) -> Any:
        """X and y to score."""
        test, train = rows_like(self.X, self.test), rows_like(self.X, self.train)
        return safe_split(self.estimator, self.X, self.y, test, train)

    @cached_property
    def training_params(self) -> Any:
        """The parameters of `fit` for the rows to train on."""
        return check_method_params(self.X, params=self.fit_params, indices=self.train)

    def scoring_params(self, rows: Any) -> Any:
        """Return the scorer's parameters for some rows."""
        return check_method_params(self.X, params=self.score_params, indices=rows)

    def release(self) -> None:
        """Let go of the parts that were cut out; they are cut again when needed."""
        for name in ("training", "held_out", "training_params"):
            self.__dict__.pop(name, None)


@dataclass(eq=False)
class Trial:
    """An estimator, the split that it is tried on, and what came of it.

    Parameters
    ----------
    split : Split
        Where an estimator is fitted and scored, and which.
    parameters : dict
        What is set on it.
    seed : optional
        Its `random_state`; None: its own.

    Attributes
    ----------
    estimator : estimator
        A clone with its parameters set; fitted in place, or replaced by its fitted copy.
    """

    split: Split
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: Any = None
    estimator: Any = field(init=False)
    error: Exception | None = None
    fit_time: float = 0.0
    score_time: float = 0.0
    test_scores: Any = None
    train_scores: Any = None

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Make the estimator anew; a random state that was drawn from is again what it was."""
        self.estimator = with_settings(self.split.estimator, self.parameters, self.seed)

    def result(self, *, train: bool) -> dict[str, Any]:
        """Return what scikit-learn's searches make their tables of."""
        trace = None if self.error is None else "".join(traceback.format_exception(self.error))
        found = {"fit_error": trace, "test_scores": self.test_scores,
                 "fit_time": self.fit_time, "score_time": self.score_time}  # fmt: skip
        return {**found, "train_scores": self.train_scores} if train else found


def network_of(estimator: Any) -> Any:
    """Return the network that an estimator is, or that a pipeline ends in, where stacks can train it; else None."""
    if type(estimator) is Pipeline and estimator.steps and getattr(estimator, "transform_input", None) is None:
        estimator = estimator.steps[-1][1]
    own = getattr(type(estimator), "fit", None) in (MLPClassifier.fit, MLPRegressor.fit)
    return estimator if own else None


def seed_list(seeds: int | Sequence[Any] | None) -> list[Any]:
    """Return the seeds that are meant: one None, 0 to n - 1 for a number, or those that are given."""
    if seeds is None:
        return [None]
    counted: list[Any] = list(seeds) if isinstance(seeds, Iterable) else list(range(seeds))
    if not counted:
        msg = f"`seeds` must be a number of at least 1 or hold at least one seed, got {seeds!r}."
        raise ValueError(msg)
    return counted


def with_settings(estimator: Any, parameters: dict[str, Any], seed: Any = None) -> Any:
    """Return a clone with parameters set, and with a seed as `random_state` of the estimator or of the last step."""
    made = clone(estimator).set_params(**clone(parameters, safe=False))
    if seed is not None:
        name = f"{made.steps[-1][0]}__random_state" if isinstance(made, Pipeline) else "random_state"
        if name not in made.get_params():
            msg = f"`seeds` needs an estimator with the parameter {name!r}, got {made!r}. Leave `seeds` out."
            raise ValueError(msg)
        made.set_params(**{name: seed})
    return made
