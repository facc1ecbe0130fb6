"""A pytest plugin that puts mlpx's estimators in the place of scikit-learn's.

pytest imports a plugin that ``-p`` names before it collects, so the test file that scikit-learn installs finds these
two classes under the names that it imports, and runs as it is:

    PYTHONPATH=tests python -m pytest -p sklearn_plugin --pyargs sklearn.neural_network.tests.test_mlp
"""

import pytest
import sklearn.neural_network

import mlpx.sklearn

OWN = {name: getattr(mlpx.sklearn, name) for name in ("MLPClassifier", "MLPRegressor")}
for name, own in OWN.items():
    setattr(sklearn.neural_network, name, own)

# What each of these tests reads is private to scikit-learn's classes, which do not promise it.
PRIVATE = {
    "test_gradient": "calls _loss_grad_lbfgs, scikit-learn's gradient of its packed parameters",
    "test_learning_rate_warmstart": "reads the rate from _optimizer",
    "test_adaptive_learning_rate": "reads the rate from _optimizer",
    "test_n_iter_no_change": "reads _no_improvement_count",
    "test_n_iter_no_change_inf": "reads _no_improvement_count",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of private names, and make sure that the others have got mlpx's classes."""
    for module in {item.module for item in items if isinstance(item, pytest.Function)}:
        if any(getattr(module, name) is not own for name, own in OWN.items()):
            msg = f"{module.__name__} was imported before its estimators were replaced"
            raise pytest.UsageError(msg)
    private = [item for item in items if item.name.partition("[")[0] in PRIVATE]
    config.hook.pytest_deselected(items=private)
    items[:] = [item for item in items if item not in private]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where a test was skipped: all that are left in must run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not exitstatus and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_report_header() -> list[str]:
    """Say what is tested and what is left out."""
    tested = ", ".join(f"{own.__module__}.{own.__qualname__}" for own in OWN.values())
    return [f"tested: {tested}", *(f"left out: {name} {why}" for name, why in PRIVATE.items())]
