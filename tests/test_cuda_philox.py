"""Dropout where the device draws: integer steps equal NumPy's generator, and the kernel equals these, bit for bit."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import cuda_host
import mlpx
import nvrtc
from mlpx.backends import host
from mlpx.backends.base import Backend as Reference
from mlpx.backends.cuda import philox
from mlpx.backends.host import Key
from mlpx.backends.notes import Call, Kind, NotRecordable
from mlpx.backends.numpy import NumPyBackend
from mlpx.backends.numpy_calls import NumPyCalls
from mlpx.backends.recording import record
from mlpx.backends.replay import Replayed
from mlpx.backends.threads import Workers

CUPY = next(info for info in mlpx.available_backends() if info.name == "cupy")
compiled_here = pytest.mark.skipif(not cuda_host.available(), reason="no C++ compiler runs kernels here")

WORD = st.integers(0, 2**64 - 1)
KEYS = [Key(0), Key(2**64 - 1, 2**32 - 1), Key(7, 3)]
STEPS = np.array([[0, 1, 2**40], [5, 5, 0]])
THRESHOLDS, SCALES = [0, 26214, 65535], [1.0, 65536 / (65536 - 26214), 1 / 3]
SHAPES = [(1, 1), (3, 5), (4, 4), (1, 16), (2, 17), (13, 31), (64, 32)]


# The integer steps.


@given(st.lists(WORD, min_size=2, max_size=2), st.lists(WORD, min_size=4, max_size=4))
def test_the_integer_steps_are_those_of_numpys_generator(key, counter):
    expected = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=np.array(counter, dtype=np.uint64))
    following = (sum(word << 64 * i for i, word in enumerate(counter)) + 1) % 2**256  # it is raised before a block
    words = [np.array([following >> 64 * i & (2**64 - 1)], dtype=np.uint64) for i in range(4)]
    found = host.philox([np.array([word], dtype=np.uint64) for word in key], words)
    assert_array_equal(found, expected.random_raw(4)[None, :])


def test_blocks_are_counted_from_one():
    expected = host.words([Key(9, 4)], "dropout", 2, [6], 40)[0]
    key = [np.array([9], dtype=np.uint64), np.array([(2 << 32) + 4], dtype=np.uint64)]
    counter = [np.arange(1, 11), [2], [6], [0]]
    found = host.philox(key, [np.array(word, dtype=np.uint64) for word in counter])
    assert_array_equal(found.reshape(-1), expected)


def test_the_products_carry_from_all_halves():
    most = np.array([2**64 - 1, 2**32 - 1, 2**32, 2**63 + 1, 0], dtype=np.uint64)
    high, low = host._product(most[:, None], most)
    for i, x in enumerate(most.tolist()):
        for j, y in enumerate(most.tolist()):
            assert (int(high[i, j]) << 64) + int(low[i, j]) == x * y


# From words to factors.


def made_on_the_host(words: np.ndarray, shape: tuple[int, int], dtype: type = np.float64) -> np.ndarray:
    bits = host.dropout_bits(words, -(-math.prod(shape) // 16))
    return host.dropout_factors(bits, words, shape, dtype, host.xp)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_words_give_the_factors_of_the_mask(shape, dtype):
    mask = host.dropout_mask(KEYS, 4, STEPS, shape, THRESHOLDS, SCALES)
    words = host.dropout_words(KEYS, 4, STEPS, THRESHOLDS, SCALES)
    assert (words.shape, words.dtype) == ((2, 3, 6), np.uint64)
    found = made_on_the_host(words, shape, dtype)
    assert found.dtype == dtype
    assert_array_equal(found, mask.astype(dtype))
    assert_array_equal(made_on_the_host(words[1, 2], shape, dtype), mask[1, 2].astype(dtype))


@given(st.data())
@settings(max_examples=50)
def test_words_give_the_factors_of_the_mask_for_any_names(data):
    members = data.draw(st.integers(1, 3))
    keys = [Key(data.draw(WORD), data.draw(st.integers(0, 2**32 - 1))) for _ in range(members)]
    layer, shape = data.draw(st.integers(0, 2**31)), data.draw(st.tuples(st.integers(1, 9), st.integers(1, 40)))
    steps = [data.draw(st.integers(0, 2**63 - 1)) for _ in range(members)]
    thresholds = [data.draw(st.integers(0, 65535)) for _ in range(members)]
    scales = [data.draw(st.floats(2**-10, 2**16)) for _ in range(members)]
    words = host.dropout_words(keys, layer, steps, thresholds, scales)
    expected = host.dropout_mask(keys, layer, steps, shape, thresholds, scales)
    assert_array_equal(made_on_the_host(words, shape), expected)


def test_the_masks_of_many_steps_are_those_of_each():
    many = host.dropout_mask(KEYS, 1, STEPS, (5, 7), THRESHOLDS, SCALES)
    for own, steps in zip(many, STEPS, strict=True):
        assert_array_equal(own, host.dropout_mask(KEYS, 1, steps.tolist(), (5, 7), THRESHOLDS, SCALES))
    assert_array_equal(
        host.dropout_mask(KEYS, 1, STEPS, (5, 7), THRESHOLDS, SCALES, np.float32), many.astype(np.float32)
    )


# The kernel.

EXPAND = """
extern "C" __global__ void expand(const unsigned short* bits, const unsigned long long* words, {type}* factors,
                                  long long groups, long long elements)
{{
    const long long member = blockIdx.y, element = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (element < elements) {{
        factors[member * elements + element] =
            dropout_factor<{type}>(bits + member * groups, words + 6 * member, element);
    }}
}}
"""
"""As a kernel uses the bits that multiplies by the factors."""


def source(kind: str) -> str:
    return philox.BITS + philox.FACTOR + EXPAND.format(type=kind)


@compiled_here
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("kind", "dtype"), [("float", np.float32), ("double", np.float64)])
def test_the_kernel_run_on_the_host_gives_the_mask(shape, kind, dtype):
    module = cuda_host.compile(source(kind))
    words = host.dropout_words(KEYS, 4, STEPS, THRESHOLDS, SCALES)
    mask = host.dropout_mask(KEYS, 4, STEPS, shape, THRESHOLDS, SCALES)
    elements, members = math.prod(shape), len(KEYS)
    groups = -(-elements // 16)
    for step in range(len(STEPS)):
        bits, factors = np.zeros((members, groups), np.uint16), np.full((members, *shape), np.nan, dtype)
        sizes = np.int64(groups), np.int64(members)
        at = 0, np.int64(words[0].size), np.int32(step)
        grid = philox.grid(groups, members)
        module.launch("dropout_bits", grid, philox.THREADS, (words, bits, *sizes, *at), guard=True)
        assert_array_equal(bits, host.dropout_bits(words[step], groups))
        arguments = bits, words[step], factors, np.int64(groups), np.int64(elements)
        module.launch("expand", (-(-elements // 64), members), 64, arguments, guard=True)
        assert_array_equal(factors, mask[step].astype(dtype))


@compiled_here
@pytest.mark.parametrize(("counter", "first"), [(0, 0), (0, 2), (3, 0), (2, 1)])
def test_a_counter_on_the_device_selects_the_step(counter, first):
    module = cuda_host.compile(philox.BITS)
    steps = np.arange(8, 12)[:, None]
    words = host.dropout_words([Key(1)], 2, steps, [30000], [2.0])
    bits = np.zeros((1, 9), np.uint16)
    at = np.array([counter]), np.int64(6), np.int32(first)
    module.launch("dropout_bits", 1, philox.THREADS, (words, bits, np.int64(9), np.int64(1), *at))
    assert_array_equal(bits, host.dropout_bits(words[counter + first], 9))


@compiled_here
def test_a_lane_that_equals_the_threshold_is_kept():
    drawn = host.lanes([Key(1)], 2, [8], 32)[0]
    threshold = int(np.sort(drawn)[12])
    words = host.dropout_words([Key(1)], 2, [8], [threshold], [1.0])
    bits = np.zeros((1, 2), np.uint16)
    arguments = words, bits, np.int64(2), np.int64(1), 0, np.int64(0), np.int32(0)
    cuda_host.compile(philox.BITS).launch("dropout_bits", 1, philox.THREADS, arguments)
    assert_array_equal(bits, host.dropout_bits(words, 2))
    kept = [bits[0, j // 16] >> j % 16 & 1 for j in range(32)]
    assert_array_equal(kept, drawn >= threshold)
    assert sum(kept) == 20


@pytest.mark.skipif(not nvrtc.available(), reason="needs nvidia-cuda-nvrtc and nvidia-cuda-runtime")
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("kind", ["float", "double", "__half", "__nv_bfloat16"])
def test_the_kernel_and_its_reader_become_machine_code(arch, kind):
    headers = "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n"
    cubin = nvrtc.compile(headers + source(kind), arch)
    assert b"\0.text.dropout_bits\0" in cubin
    assert b"\0.text.expand\0" in cubin
    assert b"\0.text.dropout_bits\0" in nvrtc.compile(philox.BITS, arch)  # without any header


@compiled_here
@pytest.mark.parametrize("shape", SHAPES)
def test_the_backend_launches_the_kernel_and_expands_its_bits(shape, monkeypatch):
    """CuPy's part, with arrays of NumPy and the kernel run on the host."""
    library = pytest.importorskip("mlpx.backends.cupy", reason="CuPy is not installed", exc_type=ImportError)
    module = cuda_host.compile(philox.BITS)
    monkeypatch.setattr(library, "_dropout_bits", lambda *launch: module.launch("dropout_bits", *launch))
    monkeypatch.setattr(library, "cupy", np)
    monkeypatch.setattr(library, "xp", host.xp)
    monkeypatch.setattr(library.CuPyBackend, "asarray", staticmethod(np.asarray))
    ops = object.__new__(library.CuPyBackend)
    draws = ops.dropout_draws(KEYS, 4, STEPS, shape, THRESHOLDS, SCALES, np.float32)
    mask = host.dropout_mask(KEYS, 4, STEPS, shape, THRESHOLDS, SCALES).astype(np.float32)
    for draw, expected in zip(draws, mask, strict=True):
        assert_array_equal(ops.dropout_factors(draw, shape, np.float32), expected)
    assert_array_equal(ops.dropout_factors(draws[1, 2], shape, np.float32), mask[1, 2])
    assert ops.dropout_factors(mask, shape, np.float32) is mask


