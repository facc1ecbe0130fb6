"""What is said where CUDA's driver, devices or libraries are missing; a stand-in answers in the place of CuPy."""

import ctypes
import sys
from types import SimpleNamespace

import pytest

import mlpx
from mlpx.backends.cuda import installation, products


class CudaError(Exception):
    """As CuPy raises what CUDA answers."""


def cupy_of(monkeypatch, *, devices=1, answer=None, needs=13020, driver=13000, compiler=None):
    """Put a stand-in for CuPy in its place; None for NVRTC's version stands for a library that is not found."""

    def count():
        if answer is not None:
            raise CudaError(answer)
        return devices

    def version():
        if compiler is None:
            raise RuntimeError("No such file:\n\nlibnvrtc.so")
        return compiler

    runtime = SimpleNamespace(
        CUDARuntimeError=CudaError,
        getDeviceCount=count,
        runtimeGetVersion=lambda: needs,
        driverGetVersion=lambda: driver,
    )
    cuda = SimpleNamespace(runtime=runtime, nvrtc=SimpleNamespace(getVersion=version))
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(__version__="14.2.0", cuda=cuda))


def refusal(function, *arguments):
    with pytest.raises(mlpx.BackendUnavailableError) as caught:
        function(*arguments)
    return str(caught.value)


def test_cuda_says_itself_why_no_device_answers(monkeypatch):
    cupy_of(monkeypatch, answer="cudaErrorInsufficientDriver: too old", driver=12040)
    message = refusal(installation.count_devices)
    assert "CuPy 14.2.0 is installed, but CUDA answers: cudaErrorInsufficientDriver: too old" in message
    assert "(driver: for CUDA 12.4)" in message
    assert 'driver for CUDA 13, or "cupy-cuda12x[ctk]" for one of CUDA 12; nvidia-smi' in message


def test_no_driver_and_no_device_are_said(monkeypatch):
    cupy_of(monkeypatch, answer="cudaErrorInsufficientDriver: too old", driver=0, needs=12090)
    message = refusal(installation.count_devices)
    assert "(driver: none). Install NVIDIA's driver for CUDA 12; nvidia-smi" in message
    cupy_of(monkeypatch, devices=0)
    assert "CUDA answers: no device" in refusal(installation.count_devices)
    cupy_of(monkeypatch, devices=2)
    assert installation.count_devices() == 2


@pytest.mark.parametrize(("needs", "package"), [(12090, "cupy-cuda12x[ctk]"), (13020, "cupy-cuda13x[ctk]")])
def test_missing_libraries_are_named_with_the_package_of_this_cuda(monkeypatch, needs, package):
    def not_there(path):
        raise OSError(f"{path}: cannot open shared object file")

    cupy_of(monkeypatch, needs=needs)
    assert f'NVRTC for kernels, which is not found (No such file: libnvrtc.so): pip install "{package}"' in refusal(
        installation.check_compiler
    )
    monkeypatch.setattr(products, "_path", lambda: "libcublas.so")
    monkeypatch.setattr(ctypes, "CDLL", not_there)
    products._library.cache_clear()
    message = refusal(products.check_library)
    assert "cuBLAS for products, which is not found (libcublas.so: cannot open" in message
    assert package in message
    cupy_of(monkeypatch, compiler=(13, 2))
    installation.check_compiler()


def test_a_device_that_is_not_there_is_answered_by_those_that_are():
    assert [installation.device_number(name, 2) for name in (None, "cuda", "cuda:1")] == [0, 0, 1]
    with pytest.raises(ValueError, match=r"`device`.*the only device here is 'cuda:0', got 'cuda:1'"):
        installation.device_number("cuda:1", 1)
    with pytest.raises(ValueError, match=r"`device`.*'cuda:0' to 'cuda:1', got 'cpu'"):
        installation.device_number("cpu", 2)


