"""MNIST without any knowledge of images: recipes for multi-layer perceptrons, beside the errors that papers report.

    python benchmarks/mnist.py mnist.npz cross-entropy
    python benchmarks/mnist.py mnist.npz dropout --backend cupy --out benchmarks/results/accuracy/mnist.json
    python benchmarks/mnist.py mnist.npz maxout --epochs 3

The file holds `x_train`, `y_train`, `x_test`, `y_test`, as it is commonly shared; it is not part of the project. The
test images are looked at once, at the end. `--short` trains for two epochs on 5000 rows, to see that all is in place;
what it finds is not written down.

Two recipes, dropout and maxout, train as a paper and its authors' published code say; what neither says is named in
their docstrings. Of the third the paper gives the network, the loss and the error, and how it is trained here is the
project's own. `published` is the error in the paper, in per cent. `goal` is the error that the project wants to reach:
the paper's own, or a little above it, since runs that differ in nothing but their seed do not end with the same error.
"""

import argparse
import dataclasses
import datetime
import json
import math
import platform
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np

import mlpx
from mlpx.bench.machine import describe_machine
from mlpx.schedules import Exponential, InverseTime, Linear, Point, WarmupCosine

PIXELS, CLASSES = 784, 10
HELD_OUT = 10_000
"""How many of the last training rows the recipe with early stopping looks at."""


class Recipe:
    """A network and how it is trained: for so many epochs on all rows, unless a recipe says otherwise."""

    batch_size = 100

    def network(self, **where):
        """Return the network as it is before training; `where` has seed and backend."""
        raise NotImplementedError

    def train(self, net, X, y, epochs):
        """Train it, and return the history of each phase."""
        return [self.fit(net, X, y, epochs=epochs, optimizer=self.optimizer)]

    def fit(self, net, X, y, **options):
        """Return the history of a phase."""
        return net.fit(X, y, batch_size=self.batch_size, metrics="error_rate", **options)


class CrossEntropy(Recipe):
    """One hidden layer of 800 units.

    Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003, report the error for this number of units and this loss. That alone is published; how the
    network is trained is not theirs but today's: ReLU, momentum, a rate that falls along half a cosine, and a small
    penalty, chosen on the last 10 000 training rows.
    """

    name, published, goal = "cross-entropy", 1.6, 1.6
    title = "800 units, cross-entropy"
    epochs = 20
    optimizer = mlpx.SGD(WarmupCosine(0.1), momentum=0.9)

    def network(self, **where):
        """Return the network with one hidden layer."""
        return mlpx.MLP([PIXELS, 800, CLASSES], activation="relu", l2=1e-5, **where)


class DropoutMaxNorm(Recipe):
    """Three hidden layers of 1024 ReLU, dropout, and a bound on the norm of the weights that come into a unit.

    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, JMLR 15, 2014, appendix B.1: each pixel is kept with
    probability 0.8, each hidden unit with 0.5, the final momentum is 0.95, the bound 2 in all layers, and all 60 000
    rows are trained on for a million updates, without early stopping. The paper does not give the learning rate. The
    example in the first author's published code (initial momentum 0.5, weights from a normal distribution of variance
    1 / fan_in, rate 1 / (1 + t / 10 000), batches of 100) does not scale the kept units up in training, as is done
    here; that makes its rate 0.25 for weights after a hidden layer. That momentum rises in a line over the first
    100 000 updates is from there too.
    """

    name, published, goal = "dropout", 1.06, 1.10
    title = "ReLU, dropout and max-norm, 3 x 1024"
    epochs = 1667  # a million updates
    optimizer = mlpx.SGD(InverseTime(0.25, half_life=10_000), momentum=Linear(0.5, 0.95, over=100_000, by="step"))

    def network(self, **where):
        """Return three hidden layers with dropout before each layer."""
        weights = {"initializer": "lecun_normal", "max_norm": 2.0}
        widths = [PIXELS, 1024, 1024, 1024]
        layers = [mlpx.Dropout(0.2)]
        for fan_in, fan_out in pairwise(widths):
            layers += [mlpx.Dense(fan_in, fan_out, "relu", **weights), mlpx.Dropout(0.5)]
        layers.append(mlpx.Dense(widths[-1], CLASSES, "softmax", **weights))
        return mlpx.Network(layers, **where)