@pytest.mark.gpu
@pytest.mark.skipif(not CUPY.available, reason=f"cupy: {CUPY.reason}")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_on_a_device_gives_the_mask(shape, dtype):
    ops = mlpx.get_backend("cupy")
    with ops.context():
        kind = getattr(ops.xp, dtype)
        draws = ops.dropout_draws(KEYS, 4, STEPS, shape, THRESHOLDS, SCALES, kind)
        assert draws.shape == (2, 3, 6)
        mask = host.dropout_mask(KEYS, 4, STEPS, shape, THRESHOLDS, SCALES).astype(dtype)
        for draw, expected in zip(draws, mask, strict=True):
            assert_array_equal(ops.to_numpy(ops.dropout_factors(draw, shape, kind)), expected)
        assert_array_equal(ops.to_numpy(ops.dropout_factors(draws[1, 2], shape, kind)), mask[1, 2])


# Training through words.


class WordCalls(NumPyCalls):
    """NumPy's calls, and those that make factors from words."""

    def bind(self, call: Call, inputs: list[np.ndarray], out: np.ndarray) -> list[Callable[[], object]]:
        if call == Call("dropout_bits"):
            return [lambda: np.copyto(out, host.dropout_bits(*inputs, out.shape[-1]))]
        if call.name == "dropout":
            return [lambda: np.copyto(out, host.dropout_factors(*inputs, call.parameters, out.dtype, host.xp))]
        return super().bind(call, inputs, out)


