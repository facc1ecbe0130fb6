"""The estimators beside scikit-learn's own: whole fits on every data set that it ships, and a search.

The suite stands among those of ``mlpx bench``. ``python -m mlpx.bench.estimators`` measures it by itself, and says what
both searches found. A fit has default parameters, so it lasts until it has converged or has made its 200 epochs, which
happens in the same epoch on both sides. The rows are as shipped, or standardized.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module, util
from typing import Any

import numpy as np

from mlpx.bench import quantities
from mlpx.bench.case import Case, Contender
from mlpx.bench.machine import describe_machine
from mlpx.bench.timing import CaseResult, measure
from mlpx.cli.console import say, say_fields, say_table

__all__ = ["Search", "cases", "main", "search_case", "searches"]

Run = Callable[[], object]

#: Each data set that scikit-learn ships, and the class that learns it.
SHIPPED = {
    "iris": "MLPClassifier",
    "wine": "MLPClassifier",
    "breast_cancer": "MLPClassifier",
    "digits": "MLPClassifier",
    "diabetes": "MLPRegressor",
    "linnerud": "MLPRegressor",
}
#: Who is measured, and where their classes are.
OWN, THEIRS = ("mlpx numpy", "mlpx.sklearn"), ("scikit-learn", "sklearn.neural_network")

#: A small network and a short training, as searches have them: what a step costs besides its products counts most.
NETWORK = {"hidden_layer_sizes": (16,), "batch_size": 32, "random_state": 0}
#: Neither the loss nor a validation set ends it.
EPOCHS = {"max_iter": 50, "n_iter_no_change": 51, "tol": 0.0}
GRID = {"learning_rate_init": np.logspace(-4, -0.5, 8).tolist(), "alpha": np.logspace(-6, -1, 6).tolist()}
FOLDS = 5

#: How many times as fast as scikit-learn's this ought to be at least, by the name of a case; else faster at all.
WANTED = {"digits": 2.0, "search": 10.0}
SECONDS = 3.0


def cases(*, full: bool = False, **_: object) -> list[Case]:
    """List the fits, and the search.

    Parameters
    ----------
    full : bool
        Whether the search takes part, which lasts a minute or more.

    Examples
    --------
    >>> from mlpx.bench import estimators
    >>> [case.title for case in estimators.cases()][:2]
    ['fit, as shipped, iris', 'fit, as shipped, wine']
    """
    if util.find_spec("sklearn") is None:
        return []
    fits = [_fit_case(name, scaled=scaled) for scaled in (False, True) for name in SHIPPED]
    return [*fits, search_case(searches())] if full else fits


def _fit_case(name: str, *, scaled: bool) -> Case:
    """Return the case of one data set."""
    contenders = [
        Contender(who, partial(_prepare_fit, module, name, scaled), f"{SHIPPED[name]}(random_state=0).fit")
        for who, module in (OWN, THEIRS)
    ]
    group = f"fit, {'standardized' if scaled else 'as shipped'}"
    parameters = {"data": name, "scaled": scaled, "dtype": "float64"}
    return Case("estimators", name, tuple(contenders), "fit", parameters=parameters, group=group)


def _prepare_fit(module: str, name: str, scaled: bool) -> Run:
    """Return a run of a whole fit with default parameters."""
    X, y = load(name, scaled=scaled)
    make = getattr(import_module(module), SHIPPED[name])
    return partial(quietly, lambda: make(random_state=0).fit(X, y))


def load(name: str, *, scaled: bool) -> tuple[Any, Any]:
    """Load features and targets of a data set that scikit-learn ships."""
    X, y = getattr(import_module("sklearn.datasets"), f"load_{name}")(return_X_y=True)
    return (import_module("sklearn.preprocessing").StandardScaler().fit_transform(X) if scaled else X), y


def quietly(call: Run) -> object:
    """Make a call without scikit-learn's warning that a fit has not converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", import_module("sklearn.exceptions").ConvergenceWarning)
        return call()


