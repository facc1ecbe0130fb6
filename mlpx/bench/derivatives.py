"""What each road to a derivative costs: by hand, reverse mode, forward mode, differences, and symbolic.

Of a network: the gradient of its risk by all P parameters. By hand is back-propagation as training does it; reverse
mode is a tape through the formula of the risk. Both need one pass forward and one back. Forward mode needs a pass for
each parameter, central differences two. Of an activation: value and derivative at every number of an array, for which
forward mode needs one pass, as the symbolic derivative does.

``python -m mlpx.bench.derivatives`` measures and compares them; the roads to one derivative take turns.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mlpx import activations
from mlpx._typing import Array, Namespace
from mlpx.backends.host import xp as hxp
from mlpx.bench import quantities
from mlpx.bench.case import Case, Contender
from mlpx.bench.machine import describe_machine
from mlpx.bench.timing import CaseResult, measure
from mlpx.cli.console import say, say_fields, say_table, say_wrapped
from mlpx.differentiation import directional_derivative, value_and_derivative, value_and_gradient
from mlpx.mlp import MLP

__all__ = [
    "ACTIVATION_ROADS",
    "NETWORK_ROADS",
    "Problem",
    "activation_case",
    "main",
    "network_case",
    "rows",
]

Run = Callable[[], Any]

#: Networks of 115 to 7510 parameters; a quick run leaves the last one out.
NETWORKS = ((10, 8, 3), (20, 16, 5), (32, 32, 10), (64, 100, 10))
SAMPLES, POINTS = 32, 100_000
#: Of central differences in float64: about the third root of the rounding.
STEP = 1e-5


class Problem:
    """A network of tanh units with softmax, samples to learn, and its risk as a formula of all its parameters.

    Parameters
    ----------
    sizes : sequence of int
        Units of the input and of every layer.

    Examples
    --------
    >>> problem = Problem((3, 4, 2))
    >>> bool(abs(by_hand(problem)() - by_reverse_mode(problem)()).max() < 1e-14)
    True
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        rng = np.random.default_rng(0)
        self.sizes = tuple(sizes)
        self.net = MLP(sizes, activation="tanh", dtype="float64", backend="numpy")
        self.X = rng.standard_normal((SAMPLES, sizes[0]))
        self.y = np.eye(sizes[-1])[rng.integers(0, sizes[-1], SAMPLES)]

    def risk(self, vector: Array, xp: Namespace) -> Array:
        """Return the mean cross-entropy, from the vector of each layer's weights and biases."""
        z, stop = self.X, 0
        for i, (fan_in, fan_out) in enumerate(pairwise(self.sizes)):
            a = xp.tanh(z) if i else z
            start, middle, stop = stop, stop + fan_in * fan_out, stop + (fan_in + 1) * fan_out
            z = xp.matmul(a, xp.reshape(vector[start:middle], (fan_in, fan_out))) + vector[middle:stop]
        shifted = z - xp.max(z, axis=-1, keepdims=True)
        log_sum = xp.log(xp.sum(xp.exp(shifted), axis=-1))
        return xp.mean(log_sum - xp.sum(self.y * shifted, axis=-1))


# The roads to the gradient of a network: each takes a problem and returns what computes the vector of derivatives.


def by_hand(problem: Problem) -> Run:
    """Take back-propagation: one pass forward, one back."""
    net, ops, vector = problem.net.architecture, problem.net.backend, problem.net.vector

    def run() -> Array:
        z, saved = net.forward(ops, vector, problem.X)
        delta = net.output.loss_and_delta(z, problem.y, None, ops.xp)[1]
        return net.join(ops, net.backward(ops, vector, saved, delta))

    return run


def loss_alone(problem: Problem) -> Run:
    """Take the risk without any derivative."""
    return partial(problem.risk, problem.net.vector, hxp)


def by_reverse_mode(problem: Problem) -> Run:
    """Take a tape: one pass forward, one back."""
    both, vector = value_and_gradient(problem.risk), problem.net.vector
    return lambda: both(vector)[1]


def by_forward_mode(problem: Problem) -> Run:
    """Take dual numbers: one pass for each parameter."""
    along, vector = directional_derivative(problem.risk), problem.net.vector
    directions = np.eye(vector.shape[0])
    return lambda: np.stack([along([vector], [direction])[1] for direction in directions])


def by_differences(problem: Problem) -> Run:
    """Take central differences: two passes for each parameter."""
    vector = np.array(problem.net.vector)

    def slope(i: int) -> float:
        step = STEP * np.eye(1, vector.shape[0], i)[0]
        return float(problem.risk(vector + step, hxp) - problem.risk(vector - step, hxp)) / (2 * STEP)

    return lambda: np.asarray([slope(i) for i in range(vector.shape[0])])


NETWORK_ROADS: dict[str, Callable[[Problem], Run]] = {
    "by hand": by_hand,
    "loss alone": loss_alone,
    "reverse": by_reverse_mode,
    "forward": by_forward_mode,
    "differences": by_differences,
}


