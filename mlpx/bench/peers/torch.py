"""PyTorch: eager, and with the whole step compiled."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad_and_value

from mlpx._typing import Array
from mlpx.bench.networks import Start


class Eager:
    """The usual loop: zero the gradients, loss, backward, step.

    Parameters
    ----------
    start : Start
        Data and initial weights.
    batch_size : int
        Rows a step.
    shuffle : bool
        Whether each epoch has a new order.
    device : str
        Such as ``"cpu"``.
    """

    def __init__(self, start: Start, batch_size: int, *, shuffle: bool = True, device: str = "cpu") -> None:
        self.X = torch.tensor(start.X, device=device)
        self.y = torch.tensor(start.y, device=device)
        self.batch_size, self.shuffle = batch_size, shuffle
        self.net = network([start.X.shape[1], *(b.shape[0] for b in start.biases)]).to(self.X)
        pairs = zip(start.weights, start.biases, strict=True)
        self._initial = [torch.tensor(p).to(self.X) for W, b in pairs for p in (W.T, b)]

    def fit(self, epochs: int) -> list[float]:
        """Train from the initial weights; return the mean loss of each epoch."""
        self.restart()
        return [self.epoch().item() for _ in range(epochs)]

    def restart(self) -> None:
        """Set the initial weights and make a fresh optimizer."""
        with torch.no_grad():
            for parameter, initial in zip(self.net.parameters(), self._initial, strict=True):
                parameter.copy_(initial)
        self.optimizer = torch.optim.Adam(self.net.parameters(), 1e-3, fused=True)

    def epoch(self) -> torch.Tensor:
        """Make the steps of an epoch; return the mean of their losses."""
        total = self.X.new_zeros(())
        for count, rows in enumerate(self.batches(), 1):  # noqa: B007
            self.optimizer.zero_grad()
            logits = self.net(self.X.index_select(0, rows))
            loss = nn.functional.cross_entropy(logits, self.y.index_select(0, rows))
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return total / count

    def batches(self) -> Iterator[torch.Tensor]:
        """Yield the rows of each batch."""
        n, device = len(self.y), self.X.device
        order = torch.randperm(n, device=device) if self.shuffle else torch.arange(n, device=device)
        yield from order.split(self.batch_size)

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return weights and biases."""
        arrays = [p.detach().cpu().numpy() for p in self.net.parameters()]
        return [W.T for W in arrays[::2]], arrays[1::2]


class Compiled(Eager):
    """The whole step compiled as one graph, with the state in tensors that it writes over.

    Compiling model and loss alone, with backward and optimizer outside, takes longer, most of all on small networks.

    Parameters
    ----------
    start, batch_size, shuffle, device
        As for `Eager`.
    """

    def __init__(self, start: Start, batch_size: int, *, shuffle: bool = True, device: str = "cpu") -> None:
        super().__init__(start, batch_size, shuffle=shuffle, device=device)
        self.state = {name: p.detach() for name, p in self.net.named_parameters()}
        self.m = {name: torch.zeros_like(p) for name, p in self.state.items()}
        self.v = {name: torch.zeros_like(p) for name, p in self.state.items()}
        self.t = torch.zeros((), dtype=torch.float64, device=device)
        torch.compiler.reset()  # one function is compiled for at most eight networks
        self._step = torch.compile(self._eager_step, dynamic=False, fullgraph=True)

    def restart(self) -> None:
        """Set the initial weights, and all moments to zero."""
        for parameter, initial in zip(self.state.values(), self._initial, strict=True):
            parameter.copy_(initial)
        for moment in (*self.m.values(), *self.v.values()):
            moment.zero_()
        self.t = torch.zeros_like(self.t)

    def epoch(self) -> torch.Tensor:
        """Make the steps of an epoch; return the mean of their losses."""
        with torch.no_grad():
            total = self.X.new_zeros(())
            for count, rows in enumerate(self.batches(), 1):  # noqa: B007
                loss, self.t = self._step(self.state, self.m, self.v, self.t, rows)
                total += loss
        return total / count

    def _eager_step(
        self, parameters: Any, m: Any, v: Any, t: torch.Tensor, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new state over the old; return the loss and the new count of steps."""
        x, y = self.X.index_select(0, rows), self.y.index_select(0, rows)
        gradients, loss = grad_and_value(self._loss)(parameters, x, y)
        t = t + 1  # a tensor without axes is not written over by what the compiler makes
        first, second = 1 - 0.9**t, 1 - 0.999**t
        for name, gradient in gradients.items():
            m[name].lerp_(gradient, 0.1)
            v[name].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            parameters[name].sub_(1e-3 * (m[name] / first) / ((v[name] / second).sqrt() + 1e-8))
        return loss, t

    def _loss(self, parameters: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(functional_call(self.net, parameters, (x,)), y)


def network(sizes: list[int]) -> nn.Sequential:
    """Return dense layers with ReLU between them."""
    layers = [part for fan_in, fan_out in pairwise(sizes) for part in (nn.Linear(fan_in, fan_out), nn.ReLU())]
    return nn.Sequential(*layers[:-1])
