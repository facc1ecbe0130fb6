"""Training many networks at once: those of one kind are trained as one stack."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlpx import inputs, metrics, optimizers
from mlpx._typing import Array
from mlpx.backends import to_numpy
from mlpx.backends.gathering import HostRows
from mlpx.data import Rows, padded
from mlpx.evaluation import Sample
from mlpx.layers import Dropout
from mlpx.model import Network
from mlpx.optimizers import SGD, Adam, Optimizer
from mlpx.schedules import Schedule
from mlpx.sklearn import rules
from mlpx.sklearn.draws import Shuffles, Stream
from mlpx.sklearn.problem import Outcome, Problem, Source
from mlpx.training import Carried, Run, Settings

__all__ = ["train"]


def train(problems: Sequence[Problem]) -> list[Outcome]:
    """Train networks by stochastic gradient descent, those of one kind side by side.

    Parameters
    ----------
    problems : sequence of Problem
        One a network.

    Returns
    -------
    list of Outcome
        One a network.
    """
    groups: dict[Hashable, list[int]] = {}
    for i, problem in enumerate(problems):
        groups.setdefault(_kind(problem), []).append(i)
    outcomes: dict[int, Outcome] = {}
    for members in groups.values():
        found = Stack([problems[i] for i in members]).train()
        if len(groups) > 1 and any(outcome.interrupted for outcome in found):
            raise KeyboardInterrupt  # the others are not trained
        outcomes.update(zip(members, found, strict=True))
    return [outcomes[i] for i in range(len(problems))]


def _kind(problem: Problem) -> Hashable:
    """Return what networks of one stack have in common."""
    source, held_out = problem.source, problem.held_out
    alike = (replace(layer, rate=0.5) if isinstance(layer, Dropout) else layer for layer in problem.layers)
    return (
        tuple(alike),
        problem.loss,
        id(problem.backend),
        problem.dtype_name,
        (source.x.shape[1:], source.y.shape[1:], str(source.y.dtype)),
        id(source) if isinstance(source.x, HostRows) else None,
        problem.batch_size,
        problem.weight is None,
        None if held_out is None else held_out.source is source or id(held_out),
        None if problem.carried is None else id(problem),
        *problem.estimator._kind_of_training(),
    )


class Stack:
    """Networks of one kind, trained side by side; one alone without the axis of members.

    Parameters
    ----------
    problems : sequence of Problem
        One a member.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._problems, self._stack = problems, len(problems) > 1
        self._first = problems[0]
        self._estimator = problems[0].estimator
        self._rule = rules.NoImprovement(
            self._numbers("tol"),
            np.where(self._estimator._adapts, np.inf, self._numbers("n_iter_no_change")),
            np.asarray([problem.epochs for problem in problems]),
        )

    def _numbers(self, name: str) -> Array:
        """Return a parameter of the estimators, one number a member."""
        return np.asarray([getattr(problem.estimator, name) for problem in self._problems], dtype=np.float64)

    def _each(self, name: str) -> Any:
        """Return a parameter of the estimators: one number where they have the same, else one a member."""
        numbers = self._numbers(name)
        return float(numbers[0]) if np.all(numbers == numbers[0]) else tuple(numbers.tolist())

    def train(self) -> list[Outcome]:
        """Train, and return what came out for each member."""
        net = self._network()
        with net.backend.context():
            run = self._run(net)
            history = run()
            weights, biases = ([to_numpy(array) for array in arrays] for arrays in (net.weights, net.biases))
        carried = run.carried()
        over = self._rule.too_long(carried.waited)
        if self._estimator._adapts:
            over = over | carried.schedule[-1]
        outcomes = []
        for i, problem in enumerate(self._problems):
            made = net.epochs_seen[i]
            columns = {name: self._own(column[:made], i) for name, column in history.items()}
            outcomes.append(
                Outcome(
                    [array[i].copy() if self._stack else array.copy() for array in weights],
                    [array[i].copy() if self._stack else array.copy() for array in biases],
                    made,
                    columns,
                    net.steps_seen[i] - problem.steps_seen,
                    converged=bool(over[i]),
                    interrupted=history.interrupted,
                    waited=int(carried.waited[i]),
                    carried=None if self._stack else self._on_host(carried),
                )
            )
        return outcomes

    def _own(self, column: list[Any], member: int) -> list[float]:
        return [row[member] for row in column] if self._stack else column

    @staticmethod
    def _on_host(carried: Carried) -> Carried:
        return carried._replace(moments=tuple(to_numpy(moment) for moment in carried.moments))

    # What is trained.

    def _network(self) -> Network:
        """Return the network with the first parameters."""
        problems, stack = self._problems, self._stack
        layers = [replace(x, rate=self._each("dropout")) if isinstance(x, Dropout) else x for x in self._first.layers]
        net = Network(
            layers,
            loss=self._first.loss,
            l2=self._each("alpha"),
            dtype=self._first.dtype_name,
            seed=[problem.seed for problem in problems] if stack else self._first.seed,
            members=len(problems) if stack else None,
            backend=self._first.backend,
        )
        net.steps_seen = [problem.steps_seen for problem in problems]
        coefs, intercepts = ([getattr(p, name) for p in problems] for name in ("coefs", "intercepts"))
        join: Callable[[Any], Any] = (
            (lambda each: [np.stack(a) for a in zip(*each, strict=True)]) if stack else (lambda each: each[0])
        )
        net.set_weights(join(coefs), join(intercepts))
        return net

    def _run(self, net: Network) -> Run:
        estimator, first = self._estimator, self._first
        train, held_out, order = self._samples(net)
        metric = () if first.held_out is None else metrics.get(estimator._default_score, net.architecture.output)
        scorer, early = estimator._epoch_scores(self._problems), estimator.early_stopping
        carried = first.carried
        if carried is not None:
            carried = carried._replace(moments=tuple(map(net.backend.asarray, carried.moments)))
        settings = Settings(
            epochs=int(max(self._rule.most)),
            batch_size=first.batch_size,
            optimizer=self._optimizer(),
            order=order,
            held_out_metrics=metric,
            monitor=first.watched,
            stopping=self._rule,
            keep_best=early,
            clip_norm=None if estimator.clip_norm is None else self._each("clip_norm"),
            callbacks=estimator._training_callbacks(self._problems),
            progress=estimator.progress,
            l2_by_batch=estimator.alpha_mode == "batch",
            by_row=True,
            finite=False,
            scorer=scorer,
        )
        return Run(net, settings, train, held_out, carried)

    def _optimizer(self) -> Optimizer:
        estimator = self._estimator
        if estimator.optimizer is not None:
            return optimizers.get(estimator.optimizer)
        if estimator.solver == "adam":
            beta_1, beta_2, epsilon = map(self._each, ("beta_1", "beta_2", "epsilon"))
            return Adam(self._each("learning_rate_init"), beta_1, beta_2, epsilon, epsilon_hat=True)
        momentum = self._each("momentum")
        return SGD(self._rate(), momentum, nesterov=bool(estimator.nesterovs_momentum and momentum))

    def _rate(self) -> float | tuple[float, ...] | Schedule:
        """Return the learning rate of gradient descent."""
        mode = self._estimator.learning_rate
        rate = self._numbers("learning_rate_init")
        if mode == "adaptive":
            waited = [0 if p.carried is None else p.carried.waited[0] for p in self._problems]
            return rules.adaptive(rate, self._numbers("n_iter_no_change"), np.asarray(waited))
        if mode == "invscaling":
            samples = np.asarray([problem.stream.rows.shape[0] for problem in self._problems])
            seen = np.asarray([problem.seen for problem in self._problems])
            first = np.asarray([problem.first_rate for problem in self._problems])
            return rules.inverse_scaling(rate, self._numbers("power_t"), samples, seen, first)
        each: float | tuple[float, ...] = self._each("learning_rate_init")
        return each

    # What it is trained on.

    def _samples(self, net: Network) -> tuple[Sample, Sample | None, Shuffles]:
        """Return training sample, validation sample, and the orders of the training rows."""
        problems, ops = self._problems, net.backend
        joined = _Joined([problem.source for problem in problems], ops)
        pairs = zip(problems, joined.starts, strict=True)
        streams = [Stream(problem.stream.random, problem.stream.rows + start) for problem, start in pairs]
        order = Shuffles(streams, shuffle=self._estimator.shuffle, stack=self._stack)
        y, truth = joined.y, None
        smoothing = self._estimator._smoothing
        if smoothing:
            y, truth = inputs.smooth(y, smoothing, ops, net.master_dtype, net.architecture.output)
        train = Sample.of(ops, joined.x, y, order.rows(), joined.weights([p.weight for p in problems]), truth)
        held_out = [problem.held_out for problem in problems]
        if held_out[0] is None:
            return train, None, order
        if held_out[0].source is not problems[0].source:
            joined = _Joined([held_out[0].source], ops)
            held_out, starts = held_out[:1], [0]
        else:
            starts = joined.starts
        rows = _listed([own.rows + start for own, start in zip(held_out, starts, strict=True)])  # type: ignore[union-attr]
        weight = joined.weights([own.weight for own in held_out])  # type: ignore[union-attr]
        return train, Sample.of(ops, joined.x, joined.y, rows, weight), order


