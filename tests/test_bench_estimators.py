"""The benchmark of the estimators: what it measures, and what it says of that. No test says how fast anything is."""

import pytest

pytest.importorskip("sklearn", minversion="1.9")

from sklearn import datasets

from mlpx.bench import CaseResult, Result, estimators


def made_up(name: str, group: str, **times: float) -> CaseResult:
    """Return a case whose contenders took these seconds, in every round the same."""
    first = next(iter(times.values()))
    names = {"own": "mlpx numpy", "theirs": "scikit-learn"}
    results = tuple(Result(names[who], time, time, time, time / first, 3, 1) for who, time in times.items())
    return CaseResult("estimators", group, name, "fit", "s", None, None, {}, results)


def small(monkeypatch) -> None:
    """Let searches be of four candidates that are trained for two epochs."""
    monkeypatch.setattr(estimators, "GRID", {"learning_rate_init": [1e-4, 1e-2], "alpha": [1e-4, 1e-2]})
    monkeypatch.setattr(estimators, "EPOCHS", {"max_iter": 2})


def test_every_data_set_that_scikit_learn_ships_is_fitted() -> None:
    shipped = {
        name.removeprefix("load_")
        for name in datasets.__all__
        if name.startswith("load_") and not name.endswith(("files", "_file", "_files", "image", "images"))
    }
    found = estimators.cases()
    assert {case.name for case in found} == shipped
    assert len(found) == 2 * len(shipped)
    assert [case.group for case in estimators.cases(full=True)][-1] == "search"


@pytest.mark.parametrize("case", estimators.cases()[:1], ids=lambda case: case.title)
def test_the_contenders_of_a_fit_do_the_same(case) -> None:
    own, theirs = (contender.prepare()() for contender in case.contenders)
    assert (own.n_iter_, own.random_state) == (theirs.n_iter_, theirs.random_state)
    assert type(own).__module__.startswith("mlpx.")
    assert type(theirs).__module__.startswith("sklearn.")


def test_the_search_is_the_one_that_was_promised() -> None:
    case = estimators.search_case(estimators.searches())
    assert (case.parameters["candidates"], case.parameters["folds"], case.parameters["dtype"]) == (48, 5, "float32")
    assert estimators.EPOCHS["n_iter_no_change"] > estimators.EPOCHS["max_iter"] == 50


def test_both_searches_keep_what_they_found(monkeypatch) -> None:
    small(monkeypatch)
    ways = estimators.searches()
    ways[1].options["n_jobs"] = 1
    assert {way.best_score for way in ways} == {None}
    for way in ways:
        way.prepare()()
    assert ways[0].best_params == ways[1].best_params
    assert ways[0].best_score == pytest.approx(ways[1].best_score, abs=0.005)


@pytest.mark.parametrize(
    ("name", "group", "times", "enough"),
    [
        ("iris", "fit, as shipped", (1.0, 1.1), True),
        ("iris", "fit, as shipped", (1.1, 1.0), False),
        ("digits", "fit, standardized", (1.0, 1.9), False),
        ("digits", "fit, standardized", (1.0, 2.1), True),
        ("breast_cancer", "search", (1.0, 9.0), False),
        ("breast_cancer", "search", (1.0, 11.0), True),
    ],
)
def test_what_is_fast_enough(name: str, group: str, times: tuple[float, float], enough: bool) -> None:
    assert estimators.fast_enough(made_up(name, group, own=times[0], theirs=times[1])) is enough


def test_what_did_not_run_is_not_fast() -> None:
    failed = made_up("iris", "fit, as shipped", theirs=1.0)
    assert not estimators.fast_enough(failed)
    assert list(estimators.rows([failed])) == [("as shipped, iris", "-", "1.00 s", "", ">= 1")]


@pytest.mark.parametrize(("speedup", "code"), [(30.0, 0), (1.5, 1)])
def test_the_command_writes_a_table_that_fits_and_says_whether_all_is_well(speedup, code, monkeypatch, capsys) -> None:
    def measure(case, **_):
        for contender in case.contenders if case.group == "search" else ():
            contender.prepare()()
        return made_up(case.name, case.group, own=1.0, theirs=speedup)

    small(monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(estimators, "measure", measure)
    assert estimators.main([]) == code
    said = capsys.readouterr().out.splitlines()
    assert max(map(len, said)) <= 80
    assert sum("standardized" in line for line in said) == 6
    assert {line.split()[0] for line in said[-2:]} == {"mlpx", "scikit-learn"}
