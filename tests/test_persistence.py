"""Model files: what is saved comes back under any backend, and what is broken gets one clear error, at once."""

import copy
import json
import pickle
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mlpx
from mlpx.backends import Backend

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(20, 3)), np.arange(20) % 2
NAMES = [info.name for info in mlpx.available_backends() if info.available]


def make(backend: Backend | str = "numpy", **options) -> mlpx.MLP:
    return mlpx.MLP([3, 4, 2], backend=backend, **{"dropout": 0.3, "l2": 0.01, "seed": 2} | options)


def assert_same(a: mlpx.Network, b: mlpx.Network) -> None:
    """Compare two networks in all that a file holds."""
    assert type(a) is type(b)
    assert (a.layers, a.loss, a.l2, a.members, a.keys) == (b.layers, b.loss, b.l2, b.members, b.keys)
    assert (a.epochs_seen, a.steps_seen, a.classes) == (b.epochs_seen, b.steps_seen, b.classes)
    assert a.preprocessing == b.preprocessing
    x, y = mlpx.to_numpy(a.vector), mlpx.to_numpy(b.vector)
    assert x.dtype == y.dtype
    assert_array_equal(x, y)


@pytest.mark.parametrize("other", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("members", [None, 3])
def test_a_file_loads_under_any_backend(backend: Backend, other: str, dtype: str, members, tmp_path: Path) -> None:
    net = make(backend, dtype=dtype, members=members)
    net.fit(X, np.array(["no", "yes"])[Y], epochs=1)
    net.save(tmp_path / "model.mlpx")
    back = mlpx.load(tmp_path / "model.mlpx", backend=other)
    assert back.backend.name == other
    assert_same(back, net)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_is_pickled_and_copied(backend: Backend, dtype: str) -> None:
    net = make(backend, dtype=dtype)
    net.fit(X, Y, epochs=1)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert_same(other, net)
        assert_array_equal(other.predict(X), net.predict(X))
        other.fit(X, Y, epochs=1)
        assert other.epochs_seen == [2] != net.epochs_seen


def test_loading_takes_the_backend_that_is_chosen(tmp_path: Path) -> None:
    make().save(str(tmp_path / "model.mlpx"))
    with mlpx.use_backend("array_api_strict"):
        assert mlpx.load(str(tmp_path / "model.mlpx")).backend.name == "array_api_strict"


@pytest.mark.parametrize("members", [None, 2])
def test_training_goes_on_as_without_saving(backend: Backend, members, tmp_path: Path) -> None:
    net = make(backend, members=members)
    net.fit(X, Y, epochs=2, batch_size=6)
    net.save(tmp_path / "model.mlpx")
    back = mlpx.load(tmp_path / "model.mlpx", backend=backend)
    for one in (net, back):
        one.fit(X, Y, epochs=2, batch_size=6, validation=0.2)
    assert_same(back, net)


@pytest.mark.parametrize(
    "labels", [("no", "yes"), ("ä\n", "日本\u0000"), (3, 7), (2**70, 2**71), (-0.1, 1e300), (False, True)]
)
def test_labels_keep_their_type(labels: tuple, tmp_path: Path) -> None:
    net = make()
    net.fit(X, np.array(labels, dtype=object)[Y], epochs=1)
    net.save(tmp_path / "model.mlpx")
    back = mlpx.load(tmp_path / "model.mlpx")
    assert back.classes == labels
    assert [type(label) for label in back.classes] == [type(label) for label in labels]
    assert_array_equal(back.predict_labels(X), net.predict_labels(X))


LAYERS = [
    mlpx.Dense(3, 5, mlpx.activations.leaky_relu(gamma=0.2), initializer=mlpx.initializers.normal(0.3)),
    mlpx.Dropout(0.25, scale=1.5),
    mlpx.Dense(5, 5, mlpx.activations.swish(beta=1.7), bias=False),
    mlpx.Dense(5, 4, mlpx.activations.elu(0.3), bias="frozen", bias_initializer=mlpx.initializers.constant(0.5)),
]


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("softmax", None),
        ("exp", None),
        ("step", None),
        ("linear", mlpx.losses.huber(0.3)),
        (mlpx.activations.swish(2.0), mlpx.losses.quantile(0.9)),
    ],
)
def test_parameters_of_every_part_come_back(output, loss, tmp_path: Path) -> None:
    net = mlpx.Network([*LAYERS, mlpx.Dense(4, 3, output)], loss=loss, l2=(0.1, 0.2), members=2, seed=[3, 2**64 - 1])
    net.preprocessing = {"columns": ["a", "ü"], "mean": [0.1, -2.5e-300], "nested": {"null": None, "n": 2**60}}
    net.save(tmp_path / "model.mlpx")
    assert_same(mlpx.load(tmp_path / "model.mlpx"), net)


