"""Six public tables, defaults only: `mlpx.TabularModel` beside scikit-learn's networks and gradient boosting.

    OMP_NUM_THREADS=1 python benchmarks/tables.py FOLDER --out benchmarks/results/tables/MACHINE.json
    python benchmarks/tables.py FOLDER --only california --seeds 1

FOLDER holds the tables as CSV, gzipped or not; they are not part of the project. Every contender has the same training
and test rows, and its time is that of `fit`, preprocessing included. What stands in the file of results is not measured
again, so that a run that was stopped goes on; `--again` measures all of it anew.
"""

import argparse
import datetime
import json
import os
import statistics
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import mlpx
from mlpx.bench.machine import describe_machine


@dataclass(frozen=True)
class Task:
    """A table and what is predicted from it.

    Attributes
    ----------
    title, file, target : str
        What it is called, its file without the ending, and the column to predict.
    classes : bool
        Whether the target is a class.
    drop : tuple of str
        Columns that are left out, for all contenders.
    split : str or int or None
        The column that says which rows test, or how many of the first rows train; None for a fifth drawn by the seed.
    """

    title: str
    file: str
    target: str
    classes: bool
    drop: tuple[str, ...] = ()
    split: str | int | None = None


TASKS = {
    "california": Task("California housing", "california_housing", "MedHouseVal", classes=False),
    "diamonds": Task("Diamonds", "diamonds", "price", classes=False),
    "adult": Task("Adult", "adult", "income", classes=True, split="split"),
    "bank": Task("Bank marketing", "bank_marketing", "deposit", classes=True, drop=("duration",)),
    "letter": Task("Letter", "letter", "lettr", classes=True, split=16_000),
    "covertype": Task("Covertype, 20 000 rows", "covtype_20k", "Cover_Type", classes=True),
}
CONTENDERS = {
    "mlpx": "mlpx.TabularModel",
    "mlp": "scikit-learn's MLP",
    "boosting": "scikit-learn's HistGradientBoosting",
}


def read(folder, task):
    """Return the table without what is left out."""
    path = next((p for ending in (".csv.gz", ".csv") if (p := Path(folder) / (task.file + ending)).is_file()), None)
    if path is None:
        msg = f"there is no {task.file}.csv or {task.file}.csv.gz in {folder}"
        raise SystemExit(msg)
    return pd.read_csv(path).drop(columns=list(task.drop))


def divide(frame, task, seed):
    """Return training and test rows."""
    if isinstance(task.split, str):
        train = frame[task.split] == "train"
        frame = frame.drop(columns=task.split)
        return frame[train], frame[~train]
    if task.split:
        return frame[: task.split], frame[task.split :]
    classes = frame[task.target] if task.classes else None
    return train_test_split(frame, test_size=0.2, random_state=seed, stratify=classes)


class Ours:
    """The model with its defaults, as every other contender an object with `fit` and `predict`."""

    def __init__(self, task, seed):
        self.task, self.model = task, mlpx.TabularModel(seed=seed, progress=False)

    def fit(self, train):
        """Learn from the training rows."""
        self.model.fit(train, self.task.target)

    def predict(self, test):
        """Return labels as texts, or numbers."""
        return self.model.predict(test)


class Theirs:
    """An estimator of scikit-learn with its defaults, behind the usual preprocessing for it."""

    def __init__(self, task, seed):
        self.task, self.seed = task, seed

    def fit(self, train):
        """Learn from the training rows."""
        X, y = train.drop(columns=self.task.target), train[self.task.target]
        numbers = [name for name in X if pd.api.types.is_numeric_dtype(X[name])]
        self.pipeline = make_pipeline(*self.steps(numbers, [name for name in X if name not in numbers]))
        self.pipeline.fit(X, y.astype(str) if self.task.classes else y)

    def predict(self, test):
        """Return labels as texts, or numbers."""
        return self.pipeline.predict(test.drop(columns=self.task.target))

    def steps(self, numbers, texts):
        """Return preprocessing and estimator for the columns."""
        raise NotImplementedError


class Mlp(Theirs):
    """Numbers imputed by the median and standardised, texts one-hot."""

    def steps(self, numbers, texts):
        """Return the steps."""
        absent = SimpleImputer(strategy="constant", fill_value="missing", missing_values=np.nan)
        prepared = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (make_pipeline(absent, OneHotEncoder(handle_unknown="ignore", sparse_output=False)), texts),
        )
        return prepared, (MLPClassifier if self.task.classes else MLPRegressor)(random_state=self.seed)


