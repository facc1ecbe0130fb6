"""`MLPSearchCV`: scikit-learn's grid search and randomized search, with all networks trained as stacks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from numbers import Integral
from typing import Any, cast

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.utils import indexable

from mlpx.sklearn import arrays
from mlpx.sklearn.internals import (
    BaseSearchCV,
    Interval,
    MultimetricScorer,
    Task,
    check_method_params,
    fit_context,
)
from mlpx.sklearn.outcomes import by_metric, mean_outcome, outcomes_of
from mlpx.sklearn.trial_fits import fit_trials
from mlpx.sklearn.trial_scores import Scoring, score_trials
from mlpx.sklearn.trials import Split, Trial, seed_list, with_settings

__all__ = ["MLPSearchCV"]

_SAMPLED = 10


class MLPSearchCV(BaseSearchCV):  # type: ignore[misc]
    """Search over the settings of a network, with all candidates, folds and seeds trained as stacks.

    It has the interface of scikit-learn's `GridSearchCV` and of its `RandomizedSearchCV`, and finds what they find over
    the same estimator: scores equal theirs to rounding. What differs is the time: networks of one shape, from all
    candidates and folds, are trained side by side by one program, instead of one after the other.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or Pipeline
        What is cloned for every trial. The steps of a pipeline that ends in one of these networks are fitted once a
        fold and once for every setting of their own parameters. Any other estimator is searched too, one fit after the
        other.
    param_grid : dict or list of dict, optional
        Lists of values by parameter name: all combinations are tried. With `n_iter`, or if a value is a distribution
        (has the method ``rvs``), settings are drawn from it instead, so that arguments of either of scikit-learn's
        classes can stand here.
    param_distributions : dict or list of dict, optional
        Lists or distributions by parameter name, to draw settings from; instead of `param_grid`.
    n_iter : int, optional
        Number of settings to draw; 10 where settings are drawn and nothing is said.
    scoring : str, callable, list, tuple or dict, optional
        One metric or several; by default the estimator's `score`.
    n_jobs : int, optional
        Processes for estimators that cannot be stacked; stacks use the threads of the array library.
    refit : bool, str or callable
        Whether to fit the best candidate on all data; with several metrics the one that decides; or a function from
        `cv_results_` to the index of the best.
    cv : int, splitter or iterable, optional
        How to split; five folds by default, stratified for a classifier.
    verbose : int
        From 1 on the number of fits is printed, from 2 on the outcome of each.
    pre_dispatch : int or str
        For estimators that cannot be stacked, as in `GridSearchCV`.
    random_state : int, RandomState instance or None
        For drawing settings from distributions. Weights and shuffles come from the estimator's own `random_state`.
    error_score : float or "raise"
        What stands where a fit or a score failed.
    return_train_score : bool
        Whether the training rows are scored too.
    seeds : int or sequence, optional
        Values of `random_state` of the network, each of which every candidate is trained with on every fold; a number n
        stands for 0 to n - 1. Scores are means over them. By default the network's own `random_state`.

    Attributes
    ----------
    cv_results_ : dict of arrays
        The same keys as scikit-learn's. ``fit_time`` and ``score_time`` share out evenly what was done together, so
        that their sum is the time that passed. With `seeds`, ``split0_test_score`` is the mean over the seeds, times
        are sums over them, and there are also ``split0_seed0_test_score`` for each split and seed (by number), and
        ``std_seeds_test_score``: the standard deviation, over the seeds, of the mean over the splits. A lead of one
        candidate over another that is smaller than this says little.
    best_estimator_ : estimator
        The best candidate, fitted on all data with the estimator's own `random_state`, unless `refit` is False.
    best_params_, best_score_, best_index_
        Setting, mean test score, and row in `cv_results_` of the best candidate.
    scorer_ : callable or dict
        What scored.
    n_splits_ : int
        Number of splits.
    refit_time_ : float
        Seconds for the last fit.
    multimetric_ : bool
        Whether there are several metrics.
    classes_ : array of shape (n_classes,)
        Labels of the best estimator.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Names of the features, where X had them.

    Notes
    -----
    Callbacks of scikit-learn's protocol are told of the search's tasks; the epochs of networks in a stack are not
    told one by one.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mlpx.sklearn import MLPClassifier, MLPSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((8,), batch_size=32, tol=0.01, random_state=0)
    >>> grid = {"learning_rate_init": [0.01, 0.03, 0.1], "alpha": [0.0001, 0.01]}
    >>> search = MLPSearchCV(network, grid, cv=3).fit(X / X.max(axis=0), y)
    >>> search.cv_results_["mean_test_score"].shape
    (6,)
    >>> bool(search.best_score_ > 0.9)
    True
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        **BaseSearchCV._parameter_constraints,
        "param_grid": [dict, list, None],
        "param_distributions": [dict, list, None],
        "n_iter": [Interval(Integral, 1, None, closed="left"), None],
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
            return cast("Iterable[dict[str, Any]]", ParameterGrid(space))
        count = _SAMPLED if self.n_iter is None else self.n_iter
        return cast("Iterable[dict[str, Any]]", ParameterSampler(space, count, random_state=self.random_state))

    def _splits(self, X: Any, y: Any, routed: Any) -> list[Split]:
        labels = arrays.on_host(y)
        cv = check_cv(self.cv, labels, classifier=is_classifier(self.estimator))
        self.n_splits_ = cv.get_n_splits(X, labels, **routed.splitter.split)
        rows = list(cv.split(X, labels, **routed.splitter.split))
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
        return [Trial(split, parameters, seed) for parameters, split, seed in product(candidates, splits, seeds)]

    def _run(self, trials: list[Trial], scorer: Any, task: Task) -> None:
        search = task.subtask("search", max_subtasks=len(trials))
        tasks = [search.subtask("candidate-split-evaluation", i, **_lazy_data(t.split)) for i, t in enumerate(trials)]
        fit_trials(trials, n_jobs=self.n_jobs, pre_dispatch=self.pre_dispatch)
        score_trials(trials, Scoring(scorer, self.error_score, self.return_train_score))
        for each in (*tasks, search):
            each.end()
        if self.verbose > 1:
            self._print(trials)

    def _print(self, trials: list[Trial]) -> None:
        splits = list(dict.fromkeys(trial.split for trial in trials))
        for trial in trials:
            settings = [f"{name}={trial.parameters[name]}" for name in sorted(trial.parameters)]
            settings += [] if self.seeds is None else [f"seed={trial.seed}"]
            place = f"[CV {splits.index(trial.split) + 1}/{len(splits)}]"
            seconds = trial.fit_time + trial.score_time
            print(f"{place} END {', '.join(settings)}; score={trial.test_scores}; total time={seconds:.3g}s")  # noqa: T201

    def _results(self, candidates: list[dict[str, Any]], trials: list[Trial]) -> dict[str, Any]:
        outcomes = outcomes_of(
            trials, self.error_score, train=self.return_train_score, callable_scoring=callable(self.scoring)
        )
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


def _lazy_data(split: Split) -> dict[str, Any]:
    """Return a split's training data as callbacks take it: cut only for those that ask."""
    return {"X": lambda: split.training[0], "y": lambda: split.training[1]}


def _has_distributions(space: Any) -> bool:
    grids = [space] if isinstance(space, Mapping) else space
    return any(hasattr(values, "rvs") for grid in grids for values in grid.values())
