"""`MLPSearchCV`: scikit-learn's grid search and randomized search, with all networks trained as stacks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.utils import indexable

from mlpx.sklearn.internals import (
    BaseSearchCV,
    MultimetricScorer,
    Task,
    check_method_params,
    fit_context,
)
from mlpx.sklearn.outcomes import by_metric, mean_outcome, outcomes_of
from mlpx.sklearn.trials import Scoring, Split, Trial, fit_trials, score_trials, seed_list, with_settings

__all__ = ["MLPSearchCV"]

_SAMPLED = 10


class MLPSearchCV(BaseSearchCV):  # type: ignore[misc]
    """TODO."""

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        **BaseSearchCV._parameter_constraints,
        "param_grid": [dict, list, None],
        "param_distributions": [dict, list, None],
        "n_iter": [Integral, None],
        "random_state": ["random_state"],
        "seeds": [Integral, "array-like", None],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any = None,
        *,
        param_distributions: Any = None,
        n_iter: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        seeds: int | Sequence[Any] | None = None,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_grid = param_grid
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.seeds = seeds

    @fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, **params: Any) -> MLPSearchCV:
        """Try all candidates on all splits, and fit the best on all data.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Targets.
        **params
            For the estimator's `fit`, the scorer and the splitter, as in `GridSearchCV.fit`: ``groups`` goes to the
            splitter, ``sample_weight`` to `fit` and to scorers that take it; what has a row a sample is cut with the
            folds. With metadata routing on, all go where they were requested.

        Returns
        -------
        MLPSearchCV
            Itself.

        Raises
        ------
        ValueError
            Where there is not exactly one of `param_grid` and `param_distributions`, or every fit failed.
        """
        scorer, metric = self._get_scorers()
        X, y = indexable(X, y)
        params = check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        weight = params.get("sample_weight")
        data = {"X": X, "y": y, "metadata": None if weight is None else {"sample_weight": weight}}
        task = Task.root(self, max_subtasks=1 + (self.refit is not False), **data)

        candidates = list(self._candidates())
        trials = self._trials(candidates, self._splits(X, y, routed))
        self._run(trials, scorer, task)
        results = self._results(candidates, trials)
        self._choose(results, self.refit if self.multimetric_ else metric)
        if self.refit:
            self._refit(task, routed.estimator.fit, data)
        self.scorer_ = scorer._scorers if isinstance(scorer, MultimetricScorer) else scorer
        self.cv_results_ = results
        task.end()
        return self

    def _candidates(self) -> Iterable[dict[str, Any]]:
        if (self.param_grid is None) == (self.param_distributions is None):
            given = "neither" if self.param_grid is None else "both"
            msg = f"Exactly one of `param_grid` and `param_distributions` must be given, got {given}."
            raise ValueError(msg)
        space = self.param_distributions if self.param_grid is None else self.param_grid
        if self.n_iter is None and self.param_distributions is None and not _has_distributions(space):
            return ParameterGrid(space)
        count = _SAMPLED if self.n_iter is None else self.n_iter
        return ParameterSampler(space, count, random_state=self.random_state)

    def _splits(self, X: Any, y: Any, routed: Any) -> list[Split]:
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        rows = list(cv.split(X, y, **routed.splitter.split))
        if len(rows) != self.n_splits_:
            msg = (
                "cv.split and cv.get_n_splits return inconsistent results. "
                f"Expected {self.n_splits_} splits, got {len(rows)}"
            )
            raise ValueError(msg)
        params = (routed.estimator.fit, routed.scorer.score)
        return [Split(self.estimator, X, y, train, test, *params) for train, test in rows]

    def _trials(self, candidates: list[dict[str, Any]], splits: list[Split]) -> list[Trial]:
        """Return all trials, by candidate, then split, then seed."""
        seeds = seed_list(self.seeds)
        if self.verbose > 0:
            fits = f"{len(splits)} folds for each of {len(candidates)} candidates"
            fits += "" if self.seeds is None else f" with {len(seeds)} seeds"
            print(f"Fitting {fits}, totalling {len(candidates) * len(splits) * len(seeds)} fits")  # noqa: T201
        return [
            Trial(with_settings(self.estimator, parameters, seed), split, parameters)
            for parameters, split, seed in product(candidates, splits, seeds)
        ]

    def _run(self, trials: list[Trial], scorer: Any, task: Task) -> None:
        search = task.subtask("search", max_subtasks=len(trials))
        tasks = [search.subtask("candidate-split-evaluation", number) for number in range(len(trials))]
        fit_trials(trials, n_jobs=self.n_jobs, pre_dispatch=self.pre_dispatch)
        score_trials(trials, Scoring(scorer, self.error_score, self.return_train_score))
        for each in (*tasks, search):
            each.end()

    def _results(self, candidates: list[dict[str, Any]], trials: list[Trial]) -> dict[str, Any]:
        outcomes = outcomes_of(trials, self.error_score, train=self.return_train_score, callable_scoring=callable(self.scoring))
        n_seeds = len(seed_list(self.seeds))
        averaged = [mean_outcome(outcomes[i : i + n_seeds]) for i in range(0, len(outcomes), n_seeds)]
        self.multimetric_ = isinstance(averaged[0]["test_scores"], dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(averaged[0]["test_scores"])
        results: dict[str, Any] = self._format_results(candidates, self.n_splits_, averaged)
        if self.seeds is not None:
            results.update(self._seed_columns(outcomes, n_seeds))
        return results

    def _seed_columns(self, outcomes: list[dict[str, Any]], n_seeds: int) -> dict[str, Any]:
        columns = {}
        for part in ("test", "train") if self.return_train_score else ("test",):
            for name, scores in by_metric(outcomes, part).items():
                table = scores.reshape(-1, self.n_splits_, n_seeds)
                for split, seed in product(range(self.n_splits_), range(n_seeds)):
                    columns[f"split{split}_seed{seed}_{part}_{name}"] = table[:, split, seed]
                columns[f"std_seeds_{part}_{name}"] = table.mean(axis=1).std(axis=1)
        return columns

    def _choose(self, results: dict[str, Any], metric: Any) -> None:
        if not self.refit and self.multimetric_:
            return
        self.best_index_ = self._select_best_index(self.refit, metric, results)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(self, task: Task, fit_params: dict[str, Any], data: dict[str, Any]) -> None:
        self.best_estimator_ = with_settings(self.estimator, self.best_params_)
        refit = task.subtask("refit-with-best-params", **data)
        start = time.time()
        refit.fit(self.best_estimator_, data["X"], data["y"], fit_params)
        self.refit_time_ = time.time() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
        refit.end()


def _has_distributions(space: Any) -> bool:
    grids = [space] if isinstance(space, Mapping) else space
    return any(hasattr(values, "rvs") for grid in grids for values in grid.values())