def network_case(sizes: Sequence[int]) -> Case:
    """Return the case of one network.

    Parameters
    ----------
    sizes : sequence of int
        Units of the input and of every layer.

    Examples
    --------
    >>> network_case((10, 8, 3)).parameters["parameters"]
    115
    """
    problem = Problem(sizes)
    contenders = [Contender(name, partial(road, problem)) for name, road in NETWORK_ROADS.items()]
    parameters = {"parameters": problem.net.n_parameters, "samples": SAMPLES, "dtype": "float64"}
    return Case("derivatives", "-".join(map(str, sizes)), tuple(contenders), "gradient", parameters=parameters)


# The roads to an activation's derivative: each takes an array and returns what computes value and derivative there.


def swish(z: Array, xp: Namespace) -> Array:
    """Return ``z sigma(z)`` as a formula without a derivative."""
    return z / (1 + xp.exp(-z))


def _activation_by_hand(z: Array) -> Run:
    f = activations.get("swish")
    return lambda: (f(z, hxp), f.derivative(z, hxp))


def _activation_by_differences(z: Array) -> Run:
    return lambda: (swish(z, hxp), (swish(z + STEP, hxp) - swish(z - STEP, hxp)) / (2 * STEP))


def _activation_by_reverse_mode(z: Array) -> Run:
    both = value_and_gradient(lambda z, xp: xp.sum(swish(z, xp)))
    return lambda: both(z)


def _activation_by_forward_mode(z: Array) -> Run:
    both = value_and_derivative(swish)
    return lambda: both(z, hxp)


def _activation_by_algebra(z: Array) -> Run:
    f = import_module("mlpx.differentiation").activation_from_formula("x / (1 + exp(-x))")
    return lambda: (f(z, hxp), f.derivative(z, hxp))


ACTIVATION_ROADS: dict[str, Callable[[Array], Run]] = {
    "by hand": _activation_by_hand,
    "reverse": _activation_by_reverse_mode,
    "forward": _activation_by_forward_mode,
    "symbolic": _activation_by_algebra,
    "differences": _activation_by_differences,
}


def activation_case() -> Case:
    """Return the case of swish on an array.

    Examples
    --------
    >>> [road.name for road in activation_case().contenders][:2]
    ['by hand', 'reverse']
    """
    z = np.random.default_rng(0).standard_normal(POINTS)
    contenders = [Contender(name, partial(road, z)) for name, road in ACTIVATION_ROADS.items()]
    parameters = {"points": POINTS, "dtype": "float64"}
    return Case("derivatives", "swish", tuple(contenders), "call", parameters=parameters)


# The command.


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the tables.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line; by default those of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m mlpx.bench.derivatives", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="leave out the largest network, which takes a minute")
    parser.add_argument("--out", metavar="FILE", type=Path, help="also write all figures to a JSON file")
    options = parser.parse_args(arguments)
    machine = describe_machine()
    say_fields([("processor", machine.title)])
    seconds = 0.5 if options.quick else 2.0
    networks = [
        measure(network_case(sizes), seconds=seconds) for sizes in (NETWORKS[:-1] if options.quick else NETWORKS)
    ]
    activation = measure(activation_case(), seconds=seconds)
    _say_networks(networks)
    _say_activation(activation)
    if options.out:
        record = {"machine": asdict(machine), "cases": [asdict(case) for case in (*networks, activation)]}
        options.out.write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
        say(f"wrote {options.out}")
    return 0


def _say_networks(found: Sequence[CaseResult]) -> None:
    say()
    say_wrapped(
        f"The gradient of a network's risk on {SAMPLES} samples by its P parameters: the time by hand, and what the "
        "other roads take, as a multiple of it:"
    )
    say()
    say_table([("network", "P", *NETWORK_ROADS), *rows(found)])


def rows(found: Sequence[CaseResult]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each network: its parameters, the time by hand, and the ratios of the other roads to it.

    Parameters
    ----------
    found : sequence of CaseResult
        What was measured of `network_case`.
    """
    for case in found:
        first, *others = NETWORK_ROADS
        hand = case.result(first)
        ratios = [quantities.ratio(result.ratio) if (result := case.result(name)) else "-" for name in others]
        yield (case.name, str(case.parameters["parameters"]), quantities.seconds(hand.median) if hand else "-", *ratios)


def _say_activation(case: CaseResult) -> None:
    say()
    say_wrapped(f"Value and derivative of swish at {POINTS} numbers:")
    say()
    times = [(r.name, quantities.seconds(r.median), quantities.ratio(r.ratio)) for r in case.results]
    say_table([("road", "time", "multiple"), *times])
    for name, reason in case.failures.items():
        say_wrapped(f"{name} was left out: {reason}")


if __name__ == "__main__":
    raise SystemExit(main())