class Words(NumPyBackend):
    """NumPy that draws in the step."""

    draws_in_step = True

    def dropout_draws(self, keys, layer, steps, shape, thresholds, scales, dtype):
        return host.dropout_words(keys, layer, steps, thresholds, scales)

    def dropout_factors(self, draw, shape, dtype):
        return made_on_the_host(draw, shape, dtype) if draw.dtype == np.uint64 else draw

    def fold(self, step, steps=None):
        return Replayed(step, WordCalls(), Workers())


class UnplannedWords(Words):
    """The same, each step as it stands."""

    fold = Reference.fold


class UnknownWords(Words):
    """The same, where the replay does not know the calls."""

    fold = NumPyBackend.fold


class Unplanned(NumPyBackend):
    """NumPy, each step as it stands."""

    fold = Reference.fold


RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(40, 5)), RNG.integers(0, 3, size=40)


def learned(backend: Reference, dtype: str, members: int | None) -> tuple[np.ndarray, dict[str, list[float]]]:
    rate = 0.4 if members is None else [0.4, 0.0, 0.9][:members]
    layers = [mlpx.Dense(5, 9, "tanh"), mlpx.Dropout(rate), mlpx.Dense(9, 7, "relu"), mlpx.Dropout(0.1, scale=0.7)]
    options = {"dtype": dtype, "members": members, "seed": 6}
    net = mlpx.Network([*layers, mlpx.Dense(7, 3, "softmax")], backend=backend, **options)
    for epochs in (3, 2):  # counters go on
        history = net.fit(X, Y, epochs=epochs, batch_size=7, validation=0.2, patience=2, progress=False)
    return net.vector, history.to_dict()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("members", [None, 1, 3])