class MaxoutDropout(Recipe):
    """Two layers of 240 maxout units with five pieces each, and dropout.

    Goodfellow, Warde-Farley, Mirza, Courville and Bengio, "Maxout networks", ICML 2013, with the numbers of the
    authors' published configuration. The last 10 000 training rows are held out until their error has not been better
    for 100 epochs. From the best weights training goes on with all rows, with the learning rate and the momentum that
    were reached there, until the loss of the rows that were held out has come down to that of the others.
    """

    name, published, goal = "maxout", 0.94, 0.95
    title = "maxout, 2 x (240 x 5), dropout"
    epochs = 1000  # at most, of each phase
    patience = 100
    rate = Exponential(0.1, decay=1 / 1.000004, by="step", minimum=1e-6)
    momentum = Linear(0.5, 0.7, over=250)

    @property
    def optimizer(self):
        """Gradient descent with both schedules."""
        return mlpx.SGD(self.rate, momentum=self.momentum)

    def network(self, **where):
        """Return two layers of maxout units with dropout before each layer."""
        weights = {"initializer": mlpx.initializers.uniform(0.005), "max_norm": 1.9365}
        # the pixels are not scaled up in training; the hidden units are, by 2
        layers = [
            mlpx.Dropout(0.2, scale=1.0),
            mlpx.Maxout(PIXELS, 240, pieces=5, **weights),
            mlpx.Dropout(0.5),
            mlpx.Maxout(240, 240, pieces=5, **weights),
            mlpx.Dropout(0.5),
            mlpx.Dense(240, CLASSES, "softmax", **weights),
        ]
        return mlpx.Network(layers, **where)

    def train(self, net, X, y, epochs):
        """Train with rows held out, then with all; return both histories."""
        held_out = min(HELD_OUT, X.shape[0] // 6)
        first, last = (X[:-held_out], y[:-held_out]), (X[-held_out:], y[-held_out:])
        watch = {"validation": last, "monitor": "error_rate", "patience": self.patience}
        found = self.fit(net, *first, epochs=epochs, optimizer=self.optimizer, **watch)
        target = net.evaluate(*first, metrics=())["loss"]

        def stop_at_target(run):
            if run.net.evaluate(*last, metrics=())["loss"] <= target:
                run.stop()

        optimizer = self.reached(found.best_epoch, math.ceil(len(first[0]) / self.batch_size))
        return [found, self.fit(net, X, y, epochs=epochs, optimizer=optimizer, callbacks=stop_at_target)]

    def reached(self, epochs, steps):
        """Return the optimizer that goes on after some epochs of so many steps each.

        The rate falls on from where it stands; the momentum stays at that of the last epoch.
        """
        rate = self.rate(Point(np.asarray(epochs * steps + 1), epochs, np.asarray(0)), None, np)
        momentum = self.momentum(Point(np.asarray(epochs * steps), epochs - 1, np.asarray(0)), None, np)
        return mlpx.SGD(dataclasses.replace(self.rate, learning_rate=float(rate)), momentum=float(momentum))


RECIPES = {recipe.name: recipe for recipe in (CrossEntropy(), DropoutMaxNorm(), MaxoutDropout())}


def read(path):
    """Return training rows with their classes and test rows with theirs, pixels from 0 to 1."""
    try:
        with np.load(path) as file:
            parts = [(file[f"x_{part}"], file[f"y_{part}"]) for part in ("train", "test")]
        return [(x.reshape(-1, PIXELS) / np.float32(255), y) for x, y in parts]
    except FileNotFoundError as error:
        msg = f"There is no file {path}. Give the path to mnist.npz, which is not part of the project."
        raise FileNotFoundError(msg) from error
    except (AttributeError, EOFError, KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        msg = (
            f"{path} must be an npz file with x_train, y_train, x_test and y_test, images of 28 x 28 pixels from 0 to "
            f"255; reading it failed: {error}"
        )
        raise ValueError(msg) from error


def measure(recipe, train, test, seed=0, epochs=None, **where):
    """Train by a recipe, and return what was found as JSON can hold it."""
    net = recipe.network(seed=seed, **where)
    histories = recipe.train(net, *train, epochs or recipe.epochs)
    error = 1 - net.evaluate(*test)["accuracy"]
    return {
        "recipe": recipe.name,
        "seed": seed,
        "error_percent": round(100 * error, 2),
        "epochs": [len(history["loss"]) for history in histories],
        "whole": epochs is None,
        "seconds": round(sum(history.seconds for history in histories)),
        **conditions(net.backend),
    }


def conditions(backend):
    """Return where and when it was measured."""
    machine = describe_machine()
    versions = {"python": platform.python_version(), "mlpx": mlpx.__version__, "numpy": np.__version__}
    return {
        "machine": machine.title,
        "backend": backend.name,
        "device": backend.device_name,
        "versions": {**versions, **{k: v for k, v in machine.libraries.items() if k in (backend.name, "cupy")}},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def keep(found, path):
    """Write a result into a file, in the place of an older one of the same recipe, seed and length."""
    path = Path(path)
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    same = ("recipe", "seed", "whole")
    rows = [row for row in rows if any(row[key] != found[key] for key in same)]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": "mlpx MNIST results", "rows": [*rows, found]}, indent=1, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def table(path):
    """Return what a file holds as Markdown, one line a recipe; those that were not measured say so."""
    rows = json.loads(Path(path).read_text(encoding="utf-8"))["rows"] if Path(path).exists() else []
    lines = [
        "| recipe | error in the paper, % | our aim, % | measured on the test images, % | where | when |",
        "|---|---|---|---|---|---|",
    ]
    for recipe in RECIPES.values():
        own = [row for row in rows if row["recipe"] == recipe.name and row["whole"]]
        lines.append(f"| {recipe.title} | {recipe.published:.2f} | {recipe.goal:.2f} | {' | '.join(cells(own))} |")
    return "\n".join(lines)


def cells(rows):
    """Return errors, places and dates of a recipe's rows."""
    if not rows:
        return "not measured", "", ""
    rows = sorted(rows, key=lambda row: row["seed"])
    errors = ", ".join(f"{row['error_percent']:.2f}" for row in rows)
    seeds = f" ({'seed' if len(rows) == 1 else 'seeds'} {', '.join(str(row['seed']) for row in rows)})"
    where = "; ".join(dict.fromkeys(f"{row['machine']}, {row['backend']}" for row in rows))
    longest = max(row["seconds"] for row in rows)
    when = ", ".join(dict.fromkeys(row["date"] for row in rows))
    return errors + seeds, f"{where}, {math.ceil(longest / 60)} min", when


def main(arguments=None):
    """Read the command line, train, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", help="mnist.npz")
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--backend", help='such as "cupy"; by default NumPy')
    parser.add_argument(
        "--epochs", type=int, help="another number of epochs than the recipe's; at most so many of each phase"
    )
    parser.add_argument("--short", action="store_true", help="two epochs on 5000 rows")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of initial weights, order and dropout; by default 0, and other runs take 1, 2",
    )
    parser.add_argument("--out", help="a JSON file to write the result into")
    options = parser.parse_args(arguments)
    try:
        train, test = read(options.file)
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    epochs = options.epochs
    if options.short:
        train, epochs = (train[0][:5000], train[1][:5000]), 2
    found = measure(RECIPES[options.recipe], train, test, options.seed, epochs, backend=options.backend)
    print(json.dumps(found, indent=1))
    if options.out and not options.short:
        keep(found, options.out)


if __name__ == "__main__":
    main()
