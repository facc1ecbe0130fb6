"""PyTorch's steps on a device: eager, compiled, and captured as one CUDA graph by hand.

All of them gather their rows from data that lies on the device. ``"bfloat16"`` and ``"float16"`` are mixed precision as
PyTorch does it: parameters and Adam in float32, products and activations by `torch.autocast`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad_and_value

from mlpx._typing import Array
from mlpx.bench.gpu.products import Calls, Product
from mlpx.bench.gpu.steps import Steps, Stopwatch
from mlpx.bench.gpu.work import Job, beginning

#: Steps before a capture, on a stream of their own.
WARM_UP = 3


class Eager(Steps):
    """The usual loop: no gradients, loss, backward, step of the fused Adam.

    Parameters
    ----------
    job : Job
        What is trained.
    device : str
        Such as ``"cuda:0"`` or ``"cpu"``.
    """

    capturable = False

    def __init__(self, job: Job, device: str) -> None:
        if job.precision == "float16":
            msg = "float16 needs a scaled loss, which this contender has not"
            raise ValueError(msg)
        fix_precision(job.precision)
        start, self.job = beginning(job), job
        self.device = torch.device(device)
        cuda = self.device.type == "cuda"
        self.clock = "events" if cuda else "host"
        if cuda:
            torch.cuda.set_device(self.device)  # streams and captures are the current device's
        self.X = torch.tensor(start.X, device=device, dtype=getattr(torch, job.half or job.master))
        self.y = torch.tensor(start.y, device=device)
        self.order = list(torch.tensor(start.order, device=device).unbind(0))
        pairs = [torch.tensor(p, device=device) for Wb in zip(start.weights, start.biases, strict=True) for p in Wb]
        self.initial = pairs if job.members else [p.T.contiguous() if p.ndim == 2 else p for p in pairs]
        self.net = (Stacked if job.members else dense)([p.clone() for p in self.initial])
        self.total = torch.zeros(1, device=device, dtype=torch.float64)
        self.prepare()
        self.restart()

    def prepare(self) -> None:
        """Make the optimizer."""
        self.optimizer = torch.optim.Adam(self.net.parameters(), 1e-3, fused=True, capturable=self.capturable)

    def restart(self) -> None:
        """Write the first parameters over the present ones, and zeros over the moments."""
        with torch.no_grad():
            for parameter, initial in zip(self.net.parameters(), self.initial, strict=True):
                parameter.copy_(initial)
            for moment in self.moments():
                moment.zero_()
            self.total.zero_()
        self.made = 0

    def moments(self) -> list[torch.Tensor]:
        """Return what the optimizer keeps."""
        return [kept for state in self.optimizer.state.values() for kept in state.values()]

    def issue(self, count: int) -> None:
        """Make steps, each with the next rows."""
        order = self.order
        for i in range(self.made, self.made + count):
            self.step(order[i % len(order)])
        self.made += count

    def step(self, rows: torch.Tensor) -> None:
        """Make one step."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.objective(self.net, rows)
        loss.backward()
        self.optimizer.step()
        self.total.add_(loss.detach())

    def objective(self, net: Any, rows: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch, a stack's summed over its members."""
        index = rows.flatten()
        x = self.X.index_select(0, index)
        with self.autocast():
            z = net(x.view(*rows.shape, x.shape[-1]))
            target = self.y.index_select(0, index)
            loss = nn.functional.cross_entropy(z.flatten(0, -2), target, reduction="sum")
        return loss / rows.shape[-1]

    def autocast(self) -> AbstractContextManager[Any]:
        """Return mixed precision where it is asked for; each weight is used once, so casts need not be kept."""
        half = self.job.half
        dtype = getattr(torch, half) if half else None
        mode: AbstractContextManager[Any] = torch.autocast(
            self.device.type, dtype=dtype, enabled=half is not None, cache_enabled=False
        )
        return mode

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def loss(self) -> float:
        """Return the mean loss since `restart`."""
        return float(self.total.item()) / (self.made * (self.job.members or 1))

    def stopwatch(self) -> Stopwatch:
        """Return CUDA's events."""
        return Events(self.device) if self.clock == "events" else super().stopwatch()

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return weights and biases, in mlpx's shapes."""
        arrays = [p.detach().cpu().numpy() for p in self.net.parameters()]
        if self.job.members:
            return arrays[::2], arrays[1::2]
        return [W.T for W in arrays[::2]], arrays[1::2]


class Compiled(Eager):
    """The whole step compiled: gather, loss, gradients, Adam; everything that lasts is written where it lies."""

    mode: str | None = None

    def prepare(self) -> None:
        """Make the moments and the compiled step."""
        self.state = {name: p.detach() for name, p in self.net.named_parameters()}
        self.m = {name: torch.zeros_like(p) for name, p in self.state.items()}
        self.v = {name: torch.zeros_like(p) for name, p in self.state.items()}
        self.t = torch.zeros(1, dtype=torch.float64, device=self.device)
        for lasting in (self.X, self.y, self.total, *self.state.values(), *self.moments()):
            torch._dynamo.mark_static_address(lasting)
        self._compiled = torch.compile(self.whole, dynamic=False, fullgraph=True, mode=self.mode)

    def moments(self) -> list[torch.Tensor]:
        """Return what the optimizer keeps."""
        return [*self.m.values(), *self.v.values(), self.t]

    def step(self, rows: torch.Tensor) -> None:
        """Make one step."""
        with torch.no_grad():
            self._compiled(self.state, self.m, self.v, self.t, self.total, rows)

    def whole(self, parameters: Any, m: Any, v: Any, t: torch.Tensor, total: torch.Tensor, rows: torch.Tensor) -> None:
        """Write the new state over the old."""
        gradients, loss = grad_and_value(self._loss)(parameters, rows)
        t.add_(1.0)
        first, second = 1 - 0.9**t, 1 - 0.999**t
        for name, gradient in gradients.items():
            p = parameters[name]
            m[name].lerp_(gradient, 0.1)
            v[name].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            root = (v[name] / second.to(p.dtype)).sqrt() + 1e-8
            p.sub_(1e-3 * (m[name] / first.to(p.dtype)) / root)
        total.add_(loss)

    def _loss(self, parameters: Any, rows: torch.Tensor) -> torch.Tensor:
        return self.objective(lambda x: functional_call(self.net, parameters, (x,)), rows)


class CompiledReduced(Compiled):
    """`Compiled`, with PyTorch's own CUDA graphs."""

    mode = "reduce-overhead"


class Graphed(Eager):
    """The whole eager step captured by hand as one CUDA graph: gather, forward, loss, backward, Adam.

    The rows of a step are copied into a buffer that the graph reads; then the graph is replayed.
    """

    capturable = True

    def prepare(self) -> None:
        """Warm up on a stream of its own, then capture."""
        if self.device.type != "cuda":
            msg = f"a CUDA graph needs a CUDA device, got {str(self.device)!r}"
            raise ValueError(msg)
        super().prepare()
        self.made = 0
        self.rows = self.order[0].clone()
        self._warm_up()
        self.graph = torch.cuda.CUDAGraph()
        # gradients are None, so that the captured backward writes them into memory of the graph and adds to nothing
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.captured()

    def _warm_up(self) -> None:
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.optimizer.zero_grad(set_to_none=True)
                self.captured()
        torch.cuda.current_stream(self.device).wait_stream(side)

    def captured(self) -> None:
        """Make one step on the rows in the buffer."""
        loss = self.objective(self.net, self.rows)
        loss.backward()
        self.optimizer.step()
        self.total.add_(loss.detach())

    def step(self, rows: torch.Tensor) -> None:
        """Make one step."""
        self.rows.copy_(rows)
        self.graph.replay()


class Stacked(nn.Module):  # type: ignore[misc]
    """Networks of one shape side by side: every layer is one batched product.

    Parameters
    ----------
    parameters : list of tensor
        Weights of shape (S, M_in, M_out) and biases of shape (S, M_out), in turn.
    """

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        super().__init__()
        self.layers = nn.ParameterList(parameters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the net inputs of the last layer, shape (S, B, K)."""
        parameters = list(self.layers)
        for i in range(0, len(parameters), 2):
            W, b = parameters[i : i + 2]
            x = torch.baddbmm(b[:, None, :], x if i == 0 else torch.relu(x), W)
        return x


def dense(parameters: list[torch.Tensor]) -> nn.Sequential:
    """Return dense layers with ReLU between them, with these weights (M_out, M_in) and biases in turn."""
    layers: list[nn.Module] = []
    for W, b in zip(parameters[::2], parameters[1::2], strict=True):
        linear = nn.Linear(W.shape[1], W.shape[0], device=W.device, dtype=W.dtype)
        linear.weight, linear.bias = nn.Parameter(W), nn.Parameter(b)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def fix_precision(precision: str) -> None:
    """Let float32 products run in TF32, or not."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


class Events:
    """A span between two of CUDA's events on PyTorch's current stream."""

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._begin, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def start(self) -> None:
        """Record the first event."""
        self._begin.record(torch.cuda.current_stream(self._device))

    def stop(self) -> None:
        """Record the second event."""
        self._end.record(torch.cuda.current_stream(self._device))

    def seconds(self) -> float:
        """Wait for the second event."""
        self._end.synchronize()
        return float(self._begin.elapsed_time(self._end)) / 1e3


def release() -> None:
    """Give back the memory that no tensor holds, and forget what was compiled."""
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def describe() -> dict[str, str]:
    """Return versions and the device, as PyTorch tells them."""
    found = {"torch CUDA": str(torch.version.cuda)}
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        found |= {"device": card.name, "compute capability": f"{card.major}.{card.minor}"}
        found |= {"multiprocessors": str(card.multi_processor_count)}
    return found


def products(product: Product, device: str) -> Steps:
    """Return cuBLAS's product, or the processor's, through PyTorch into a buffer."""
    fix_precision(product.precision)
    a, b, out = product.shapes
    dtype = getattr(torch, {"tf32": "float32"}.get(product.precision, product.precision))
    draw = torch.Generator(device).manual_seed(0)
    operands = [torch.randn(shape, device=device, dtype=torch.float32, generator=draw).to(dtype) for shape in (a, b)]
    first, second = (x.mT if turned else x for x, turned in zip(operands, product.transposed, strict=True))
    result = torch.empty(out, device=device, dtype=dtype)
    return calls(lambda: torch.matmul(first, second, out=result), device)


def copies(size: int, device: str) -> Steps:
    """Return a copy that reads half of `size` bytes and writes as many."""
    source = torch.randn(size // 8, device=device)
    target = torch.empty_like(source)
    return calls(lambda: target.copy_(source), device)


def calls(call: Callable[[], object], device: str) -> Steps:
    """Return one call again and again."""
    where = torch.device(device)
    if where.type != "cuda":
        return Calls(call, lambda: None)
    return Calls(call, lambda: torch.cuda.synchronize(where), lambda: Events(where))
