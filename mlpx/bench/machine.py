"""The machine that was measured: processor, memory, system, libraries with their threads, GPUs.

Nothing here tells whose machine it is: no host name, no user, no path.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = (
    "mlpx", "numpy", "array-api-compat", "scipy", "scikit-learn", "torch", "jax", "jaxlib", "cupy-cuda12x",
    "cupy-cuda13x", "threadpoolctl",
)  # fmt: skip
#: What decides how many numbers an instruction takes.
INSTRUCTIONS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "asimd", "sve", "sve2")
#: Settings from outside that change how fast libraries run.
VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_WAIT_POLICY",
    "KMP_BLOCKTIME", "XLA_FLAGS", "JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE",
)  # fmt: skip


@dataclass(frozen=True)
class Blas:
    """The library behind NumPy's products.

    Attributes
    ----------
    name, version : str
        Such as ``"openblas"`` and ``"0.3.31"``.
    threads : int or None
        Threads that it uses, where it tells.
    kernel : str
        The kind of processor that it took its kernels for.
    """

    name: str
    version: str
    threads: int | None
    kernel: str


@dataclass(frozen=True)
class Gpu:
    """A GPU, its memory in bytes, and the driver's version."""

    name: str
    memory: int
    driver: str


@dataclass(frozen=True)
class Machine:
    """What decides how fast a network trains.

    Attributes
    ----------
    processor : str
        Its model's name; a number of family and model where the name alone says little.
    architecture : str
        Such as ``"x86_64"``.
    instructions : tuple of str
        Vector instructions, where the system lists them.
    cores, all_cores : int
        Cores that this process may use, and cores that the system has, each hardware thread counted.
    caches : dict
        Bytes of each kind of cache, of one core or one group of cores that share it.
    memory : int
        Bytes.
    system, python : str
        Names and versions.
    blas : Blas
        The library behind NumPy's products.
    libraries : dict
        Versions.
    gpus : tuple of Gpu
        NVIDIA's, as its driver lists them.
    variables : dict
        Environment variables that were set and change the speed.
    """

    processor: str
    architecture: str
    instructions: tuple[str, ...]
    cores: int
    all_cores: int
    caches: dict[str, int]
    memory: int
    system: str
    python: str
    blas: Blas
    libraries: dict[str, str]
    gpus: tuple[Gpu, ...]
    variables: dict[str, str]

    @property
    def slug(self) -> str:
        """A file's name for the machine, equal as long as its processor, cores and GPUs are."""
        count = len(self.gpus)
        gpus = [f"{count}x {self.gpus[0].name}" if count > 1 else self.gpus[0].name] if count else []
        return _slug(" ".join([self.processor, f"{self.cores} cores", *gpus]))

    @property
    def title(self) -> str:
        """The machine in a few words."""
        gpus = "".join(f", {name}" for name in dict.fromkeys(gpu.name for gpu in self.gpus))
        return f"{self.processor}, {self.cores} {'core' if self.cores == 1 else 'cores'}{gpus}"


def describe_machine() -> Machine:
    """Describe the machine that this runs on.

    Examples
    --------
    >>> from mlpx.bench.machine import describe_machine
    >>> describe_machine().cores >= 1
    True
    """
    return Machine(
        processor=_processor(),
        architecture=platform.machine(),
        instructions=_instructions(),
        cores=usable_cores(),
        all_cores=os.cpu_count() or 1,
        caches=_caches(),
        memory=_memory(),
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        blas=_blas(),
        libraries=_versions(),
        gpus=_gpus(),
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _slug(text: str) -> str:
    plain = re.sub(r"\((r|tm)\)|\bcpu\b|\bprocessor\b|@", " ", text.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _processor() -> str:
    info = _cpuinfo()
    name = info.get("model name") or _sysctl("machdep.cpu.brand_string") or platform.processor() or "unknown processor"
    # clouds hide the number: "AMD EPYC" is said of every generation
    if "cpu family" in info and not re.search(r"\d", name):
        name += f" (family {info['cpu family']} model {info['model']})"
    return " ".join(name.split())


def _cpuinfo() -> dict[str, str]:
    """Read what Linux says of its first core."""
    text = _read("/proc/cpuinfo").partition("\n\n")[0]
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _instructions() -> tuple[str, ...]:
    info = _cpuinfo()
    flags = (info.get("flags") or info.get("Features") or "").split()
    return tuple(name for name in INSTRUCTIONS if name in flags)


def _caches() -> dict[str, int]:
    """Return bytes by level and kind, from Linux or macOS."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind = _read(folder / "type").strip().lower()
        if kind != "instruction":
            found[f"L{_read(folder / 'level').strip()}"] = _bytes(_read(folder / "size").strip())
    mac = {"L1": "hw.l1dcachesize", "L2": "hw.l2cachesize", "L3": "hw.l3cachesize"}
    return found or {level: int(size) for level, name in mac.items() if (size := _sysctl(name)).isdecimal()}


def _bytes(size: str) -> int:
    """Read ``32K`` or ``32M``."""
    return int(size.rstrip("KMG") or 0) * {"K": 2**10, "M": 2**20, "G": 2**30}.get(size[-1:], 1)


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no such call
        return 0


def _blas() -> Blas:
    """Ask the libraries that NumPy has loaded; where none answers, what NumPy was built with."""
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if np.__name__ in pool["filepath"]] or pools
    if own:
        pool = own[0]
        return Blas(pool["internal_api"], pool["version"] or "", pool["num_threads"], pool.get("architecture") or "")
    configuration: Any = np.show_config(mode="dicts")
    built = configuration["Build Dependencies"]["blas"]
    return Blas(str(built.get("name", "unknown")), str(built.get("version", "")), None, "")


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _gpus() -> tuple[Gpu, ...]:
    text = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return tuple(Gpu(row[0], int(row[1]) * 2**20, row[2]) for row in rows if len(row) == 3 and row[1].isdecimal())


def _sysctl(name: str) -> str:
    return _output("sysctl", "-n", name).strip() if platform.system() == "Darwin" else ""


def _output(*command: str) -> str:
    """Return what a command writes, or nothing where it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
