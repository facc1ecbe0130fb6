"""What is measured on a device, in the order of importance, and who takes part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module, util
from math import isqrt

from mlpx.bench.gpu.own import OwnSteps
from mlpx.bench.gpu.products import Product
from mlpx.bench.gpu.steps import Steps
from mlpx.bench.gpu.timing import Contender
from mlpx.bench.gpu.work import Job
from mlpx.bench.networks import NETWORKS, TINY
from mlpx.bench.peers import STEPS

__all__ = ["CUDA", "OWN", "PEERS", "Case", "cases", "smaller"]

CUDA = "cuda"
#: Up to this size, nothing is made smaller.
SMALL = 32
#: Backends of mlpx on a CUDA device, and without one.
OWN = {True: ("cupy", "torch", "jax"), False: ("numpy", "torch", "jax")}
#: Whose products and copies are measured there, and their names.
CALLS = {True: {"cupy": "mlpx cupy", "torch": "torch"}, False: {"torch": "torch"}}


@dataclass(frozen=True)
class Peer:
    """Another library's way to make a step.

    Attributes
    ----------
    name, library, cls, settings : str
        What it is called, what it needs, its class there, and how it is set.
    cuda : bool
        Whether it needs a CUDA device.
    compiles : bool
        Whether it compiles for long.
    """

    name: str
    library: str
    cls: str
    settings: str
    cuda: bool = False
    compiles: bool = False


PEERS = (
    Peer(
        "torch graph",
        "torch",
        "Graphed",
        "the whole eager step captured by hand as a CUDA graph, Adam(fused=True, capturable=True)",
        cuda=True,
    ),
    Peer("jax scan", "jax", "Scanned", "jit of a scan over a block of steps, state donated"),
    Peer("jax jit", "jax", "Stepwise", "jit of the whole step, state donated, called for each batch"),
    Peer("torch eager", "torch", "Eager", "the usual loop, Adam(fused=True)"),
    Peer(
        "torch.compile",
        "torch",
        "Compiled",
        "the whole step compiled (default mode, static shapes), state written where it lies",
        compiles=True,
    ),
    Peer(
        "torch.compile reduced",
        "torch",
        "CompiledReduced",
        'the whole step compiled with mode="reduce-overhead", static addresses',
        compiles=True,
    ),
)


@dataclass(frozen=True)
class Case:
    """Work and those who do it.

    Attributes
    ----------
    group, name, precision : str
        ``"training"``, ``"stacks"``, ``"products"`` or ``"copies"``; the work; how its products are computed.
    contenders : tuple of Contender
        The first is the reference.
    per : str
        What a figure counts: ``"step"``, ``"member-step"``, ``"call"``.
    count : int
        How many of these one step makes.
    flop, bytes : float
        Operations, and bytes read and written, of one step; 0 where they are not counted.
    seconds : float
        What the rounds of all contenders may take together.
    """

    group: str
    name: str
    precision: str
    contenders: tuple[Contender, ...]
    per: str = "step"
    count: int = 1
    flop: float = 0.0
    bytes: float = 0.0
    seconds: float = 5.0


def cases(device: str, *, quick: bool = False, compilers: bool = True) -> list[Case]:
    """List the cases, the most important first; nothing is built yet.

    Parameters
    ----------
    device : str
        Such as ``"cuda:0"``, or ``"cpu"`` for trying out the program.
    quick : bool
        Small sizes, for trying out.
    compilers : bool
        Whether ``torch.compile`` takes part.

    Examples
    --------
    >>> [case.name for case in cases("cpu", quick=True)][0]
    '32-32-32-32, batch 32, float32'
    """
    found = list(_all(device, compilers=compilers, shrink=smaller if quick else None))
    return [replace(case, seconds=0.1) for case in found] if quick else found


def _all(device: str, *, compilers: bool, shrink: Callable[[Job], Job] | None) -> Iterator[Case]:
    job = shrink or (lambda job: job)
    train = partial(_training, device=device)
    mid, wide = (job(Job((width,) * 5, 8192, 4, block=block)) for width, block in ((1024, 16), (4096, 4)))
    yield train(job(Job((256,) * 4, 256, 32, block=256)), compilers=compilers)
    yield from _peaks(device, quick=shrink is not None)
    yield from _copies(device, quick=shrink is not None)
    yield train(replace(mid, precision="tf32"), compilers=compilers)
    yield train(replace(mid, precision="bfloat16"), compilers=compilers)
    yield train(replace(wide, precision="bfloat16"), compilers=False)
    yield train(job(Job(TINY.sizes, TINY.batch_size, 64, members=1000, block=64)), compilers=False)
    yield train(replace(wide, precision="float32"), compilers=False)
    for work in NETWORKS:
        if work.sizes != TINY.sizes:
            steps = work.rows // work.batch_size
            yield train(job(Job(work.sizes, work.batch_size, steps, block=64)), compilers=False)
    yield from _layer_products(device, quick=shrink is not None)


def smaller(job: Job) -> Job:
    """Return a job of the same kind that a processor does in a moment; jobs that differ in their sizes still do.

    Examples
    --------
    >>> smaller(Job((4096, 1024, 10), 8192, 4, block=4))
    Job(sizes=(128, 64, 10), batch=180, epoch=4, precision='float32', members=None, block=4)
    """
    *sizes, batch = (size if size <= SMALL else 2 * isqrt(size) for size in (*job.sizes, job.batch))
    members = min(job.members, 20) if job.members else None
    return replace(job, sizes=tuple(sizes), batch=batch, members=members, block=min(job.block, 32))


def _training(job: Job, *, device: str, compilers: bool) -> Case:
    group, per = ("stacks", "member-step") if job.members else ("training", "step")
    contenders = (*_own(job, device), *_peers(job, device, compilers=compilers))
    return Case(group, job.name, job.precision, contenders, per, job.members or 1, job.flop, seconds=12.0)


def _own(job: Job, device: str) -> Iterator[Contender]:
    cuda = device.startswith(CUDA)
    for library in OWN[cuda]:
        if util.find_spec(library) is not None:
            place = f"{library}:{device}" if cuda else library
            yield Contender(f"mlpx {library}", partial(OwnSteps, job, place), f"fold of {job.block} steps")


def _peers(job: Job, device: str, *, compilers: bool) -> Iterator[Contender]:
    for peer in PEERS:
        here = device.startswith(CUDA) or not peer.cuda
        if here and (compilers or not peer.compiles) and util.find_spec(peer.library) is not None:
            yield Contender(peer.name, partial(_peer_steps, peer, job, device), peer.settings, peer.compiles)


def _peer_steps(peer: Peer, job: Job, device: str) -> Steps:
    steps: Steps = getattr(import_module(STEPS[peer.library]), peer.cls)(job, device)
    return steps


# Products and copies.


def _peaks(device: str, *, quick: bool) -> Iterator[Case]:
    """Yield a large product in every precision: its rate is the peak that steps are measured by."""
    width = 128 if quick else 8192
    for precision in ("bfloat16", "tf32", "float32", "float16", "float64"):
        yield _product(Product("forward", width, width, width, precision), device)


def _layer_products(device: str, *, quick: bool) -> Iterator[Case]:
    """Yield the three products of a wide layer, and of a stack of small ones."""
    batch, width, members = (64, 64, 10) if quick else (8192, 4096, 1000)
    kinds = ("forward", "error term", "weight gradient")
    for precision in ("bfloat16", "tf32", "float32"):
        yield from (_product(Product(kind, batch, width, width, precision), device) for kind in kinds)
        yield from (_product(Product(kind, 32, 32, 32, precision, members), device) for kind in kinds)


def _product(product: Product, device: str) -> Case:
    contenders = tuple(_library_calls("products", product, device))
    return Case("products", product.name, product.precision, contenders, "call", flop=product.flop, seconds=1.5)


def _copies(device: str, *, quick: bool) -> Iterator[Case]:
    for size in (2**20, 2**22) if quick else (2**25, 2**33):
        contenders = tuple(_library_calls("copies", size, device))
        yield Case("copies", f"copy of {size // 2**20} MiB", "", contenders, "call", bytes=float(size), seconds=1.5)


def _library_calls(function: str, work: object, device: str) -> Iterator[Contender]:
    """Yield mlpx's own call, on CUDA alone, and PyTorch's."""
    for library, name in CALLS[device.startswith(CUDA)].items():
        if util.find_spec(library) is not None:
            yield Contender(name, partial(_call, library, function, work, device), "into a buffer")


def _call(library: str, function: str, work: object, device: str) -> Steps:
    steps: Steps = getattr(import_module(STEPS[library]), function)(work, device)
    return steps