@pytest.mark.parametrize(
    ("backend", "like"), [(Words, NumPyBackend), (UnplannedWords, Unplanned), (UnknownWords, Unplanned)]
)
def test_training_through_words_gives_the_same_weights(backend, like, dtype, members):
    (vector, rows), (expected, expected_rows) = (learned(cls(), dtype, members) for cls in (backend, like))
    assert_array_equal(vector, expected)
    assert rows.keys() == expected_rows.keys()
    for name, column in rows.items():
        assert_array_equal(column, expected_rows[name])


def test_a_trace_holds_the_factors():
    masks = []
    for backend in (Words(), NumPyBackend()):
        net = mlpx.MLP([5, 8, 3], dropout=0.3, backend=backend, members=2)
        masks.append(net.forward(X, training=True).layers[1].mask)
    assert_array_equal(*masks)


# What is recorded.


@dataclass(frozen=True)
class Dropping:
    """A step that multiplies its state by the factors of its batch."""

    backend: Reference

    def __call__(self, state: np.ndarray, batch: np.ndarray) -> np.ndarray:
        return self.backend.dropout_factors(batch, state.shape[-2:], state.dtype) * state


@pytest.mark.parametrize("stack", [(), (3,)])
def test_factors_from_words_are_recorded_as_two_calls(stack):
    words, state = Kind((*stack, 6), np.dtype(np.uint64)), Kind((*stack, 5, 7), np.dtype(np.float32))
    recording = record(Dropping(NumPyBackend()), ((), state, words))
    assert recording is not None
    draw, factor, product = recording.operations
    given = recording.inputs[2][0]
    assert (draw.call, draw.inputs) == (Call("dropout_bits"), (given,))
    assert (factor.call, factor.inputs) == (Call("dropout", (5, 7)), (draw.output, given))
    assert product.inputs[0] is factor.output
    for made, shape, dtype in ((draw, (*stack, 3), np.uint16), (factor, (*stack, 5, 7), np.float32)):
        assert (made.output.value.shape, made.output.value.dtype) == (shape, dtype)
        assert not made.rowwise
        assert not made.elementwise


def test_factors_themselves_need_no_call():
    kind = Kind((5, 7), np.dtype(np.float32))
    recording = record(Dropping(NumPyBackend()), ((), kind, kind))
    assert recording is not None
    assert [operation.call.name for operation in recording.operations] == ["multiply"]


@pytest.mark.parametrize("call", [Call("dropout_bits"), Call("dropout", (5, 7))])
def test_libraries_that_draw_on_the_host_refuse_the_calls(call):
    words, bits = np.zeros(6, np.uint64), np.zeros(3, np.uint16)
    with pytest.raises(NotRecordable, match=call.name):
        NumPyCalls().bind(call, [words] if call.name == "dropout_bits" else [bits, words], np.zeros((5, 7)))
    torch = pytest.importorskip("torch", reason="PyTorch's calls are looked at too")
    from mlpx.backends.torch_calls import TorchCalls

    with pytest.raises(NotRecordable, match=call.name):
        TorchCalls("cpu").bind(call, [torch.from_numpy(words)], torch.zeros(5, 7))
