"""The checks of the project: `nox` runs tests, lint and typecheck; `nox -l` lists all sessions.

Interpreters that are not installed are skipped and said so. GPU sessions install nothing: they use the environment that
nox itself runs in (or run the printed command in any environment that has CuPy).
"""

from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "lint", "typecheck"]
nox.options.error_on_missing_interpreters = False

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]
# One interpreter carries PyTorch, whose wheel is large; this release is the one that the numbers were checked with.
TORCH = {"3.11": ["torch==2.13.0"]}
# The same one compiles CUDA kernels, for the same reason, and makes the long comparisons with scikit-learn.
CUDA_COMPILE = {"3.11"}


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group, for pips too old to know groups."""
    return nox.project.dependency_groups(PYPROJECT, name)


def install_wheel(session: nox.Session, *extras: str) -> None:
    """Install the built wheel, so that what is tested is what users get."""
    folder = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), ".", silent=True)
    wheel = max(folder.glob("mlpx-*.whl"), key=lambda path: path.stat().st_mtime)
    session.install(f"mlpx[{','.join(extras)}] @ {wheel.resolve().as_uri()}" if extras else str(wheel))


def jax_settings(session: nox.Session) -> dict[str, str]:
    """Keep what JAX compiles, most of the tests' time, for the next Python and the next run."""
    return {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str((Path(session.cache_dir) / "jax").resolve()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite over every backend that installs on this Python, on the built wheel."""
    if torch := TORCH.get(str(session.python)):
        session.install(*torch)
    install_wheel(session, "cli", "sklearn", "jax", "plot", "symbolic")
    kernels = session.python in CUDA_COMPILE
    session.install(*group("test"), *(group("cuda-compile") if kernels else []))
    chosen = [] if kernels else ["-m", "not kernels and not once"]
    # one process a core, each with one thread of its own
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    session.run("pytest", "-n", "auto", *chosen, *session.posargs, env={**single, **jax_settings(session)})


@nox.session(python="3.11")
def bare(session: nox.Session) -> None:
    """Import, train, save and load with the run-time dependencies alone."""
    install_wheel(session)
    session.install("pytest>=8.3")
    session.run("pytest", "tests/test_bare.py", "-p", "no:cacheprovider", "--noconftest")


@nox.session(python="3.11")
def sklearn_tests(session: nox.Session) -> None:
    """Run scikit-learn's own test file of its multi-layer perceptrons, as installed, against mlpx's estimators."""
    install_wheel(session, "sklearn")
    session.install("pytest>=8.3", "scikit-learn>=1.9", "pandas")  # one of the tests is skipped without pandas
    folder = Path(session.create_tmp())
    # settings of its own: this project's turn every warning into an error
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    session.run(
        "pytest", "-c", str(folder / "pytest.ini"), "-p", "no:cacheprovider", "-p", "sklearn_plugin",
        "--pyargs", "sklearn.neural_network.tests.test_mlp", *session.posargs,
        env={"PYTHONPATH": str(Path("tests").resolve())},
    )  # fmt: skip


@nox.session(python=False)
def tests_gpu(session: nox.Session) -> None:
    """Run the tests that need a CUDA device, in the present environment, and write their report."""
    session.run("python", "-m", "pytest", "-m", "gpu", "--gpu-report=benchmarks/results/gpu", *session.posargs)


@nox.session(python=False)
def bench_gpu(session: nox.Session) -> None:
    """Measure on a CUDA device beside other libraries, in the present environment, and write the results."""
    session.run("python", "-m", "mlpx.bench.gpu", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, imports, docstrings and formatting."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python="3.11")
def typecheck(session: nox.Session) -> None:
    """Check the types."""
    session.install(".[cli]", *group("typecheck"))
    session.run("mypy")


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """Build the documentation; warnings are errors."""
    session.install(".[sklearn,symbolic]", *group("docs"))
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-n", "-b", "html", "docs", "docs/_build/html")


@nox.session(python="3.11")
def bench(session: nox.Session) -> None:
    """Run the benchmarks, and say what got slower than in the committed results; needs a machine that is else idle."""
    session.install(*TORCH["3.11"])
    install_wheel(session, "cli", "sklearn", "jax")
    session.install(*group("bench"))
    session.run("pytest", "benchmarks", *session.posargs)
    session.run("python", "-P", "-m", "mlpx.bench.guard", "benchmarks/results")
