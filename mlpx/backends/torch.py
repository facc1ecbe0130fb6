"""PyTorch, on the processor or on CUDA, without its automatic differentiation."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import array_api_compat
import array_api_compat.torch as xp
import numpy as np
import torch

from mlpx._typing import Array, DType
from mlpx.backends import trees
from mlpx.backends.base import Backend
from mlpx.backends.replay import FEW, Replayed
from mlpx.backends.staging import SharedTransfers, Transfers
from mlpx.backends.torch_calls import TorchCalls


class TorchBackend(Backend):
    """PyTorch tensors; the derivatives are mlpx's own, so tensors are detached."""

    name = "torch"

    def __init__(self, device: str | None = None) -> None:
        try:
            self.device = torch.empty(0, device=device or "cpu").device
        except (RuntimeError, AssertionError) as error:
            first_line = str(error).partition("\n")[0]
            msg = f"`device` must be one that PyTorch has here, such as 'cpu'; got {device!r} ({first_line})"
            raise ValueError(msg) from error
        self.xp = xp
        self.device_name = str(self.device)
        self.version = torch.__version__
        self.flops = self.flops if self.device.type == "cpu" else 2e13

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return array_api_compat.is_torch_array(x)

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return a tensor as a NumPy array."""
        if x.dtype == torch.bfloat16:
            x = x.to(torch.float32)  # NumPy has no such type
        return x.detach().resolve_conj().resolve_neg().cpu().numpy()

    def asarray(self, x: Any, dtype: DType | None = None) -> Array:
        """Return `x` as a detached tensor on this device."""
        if isinstance(x, np.ndarray) and (not x.flags.writeable or any(s < 0 for s in x.strides)):
            x = x.copy()  # PyTorch has neither read-only tensors nor negative strides
        if isinstance(x, np.ndarray) and x.dtype.name == "bfloat16":  # as ml_dtypes has it
            x = torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
        if isinstance(x, torch.Tensor):
            x = x.detach()
        return xp.asarray(x, dtype=dtype, device=self.device).contiguous()

    def array_device(self, x: Array) -> str:
        """Return the device of a tensor in words."""
        return str(x.device)

    def context(self) -> AbstractContextManager[Any]:
        """Return a context in which PyTorch records nothing."""
        recording_off: AbstractContextManager[Any] = torch.no_grad()
        return self._with_products(recording_off) if self.device.type == "cuda" else recording_off

    @contextmanager
    def _with_products(self, recording_off: AbstractContextManager[Any]) -> Iterator[None]:
        """Let products of float32 be computed as `precision` says, whatever the process has set for its own."""
        matmul, name = torch.backends.cuda.matmul, "fp32_precision"
        values: dict[Any, Any] = {None: "ieee", "tf32": "tf32"}
        if not hasattr(matmul, name):  # PyTorch before 2.9
            name, values = "allow_tf32", {None: False, "tf32": True}
        before = getattr(matmul, name)
        setattr(matmul, name, values[self.precision])
        try:
            with recording_off:
                yield
        finally:
            setattr(matmul, name, before)

    def transfers(self) -> Transfers:
        """Return how rows that stay on the host get here: in memory that the tensors share, or copied to CUDA."""
        return SharedTransfers(self)

    def copy(self, x: Array, out: Array | None = None) -> Array:
        """Return a copy, in `out` where it fits."""
        return x.clone() if out is None or out.shape != x.shape else out.copy_(x)

    def fold(self, step: Any, steps: int | None = None) -> Callable[..., Any]:
        """Return the step recorded once for the shapes of its arguments, and replayed into fixed buffers.

        Few steps are made as they stand.
        """
        if steps is not None and steps <= FEW:
            return super().fold(step)
        replayed = Replayed(step, TorchCalls(self.device))

        def run(fixed: tuple[Any, ...], state: Any, batches: Any, members: int | None = None) -> Any:
            return replayed(fixed, state, trees.mapped(self.asarray, batches), members)

        return run

    def synchronize(self, *arrays: Array) -> None:
        """Wait for CUDA where the device is one."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
