"""Faults that were reported of steps on CUDA: each once, as small as it could be made."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import cuda_host
import mlpx
from host_device import HostBackend, HostDevice
from mlpx.backends import trees
from mlpx.backends.cuda.captured import Captured
from mlpx.backends.cuda.fusion import with_copies
from mlpx.backends.cuda.program import compiled
from mlpx.backends.cuda.sharing import shared_out
from mlpx.backends.notes import Kind
from mlpx.backends.recording import record

NUMPY = mlpx.get_backend("numpy")
pytestmark = pytest.mark.kernels
needs_compiler = pytest.mark.skipif(not cuda_host.available(), reason="needs a C++ compiler")


@dataclass(frozen=True)
class Step:
    backend: Any
    formula: Callable[..., Any]

    def __call__(self, *arguments):
        return self.formula(self.backend, *arguments)


def plain(formula, fixed, state, batches):
    for i in range(trees.length(batches)):
        state = formula(NUMPY, *fixed, state, trees.entry(batches, i))
    return state


def check(formula, state, batches, fixed=(), *, falls_back=False):
    """Assert that a step as on CUDA gives what it gives on NumPy, and whether it falls back."""
    captured = Captured(Step(NUMPY, formula), HostDevice())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = captured(fixed, trees.mapped(np.array, state), batches)
    for ours, theirs in zip(found, plain(formula, fixed, state, batches), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    assert bool(caught) == falls_back, [str(warning.message) for warning in caught]


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def integers(dtype, *shape, low=0, high=6):
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(dtype)


MOVES = {
    "swapped": lambda b, s, z: (s[1], s[0]),
    "handed on": lambda b, s, z: (s[0] + z[0], s[0]),
    "twice the same": lambda b, s, z: (s[1], s[1] + z[0]),
    "of the batch": lambda b, s, z: (s[0] + 1, z[0]),
    "a view": lambda b, s, z: (s[1][::-1], s[0][:, ::-1]),
}


@needs_compiler
@pytest.mark.parametrize("formula", MOVES.values(), ids=list(MOVES))
def test_a_state_that_moves_is_not_overwritten_before_it_is_read(formula):
    check(formula, (normal(4, 5), normal(5, 4).T + 1), (normal(3, 4, 5),))


REDUCED = {
    "rows": (lambda b, s, z: (s[0] * 2, b.xp.sum(s[0], axis=-1)), (4, 5), (4,)),
    "long rows": (lambda b, s, z: (s[0] * 2, b.xp.max(s[0], axis=-1)), (2, 9000), (2,)),
    "columns": (lambda b, s, z: (s[0] * 2, b.xp.sum(s[0], axis=-2)), (4, 5), (5,)),
    "one column": (lambda b, s, z: (s[0] * 2, s[0][:, 0] + b.xp.max(z[0], axis=-1)), (4, 1), (4,)),
}


@needs_compiler
@pytest.mark.parametrize("case", REDUCED.values(), ids=list(REDUCED))
def test_what_is_reduced_of_a_state_is_that_from_before_its_update(case):
    formula, shape, reduced = case
    check(formula, (normal(*shape), normal(*reduced)), (normal(3, *shape),))


@needs_compiler
def test_taking_along_a_later_axis():
    def formula(b, x, s, z):
        return (s[0] + b.xp.take(x, z[0], axis=1),)

    check(formula, (normal(4, 4),), (integers("i8", 3, 4),), (normal(4, 7),), falls_back=True)


@needs_compiler
def test_a_product_with_a_stack_of_ones_is_no_column_sum():
    def formula(b, s, z):
        return (s[0] + b.xp.matmul(np.ones((1, 2, 4)), b.xp.tanh(z[0])),)

    check(formula, (normal(1, 2, 5),), (normal(3, 1, 4, 5),))


@needs_compiler
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"])
def test_numbers_of_every_type_are_compared_and_reduced(dtype):
    def formula(b, s, z):
        xp = b.xp
        bounded = xp.logical_not(z[0]) if dtype == "?" else xp.maximum(z[0], 3)
        return bounded, xp.max(z[0], axis=-1), xp.min(z[0], axis=-1)

    state = integers(dtype, 4, 5), integers(dtype, 4), integers(dtype, 4)
    check(formula, state, (integers(dtype, 3, 4, 5, high=2 if dtype == "?" else 6),))


@needs_compiler
@pytest.mark.parametrize("dtypes", [("i8", "i8"), ("f4", "f8")])
def test_a_product_that_cublas_does_not_make(dtypes):
    def formula(b, s, z):
        left, right = (b.xp.astype(b.xp.tanh(x) * 3, np.dtype(d)) for x, d in zip(z, dtypes, strict=True))
        return (s[0] + b.xp.matmul(left, right),)

    check(formula, (normal(4, 6),), (normal(3, 4, 5), normal(3, 5, 6)), falls_back=True)


@needs_compiler
def test_the_ends_of_the_integers_are_constants():
    def formula(b, s, z):
        return b.xp.minimum(s[0], -(2**63)), b.xp.maximum(s[1], np.uint64(2**63 + 5))

    check(formula, (integers("i8", 4), integers("u8", 4)), (normal(3, 4),))


@needs_compiler
def test_many_column_sums_fit_into_shared_memory():
    def formula(b, s, z):
        sums = [b.xp.sum(b.xp.tanh(z[0] * k), axis=-2) for k in range(1, 31)]
        return (s[0] + b.xp.concat(sums, axis=-1),)

    check(formula, (normal(150),), (normal(3, 40, 5),))


@needs_compiler
def test_one_class_is_compared_with_columns():
    def formula(b, classes, s, z):
        chosen = b.xp.take(classes, z[0], axis=0)[..., None] == b.xp.arange(1)
        return (s[0] + b.xp.astype(chosen, np.float64) * b.xp.sum(b.xp.tanh(z[1]), axis=-1, keepdims=True),)

    check(formula, (normal(4, 1),), (integers("i8", 3, 4), normal(3, 4, 7)), (integers("i8", 6, high=2),))


@needs_compiler
def test_arrays_without_elements_have_no_kernel():
    def formula(b, s, z):
        return (s[0] + b.xp.concat([b.xp.tanh(z[0]), b.xp.exp(z[0][:, :0])], axis=-1),)

    check(formula, (normal(4, 5),), (normal(3, 4, 5),), falls_back=True)


def both_zeros(b, s, z):
    positive, mixed = np.zeros(4), np.array([0.0, -0.0, 0.0, -0.0])
    return b.xp.copysign(s[0], positive), b.xp.copysign(s[0] + 1, positive), b.xp.copysign(s[0] + 1, mixed)


@needs_compiler
def test_zeros_of_both_signs_are_not_one_constant():
    check(both_zeros, (normal(3, 4), normal(3, 4), normal(3, 4)), (normal(3, 4),))


def seen_reshaped(rows, columns):
    """Return a step in which a part of a concatenation is also read in another shape."""

    def formula(b, s, z):
        part = b.xp.tanh(z[0])
        joined = b.xp.concat([part, b.xp.tanh(z[1])], axis=-1)
        return s[0] + joined, s[1] + b.xp.reshape(part, (rows * columns,))

    return formula


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_part_of_a_concatenation_that_is_also_reshaped(name):
    if name == "torch":
        pytest.importorskip("torch")
    backend = mlpx.get_backend(name)
    state, batches = (normal(4, 6), normal(20)), (normal(3, 4, 5), normal(3, 4, 1))
    formula = seen_reshaped(4, 5)
    expected = plain(formula, (), state, batches)
    moved = [trees.mapped(lambda x: backend.asarray(x.copy()), tree) for tree in (state, batches)]
    found = backend.fold(Step(backend, formula))((), *moved)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(backend.to_numpy(ours), theirs, atol=1e-12)


@needs_compiler
@pytest.mark.parametrize(("rows", "columns", "more"), [(4, 5, 1), (8, 2, 100_000), (40, 5, 2000)])
def test_a_part_of_a_concatenation_that_is_also_reshaped_on_cuda(rows, columns, more):
    state = normal(rows, columns + more), normal(rows * columns)
    batches = normal(3, rows, columns), normal(3, rows, more)
    check(seen_reshaped(rows, columns), state, batches, falls_back=True)


@needs_compiler
@pytest.mark.parametrize(("rows", "columns", "more"), [(4, 5, 1), (8, 2, 100_000), (40, 5, 2000)])
def test_a_reshaped_part_of_a_concatenation(rows, columns, more):
    def formula(b, s, z):
        flat = b.xp.tanh(b.xp.reshape(z[0], (rows * columns,)))
        return (s[0] + b.xp.concat([b.xp.reshape(flat, (rows, columns)), b.xp.tanh(z[1])], axis=-1),)

    check(formula, (normal(rows, columns + more),), (normal(3, rows, columns), normal(3, rows, more)))


def test_a_view_that_needs_a_copy_is_recorded_without_reading():
    # in a process of its own, since it ended with a segmentation fault
    text = (
        "import numpy as np; from mlpx.backends.recording import Recorder, RecordingNamespace;"
        "r = Recorder(); x = r.input(np.lib.stride_tricks.as_strided(np.empty(()), (3000, 3000), (24000, 8)));"
        "print(RecordingNamespace(r).reshape(x.mT, (-1,)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(9000000,)", done.stderr


def test_only_parts_of_the_state_that_move_are_copied():
    number = np.dtype(np.float64)
    kinds = (), (Kind((4,), number), Kind((4,), number)), (Kind((4,), number),)
    recording = record(Step(NUMPY, lambda b, s, z: (s[0], s[1] + z[0])), kinds)
    assert with_copies(recording).operations == recording.operations
    assert not compiled(recording).memory.copies


@needs_compiler
def test_streamed_rows_of_members_with_shared_targets_keep_their_programs(monkeypatch):
    monkeypatch.setattr("mlpx.batches._MOST_STEPS", 5)
    backend = HostBackend()
    backend.fits = lambda nbytes: False
    X, y = normal(3, 200, 4), normal(200, 2)
    nets = [mlpx.MLP([4, 8, 2], output="identity", members=3, seed=1, backend=each) for each in (backend, "numpy")]
    for net in nets:
        net.fit(X, y, epochs=4, batch_size=7, progress=False)
    np.testing.assert_allclose(nets[0].vector, nets[1].vector, rtol=1e-4, atol=1e-5)
    [captured] = backend.captured
    assert len(captured.programs) <= 4  # two sizes of batch in two buffers


@needs_compiler
def test_a_divergence_with_dropout_is_described():
    X, y = normal(40, 4), integers("i8", 40, high=2)
    messages = []
    for backend in (HostBackend(), "numpy"):
        net = mlpx.MLP([4, 8, 2], members=2, dropout=0.4, seed=1, dtype="float64", backend=backend)
        with pytest.warns(RuntimeWarning, match="diverged") as caught:
            net.fit(X, y, epochs=2, batch_size=7, progress=False, optimizer=mlpx.SGD([0.1, 1e200]))
        messages.append([str(w.message) for w in caught])
    assert messages[0] == messages[1]


@needs_compiler
def test_more_members_than_a_grid_has_blocks_along_its_second_axis():
    def formula(b, s, z):
        return s[0] + b.xp.sum(b.xp.tanh(z[0]), axis=-2), s[1] + b.xp.max(z[1], axis=-1)

    shapes = (70_000, 2), (70_000,), (70_000, 2, 2), (70_000, 9000)
    kinds = [Kind(shape, np.dtype(np.float64)) for shape in shapes]
    made = compiled(record(Step(NUMPY, formula), ((), tuple(kinds[:2]), tuple(kinds[2:]))))
    grids = [shared_out(kernel).grid for kernel in made.sources]
    assert all(max(grid[1:], default=0) < 2**16 for grid in grids)
    assert {grid[0] for grid in grids if len(grid) > 1} == {70_000}


@needs_compiler
def test_axes_that_come_and_go_are_recorded():
    def formula(b, x, s, z):
        xp = b.xp
        column = xp.expand_dims(xp.sum(s[0], axis=-1), axis=-1)
        return (s[0] * column + xp.permute_dims(xp.squeeze(xp.expand_dims(x, axis=0), axis=0), (1, 0)),)

    check(formula, (normal(4, 5),), (normal(3, 1),), (normal(5, 4),))


@needs_compiler
@pytest.mark.parametrize("name", ["remainder", "logaddexp", "signbit", "round", "hypot", "atan2", "copysign"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_functions_that_an_activation_may_use(name, dtype):
    special = np.array([0.0, -0.0, 1.5, -2.5, 3e3, -1e3, 0.5])
    a, b = (x.ravel().astype(dtype) for x in np.meshgrid(special, special[2:]))

    def formula(ops, x, y, s, z):
        xp = ops.xp
        found = getattr(xp, name)(x) if name in ("signbit", "round") else getattr(xp, name)(x, y)
        return (s[0] * 0 + xp.astype(found, xp.float64),)

    tolerance = 1e-12 if dtype == "float64" else 2e-6
    captured = Captured(Step(NUMPY, formula), HostDevice())
    (found,) = captured((a, b), (np.zeros(a.shape),), (np.zeros((3, 1)),))
    assert all(captured.programs.values())
    (expected,) = formula(NUMPY, a, b, (np.zeros(a.shape),), None)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@needs_compiler
def test_rows_are_not_taken_from_what_is_being_written_over():
    def formula(ops, x, s, z):
        return (0.5 * s[0] + (s[0] + ops.xp.take(ops.xp.tanh(x), z[0], axis=0)),)

    def formula_of_the_state(ops, s, z):
        return (s[0] + ops.xp.take(s[0], z[0], axis=0),)

    index = integers("i8", 3, 300, high=300)
    check(formula, (normal(300, 6),), (index,), (normal(300, 6),))
    check(formula_of_the_state, (normal(300, 6),), (index,))