def _listed(lists: Sequence[Array]) -> Rows:
    """Return the rows of each member, or those of all where they are the same."""
    first = lists[0]
    if all(own is first or np.array_equal(own, first) for own in lists):
        return Rows(first, np.asarray(first.shape[0]))
    return padded(lists)


class _Joined:
    """Data sets one below the other, each of them once.

    Parameters
    ----------
    sources : sequence of Source
        One a member.
    ops : Backend
        Where they lie.
    """

    def __init__(self, sources: Sequence[Source], ops: Any) -> None:
        distinct = list({id(source): source for source in sources}.values())
        lengths = [source.x.shape[0] for source in distinct]
        starts = {id(source): sum(lengths[:i]) for i, source in enumerate(distinct)}
        self.starts = [starts[id(source)] for source in sources]
        self._rows = sum(lengths)
        if len(distinct) == 1:
            self.x, self.y = distinct[0].x, distinct[0].y
        else:
            self.x, self.y = (ops.xp.concat([getattr(source, name) for source in distinct]) for name in ("x", "y"))

    def weights(self, weights: Sequence[Array | None]) -> Array | None:
        """Return the weights of the rows, of all members or of each."""
        first = weights[0]
        if first is None or (len(first) == self._rows and all(own is first for own in weights)):
            return first
        full = np.zeros((len(weights), self._rows))
        for row, own, start in zip(full, weights, self.starts, strict=True):
            row[start : start + len(own)] = own  # type: ignore[arg-type]
        return full