@dataclass
class Search:
    """One way of searching the grid, and what its latest run found.

    Attributes
    ----------
    name, settings : str
        As a contender says them.
    estimators, place, cls : str
        Where the classifier's class is, and where and how the search's class is called.
    options : dict
        Further parameters of the search.
    best_score : float or None
        Mean accuracy over the folds of the best candidate; None before the first run.
    best_params : dict
        That candidate.
    """

    name: str
    settings: str
    estimators: str
    place: str
    cls: str
    options: dict[str, Any] = field(default_factory=dict)
    best_score: float | None = None
    best_params: dict[str, float] = field(default_factory=dict)

    def prepare(self) -> Run:
        """Return a run of the whole search."""
        X, y = load("breast_cancer", scaled=True)
        X = X.astype(np.float32)
        estimator = import_module(self.estimators).MLPClassifier(**NETWORK, **EPOCHS)
        search = getattr(import_module(self.place), self.cls)(estimator, GRID, cv=FOLDS, **self.options)

        def run() -> None:
            quietly(lambda: search.fit(X, y))
            self.best_score, self.best_params = float(search.best_score_), dict(search.best_params_)

        return run


def searches() -> tuple[Search, ...]:
    """Return the two ways, ours first."""
    stacked = Search(OWN[0], "MLPSearchCV.fit", OWN[1], OWN[1], "MLPSearchCV")
    grid = "GridSearchCV(n_jobs=2).fit"
    return stacked, Search(THEIRS[0], grid, THEIRS[1], "sklearn.model_selection", "GridSearchCV", {"n_jobs": 2})


def search_case(ways: Sequence[Search]) -> Case:
    """Return the case of the search, whose ways keep what they find."""
    contenders = tuple(Contender(way.name, way.prepare, way.settings) for way in ways)
    candidates = int(np.prod([len(values) for values in GRID.values()]))
    parameters = {"data": "breast_cancer", "candidates": candidates, "folds": FOLDS, "dtype": "float32", **EPOCHS}
    return Case("estimators", "breast_cancer", contenders, "search", parameters=parameters, group="search")


# The command.


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write a table; return 1 where something is slower than wanted or the best scores differ."""
    parser = argparse.ArgumentParser(prog="python -m mlpx.bench.estimators", description=__doc__.partition("\n")[0])
    parser.add_argument("--fits", action="store_true", help="leave out the search, which takes minutes")
    options = parser.parse_args(arguments)
    say_fields([("processor", describe_machine().title)])
    say()
    found = [measure(case, seconds=SECONDS) for case in cases()]
    say_table([("fit", "mlpx", "scikit-learn", "ratio", "wanted"), *rows(found)])
    as_wanted = [options.fits or search(), *map(fast_enough, found)]
    return 0 if all(as_wanted) else 1


def search() -> bool:
    """Measure the search, and write what it took and found; say whether that is what is wanted."""
    ways = searches()
    case = search_case(ways)
    found = measure(case, seconds=SECONDS)
    say()
    candidates = f"{case.parameters['candidates']} candidates, {FOLDS} folds"
    say_table([(f"search, {candidates}", "mlpx", "scikit-learn", "ratio", "wanted"), *rows([found])])
    say()
    best = [
        (way.name, way.best_score or 0.0, ", ".join(f"{k}={v:.2g}" for k, v in way.best_params.items())) for way in ways
    ]
    say_table([("search", "best score", "of"), *((name, f"{score:.4f}", of) for name, score, of in best)])
    return fast_enough(found) and round(best[0][1], 2) == round(best[1][1], 2)


def rows(found: Sequence[CaseResult]) -> Iterator[tuple[str, ...]]:
    """Yield a row a case: what it took on both sides, and how many times faster ours is."""
    for case in found:
        cells = [quantities.seconds(r.median) if (r := case.result(who)) else "-" for who, _ in (OWN, THEIRS)]
        yield (case.title.removeprefix("fit, "), *cells, quantities.ratio(faster(case)), f">= {wanted(case):g}")


def faster(case: CaseResult) -> float | None:
    """Return how many times as long scikit-learn takes, from quotients within the rounds."""
    theirs = case.result(THEIRS[0])
    return None if theirs is None or case.result(OWN[0]) is None else theirs.ratio


def wanted(case: CaseResult) -> float:
    """Return how many times as fast ours ought to be."""
    return WANTED.get(case.group, WANTED.get(case.name, 1.0))


def fast_enough(case: CaseResult) -> bool:
    """Say whether ours is as fast as it ought to be."""
    return (faster(case) or 0.0) >= wanted(case)


if __name__ == "__main__":
    raise SystemExit(main())