def test_numbers_by_member_come_back(tmp_path: Path) -> None:
    net = make(members=3, dropout=(0.1, 0.0, 0.5), l2=(0.0, 0.1, 0.2))
    net.save(tmp_path / "model.mlpx")
    back = mlpx.load(tmp_path / "model.mlpx")
    assert_same(back, net)
    assert_same(back.member(2), net.member(2))


def test_a_custom_activation_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "model.mlpx"
    make().save(path)
    before = path.read_bytes()
    sine = mlpx.activations.custom(lambda z, xp: xp.sin(z), lambda z, xp: xp.cos(z))
    for options in ({"activation": sine}, {"output": sine}):
        with pytest.raises(ValueError, match="custom"):
            make(**options).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, np.float32(1)])
def test_what_json_cannot_hold_is_refused_when_saving(value, tmp_path: Path) -> None:
    """Else the file could be written but never read."""
    net = make()
    net.preprocessing = {"mean": value}
    with pytest.raises(ValueError, match="`preprocessing`"):
        net.save(tmp_path / "model.mlpx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_safetensors_with_json_and_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model.mlpx"
    make().save(path)
    content = path.read_bytes()
    header, tensors = parts(content)
    assert header["__metadata__"]["kind"] == "mlpx"
    assert header["__metadata__"]["format_version"] == "1"
    assert isinstance(json.loads(header["__metadata__"]["model"]), dict)
    assert b"pickle" not in content
    assert b"\x80\x04" not in content[: len(content) - len(tensors)]
    names = set(header) - {"__metadata__"}
    assert names == {"layers.0.theta", "layers.2.theta"}  # named tensors, not the raw vector


# Broken and hostile files.


def parts(content: bytes) -> tuple[dict, bytes]:
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header: object, tensors: bytes, size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + tensors


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a small file."""
    path = tmp_path_factory.mktemp("small") / "model.mlpx"
    net = mlpx.MLP([1, 2], members=2, seed=[1, 2])
    net.fit(X[:, :1], np.array(["no", "yes"])[Y], epochs=1)
    net.preprocessing = {"mean": [0.0]}
    net.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def content(whole: bytes) -> bytes:
    """Return the same without the checksum, as files were once written; else it would tell of every change."""
    header, tensors = parts(whole)
    del header["__metadata__"]["sha256"]
    return joined(header, tensors)


def check(path: Path, content: bytes, *, may_load: bool = False) -> None:
    """Assert that reading raises nothing but the one error, and is quick and small."""
    path.write_bytes(content)
    tracemalloc.start()
    started = time.perf_counter()
    try:
        mlpx.load(path)
        message = None
    except mlpx.ModelFileError as error:
        message = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert may_load if message is None else str(path) in message
    assert peak < 2**22 + 20 * len(content)
    assert time.perf_counter() - started < 2


def test_every_truncation_is_noticed(content: bytes, tmp_path: Path) -> None:
    for length in range(len(content)):
        check(tmp_path / "cut.mlpx", content[:length])
    check(tmp_path / "long.mlpx", content + b"\0")


def test_flipped_bits_raise_nothing_else(content: bytes, tmp_path: Path) -> None:
    """What loads all the same is what the spoiled file says: other parameters, or another number or label."""
    rng, path = np.random.default_rng(6), tmp_path / "flipped.mlpx"
    first = len(content) - len(parts(content)[1])
    loaded = {True: 0, False: 0}
    for _ in range(3000):
        spoiled = np.frombuffer(content, dtype=np.uint8).copy()
        places = rng.integers(0, len(spoiled), size=rng.integers(1, 4))
        spoiled[places] ^= (1 << rng.integers(0, 8, size=len(places))).astype(np.uint8)
        in_header = bool(np.any(places < first))
        check(path, spoiled.tobytes(), may_load=True)
        try:
            net = mlpx.load(path)
        except mlpx.ModelFileError:
            finite = np.all(np.isfinite(np.frombuffer(spoiled[first:].tobytes(), dtype="<f4")))
            assert in_header or not finite, "good parameters were refused"
            continue
        net.save(tmp_path / "again.mlpx")
        said, again = parts(spoiled.tobytes()), parts((tmp_path / "again.mlpx").read_bytes())
        assert again[1] == said[1]
        models = [json.loads(header["__metadata__"]["model"]) for header in (said[0], again[0])]
        assert models[0] == models[1]
        loaded[in_header] += 1
    assert min(loaded.values()) > 10, "the case shows nothing"


def test_the_checksum_tells_of_every_flipped_bit(whole: bytes, tmp_path: Path) -> None:
    for place in range(len(whole)):
        spoiled = bytearray(whole)
        spoiled[place] ^= 1 << (place % 8)
        check(tmp_path / "flipped.mlpx", bytes(spoiled))


HUGE = 2**40
HEADERS = {
    "declared size too large": lambda h, t: joined(h, t, size=HUGE),
    "declared size of all bits": lambda h, t: joined(h, t, size=2**64 - 1),
    "declared size zero": lambda h, t: joined(h, t, size=0),
    "no JSON": lambda _, t: joined(b"not JSON", t),
    "a list": lambda _, t: joined([], t),
    "empty": lambda _, __: b"",
    "deep nesting": lambda _, t: joined(b'{"a":' * 20000 + b"1" + b"}" * 20000, t),
    "another tensor": lambda h, t: joined({k.replace("theta", "weights"): v for k, v in h.items()}, t),
    "a tensor too many": lambda h, t: joined(
        h | {"x": {"dtype": "F32", "shape": [0], "data_offsets": [len(t)] * 2}}, t
    ),
    "another type": lambda h, t: joined(h | {"layers.0.theta": h["layers.0.theta"] | {"dtype": "I32"}}, t),
    "another shape": lambda h, t: joined(h | {"layers.0.theta": h["layers.0.theta"] | {"shape": [len(t) // 4]}}, t),
    "a huge shape": lambda h, t: joined(h | {"layers.0.theta": h["layers.0.theta"] | {"shape": [HUGE, HUGE]}}, t),
    "offsets outside": lambda h, t: joined(
        h | {"layers.0.theta": h["layers.0.theta"] | {"data_offsets": [0, HUGE]}}, t
    ),
    "parameters that are not finite": lambda h, t: joined(h, np.full(len(t) // 4, np.nan, dtype="<f4").tobytes()),
    "no metadata": lambda h, t: joined({k: v for k, v in h.items() if k != "__metadata__"}, t),
    "of another kind": lambda h, t: joined(h | {"__metadata__": {"format": "pt"}}, t),
    "a later version": lambda h, t: joined(h | {"__metadata__": h["__metadata__"] | {"format_version": "2"}}, t),
    "metadata of another name": lambda h, t: joined(h | {"__metadata__": h["__metadata__"] | {"sha25v": "0"}}, t),
    "another checksum": lambda h, t: joined(h | {"__metadata__": h["__metadata__"] | {"sha256": "0" * 64}}, t),
    "metadata of another type": lambda h, t: joined(h | {"__metadata__": {"kind": 1}}, t),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_hostile_header_is_refused(content: bytes, case: str, tmp_path: Path) -> None:
    check(tmp_path / "hostile.mlpx", HEADERS[case](*parts(content)))


def with_model(content: bytes, text: str) -> bytes:
    header, tensors = parts(content)
    return joined(header | {"__metadata__": header["__metadata__"] | {"model": text}}, tensors)


DEEP = '{"family": "activation", "name": ' * 3000 + "1" + "}" * 3000
JUNK = [
    "null",
    "true",
    "1",
    "-1",
    "1.5",
    '"x"',
    "[]",
    "{}",
    "[[]]",
    '[{"name": []}]',
    str(HUGE),
    "9" * 5000,
    "1e999",
    DEEP,
]


COUNTS = ("1", str(HUGE))
NUMBERS = (*COUNTS, "1.5")
FITTING = {
    "layers.0.fan_in": ("1",),
    "layers.0.bias": ("true",),
    "layers.0.mask": ("null",),
    "layers.0.max_norm": ("null", *NUMBERS),
    "l2": NUMBERS,
    "classes": ("null",),
    "preprocessing": ("null", "{}"),
    "keys.0.0": COUNTS,
    "epochs_seen.0": COUNTS,
    "steps_seen.0": COUNTS,
    "classes.0": (*NUMBERS, "true", "-1", '"x"'),
}
"""Replacements that are as good as what stood there, by place; nothing else may load."""


def test_a_wrong_value_at_any_key_is_refused(content: bytes, tmp_path: Path) -> None:
    model = json.loads(parts(content)[0]["__metadata__"]["model"])
    places = {key: (model, key) for key in model}
    places |= {f"layers.{i}.{key}": (layer, key) for i, layer in enumerate(model["layers"]) for key in layer}
    places |= {f"{key}.0": (model[key], 0) for key in ("keys", "epochs_seen", "steps_seen", "classes")}
    places |= {"loss.name": (model["loss"], "name"), "keys.0.0": (model["keys"][0], 0)}
    places |= {"layers.0.activation.name": (model["layers"][0]["activation"], "name")}
    assert set(FITTING) <= set(places)
    wrong = []
    for place, (owner, key) in places.items():
        kept = owner[key]
        owner[key] = "@@"
        text = json.dumps(model)
        owner[key] = kept
        for junk in (*JUNK, "NaN", "-Infinity"):
            check(tmp_path / "junk.mlpx", with_model(content, text.replace('"@@"', junk)), may_load=True)
            try:
                mlpx.load(tmp_path / "junk.mlpx")
                loads = True
            except mlpx.ModelFileError:
                loads = False
            if loads != (junk in FITTING.get(place, ())):
                wrong.append((place, junk[:40], "loads" if loads else "is refused"))
    assert wrong == []


def test_no_key_of_a_description_may_be_missing(content: bytes, tmp_path: Path) -> None:
    model = json.loads(parts(content)[0]["__metadata__"]["model"])
    for key in model:
        short = {k: v for k, v in model.items() if k != key}
        check(tmp_path / "short.mlpx", with_model(content, json.dumps(short)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("members", 3),
        ("members", None),
        ("members", HUGE),
        ("layers", [{"name": "Dense", "fan_in": HUGE, "fan_out": HUGE}]),
        ("layers", []),
        ("layers", [{"name": "Dense", "fan_in": 1, "fan_out": 1}, {"name": "Dense", "fan_in": 2, "fan_out": 2}]),
        ("layers", [{"name": "Dropout", "rate": 0.5}]),
        ("keys", [[1, 0]]),
        ("keys", [[2**64, 0], [1, 0]]),
        ("keys", [[1, 2**32], [1, 0]]),
        ("epochs_seen", [2**64, 0]),
        ("steps_seen", [0, 2**64]),
        ("classes", ["a", "b", "c"]),
        ("classes", ["a", "a"]),
        ("classes", [["a"], ["b"]]),
        ("preprocessing", "text"),
        ("preprocessing", []),
        ("dtype", "float64"),
        ("dtype", "int8"),
        ("l2", [0.1]),
        ("l2", -1),
    ],
)
def test_a_description_that_does_not_fit_is_refused(content: bytes, key: str, value: object, tmp_path: Path) -> None:
    model = json.loads(parts(content)[0]["__metadata__"]["model"])
    assert model[key] != value
    check(tmp_path / "unfit.mlpx", with_model(content, json.dumps(model | {key: value})))


def test_other_files_and_no_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.mlpx"):
        mlpx.load(tmp_path / "nothing.mlpx")
    with pytest.raises(mlpx.ModelFileError, match="folder"):
        mlpx.load(tmp_path)
    for other in (b"%PDF-1.7", b"PK\x03\x04" * 30, b"\x93NUMPY" + bytes(100), b"a,b\n1,2\n"):
        check(tmp_path / "other", other)
    plain = joined({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
    (tmp_path / "plain.safetensors").write_bytes(plain)
    with pytest.raises(mlpx.ModelFileError, match="it is a safetensors file, but no mlpx model"):
        mlpx.load(tmp_path / "plain.safetensors")