class Boosting(Theirs):
    """Texts as categories; missing values stay, since it takes them."""

    def steps(self, numbers, texts):
        """Return the steps."""
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        prepared = make_column_transformer((codes, texts), ("passthrough", numbers))
        kind = HistGradientBoostingClassifier if self.task.classes else HistGradientBoostingRegressor
        return prepared, kind(random_state=self.seed, categorical_features=list(range(len(texts))))


MAKERS = {"mlpx": Ours, "mlp": Mlp, "boosting": Boosting}


def measure(task, contender, seed, train, test):
    """Fit once; return the score on the test rows, and seconds."""
    model = MAKERS[contender](task, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the defaults end there
        start = time.perf_counter()
        model.fit(train)
        seconds = time.perf_counter() - start
    predicted, truth = model.predict(test), test[task.target]
    if task.classes:
        score = float(np.mean(predicted.astype(str) == truth.astype(str).to_numpy()))
    else:
        score = float(np.sqrt(np.mean((predicted - truth.to_numpy()) ** 2)))
    return {"score": score, "seconds": round(seconds, 2), "load": round(os.getloadavg()[0], 2)}


def run(folder, names, contenders, seeds, path, *, again):
    """Measure what is not in the file yet, seed by seed and all contenders of a seed in turn."""
    results = open_results(path)
    known = {} if again else {(row["table"], row["contender"], row["seed"]): row for row in results["rows"]}
    for seed in range(seeds):
        for name in names:
            todo = [contender for contender in contenders if (name, contender, seed) not in known]
            if not todo:
                continue
            task = TASKS[name]
            train, test = divide(read(folder, task), task, seed)
            for contender in todo:
                row = {"table": name, "contender": contender, "seed": seed}
                known[tuple(row.values())] = row | measure(task, contender, seed, train, test)
                print(*known[tuple(row.values())].values(), flush=True)
                kept = [old for old in results["rows"] if tuple(old.values())[:3] not in known]
                results["rows"] = kept + list(known.values())
                write_results(results, path)
    return results


def open_results(path):
    """Return the file's results with what is true of this run."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path and path.exists() else []
    machine = describe_machine()
    return {
        "machine": machine.title,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as each library takes them"),
        "versions": {"mlpx": mlpx.__version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "rows": rows,
    }


def write_results(results, path):
    """Write the file, whole or not at all."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def table(results):
    """Return results as Markdown: a line a table, mean score and mean seconds of every contender."""
    heads = [f"{CONTENDERS[c]}: {what}" for what in ("score", "seconds") for c in MAKERS]
    lines = [f"| table | measure | seeds | {' | '.join(heads)} |", f"|---|---|{'---|' * (1 + len(heads))}"]
    for name, task in TASKS.items():
        rows = {c: [r for r in results["rows"] if (r["table"], r["contender"]) == (name, c)] for c in MAKERS}
        seeds = max(map(len, rows.values()))
        if seeds:
            cells = [score_cell(rows[c], task) for c in MAKERS] + [seconds_cell(rows[c]) for c in MAKERS]
            measure_name = "accuracy, %" if task.classes else "RMSE"
            lines.append(f"| {task.title} | {measure_name} | {seeds} | {' | '.join(cells)} |")
    return "\n".join(lines)


def score_cell(rows, task):
    """Return mean and standard deviation over the seeds."""
    scores = [row["score"] * (100 if task.classes else 1) for row in rows]
    if not scores:
        return "not measured"
    digits = 2 if task.classes else 4 if statistics.mean(scores) < 10 else 1
    spread = f" ± {statistics.stdev(scores):.{digits}f}" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.{digits}f}{spread}"


def seconds_cell(rows):
    """Return the mean over the seeds."""
    return f"{statistics.mean(row['seconds'] for row in rows):.1f}" if rows else ""


def page(folder):
    """Return all files of results in a folder as Markdown, each with its machine."""
    parts = []
    for path in sorted(Path(folder).glob("*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
        what = f"{results['machine']}; threads of the libraries: {results['threads']}; {versions}; {results['date']}."
        parts += [what, table(results)]
    return "\n\n".join(parts) or "Not measured yet."


def main(arguments=None):
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="where the CSV files are")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=TASKS, help="a table; may be given more than once")
    parser.add_argument("--contender", action="append", choices=MAKERS, help="may be given more than once")
    parser.add_argument("--out", type=Path, help="the file of results, such as benchmarks/results/tables/MACHINE.json")
    parser.add_argument("--again", action="store_true", help="measure also what the file holds")
    options = parser.parse_args(arguments)
    names, contenders = options.only or list(TASKS), options.contender or list(MAKERS)
    print(table(run(options.folder, names, contenders, options.seeds, options.out, again=options.again)))


if __name__ == "__main__":
    main()