def test_the_backend_itself_looks_for_devices_and_libraries(monkeypatch):
    pytest.importorskip("cupy", reason="the backend imports CuPy")
    from mlpx.backends import cupy

    looked = []
    monkeypatch.setattr(cupy.installation, "count_devices", lambda: looked.append("devices") or 1)
    monkeypatch.setattr(cupy.installation, "check_compiler", lambda: looked.append("compiler"))
    monkeypatch.setattr(cupy, "check_library", lambda: looked.append("library"))
    assert cupy.CuPyBackend().device_name == "cuda:0"
    assert looked == ["devices", "compiler", "library"]


# "auto".


@pytest.fixture
def cupy_backend(monkeypatch):
    """Return what the class of the backend "cupy" is taken to be."""
    from mlpx.backends import selection

    selection._make.cache_clear()
    found = selection._backend_class

    def choose(check_device, made=None):
        cls = type("Stand", (), {"check_device": staticmethod(check_device), "__new__": lambda cls, device: made()})
        monkeypatch.setattr(selection, "_backend_class", lambda name: cls if name == "cupy" else found(name))

    yield choose
    selection._make.cache_clear()


def absent():
    raise mlpx.BackendUnavailableError("the driver is missing.")


def test_auto_takes_numpy_without_a_device_and_says_so_where_more_was_asked(cupy_backend):
    cupy_backend(absent)
    assert mlpx.get_backend("auto").name == "numpy"
    assert mlpx.get_backend("auto", "cpu").name == "numpy"
    reason = r'"auto" found no CUDA device \(the driver is missing\), so NumPy was taken'
    with pytest.raises(ValueError, match=f"`device` 'cuda:1' .*{reason}"):
        mlpx.get_backend("auto", "cuda:1")
    with pytest.raises(ValueError, match=f"`precision` 'tf32' .*{reason}"):
        mlpx.get_backend("auto", precision="tf32")


def test_auto_passes_no_device_over_whose_libraries_are_missing(cupy_backend):
    cupy_backend(lambda: None, absent)
    with pytest.raises(mlpx.BackendUnavailableError, match="the driver is missing"):
        mlpx.get_backend("auto")


def test_numpy_points_at_the_backend_of_a_card():
    with pytest.raises(ValueError, match=r"`device`.*got 'cuda:1'; for an NVIDIA GPU take backend=.cupy."):
        mlpx.MLP([2, 3], backend="numpy", device="cuda:1")
    with pytest.raises(ValueError, match=r"got 'mps'\.$"):
        mlpx.MLP([2, 3], backend="numpy", device="mps")
    with pytest.raises(ValueError, match="Did you mean 'cupy'"):
        mlpx.MLP([2, 3], backend="cuda")


# The command.


@pytest.mark.parametrize(("choice", "words"), [("cupy", "cupy"), ("cuda", "`MLPX_BACKEND` must be one of")])
def test_info_shows_its_table_above_what_is_wrong_with_the_choice(monkeypatch, capsys, choice, words):
    from mlpx.cli import main

    if "cupy" in [info.name for info in mlpx.available_backends() if info.available] and choice == "cupy":
        pytest.skip("CuPy finds a device")
    monkeypatch.setenv("MLPX_BACKEND", choice)
    assert main(["info"]) == 2
    out, err = capsys.readouterr()
    for info in mlpx.available_backends():
        assert info.name in out
    assert ": None" not in out
    assert words in err


def test_info_of_a_file_needs_no_backend_but_numpy(tmp_path, monkeypatch, capsys):
    from mlpx.cli import main

    mlpx.MLP([2, 3, 4]).save(tmp_path / "net.mlpx")
    monkeypatch.setenv("MLPX_BACKEND", "cuda")
    assert main(["info", str(tmp_path / "net.mlpx")]) == 0
    assert "2 - 3 relu - 4 softmax, 25 parameters, float32" in " ".join(capsys.readouterr().out.split())


def test_a_reason_without_a_command_stands_alone(monkeypatch, capsys):
    from mlpx.cli import main

    backends = [mlpx.BackendInfo("cupy", available=False, reason="CUDA answers: no.")]
    monkeypatch.setattr(mlpx, "available_backends", lambda: backends)
    assert main(["info"]) == 0
    assert capsys.readouterr().out.endswith("cupy       CUDA answers: no.\n")
