"""Files: what is written comes back, a file is replaced whole or not at all, and no error leaves anything behind."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mlpx
from mlpx.files import Format

FORMAT = Format("mlpx.test", 3, "test file")
TENSORS = {
    "scalar": np.float64(2.5),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "turned": np.arange(6, dtype=np.int64).reshape(2, 3).T,
    "flags": np.array([True, False]),
    "words": np.arange(3, dtype=np.uint64) + 2**63,
}
WANTED = {name: (array.dtype.name, array.shape) for name, array in TENSORS.items()}
DESCRIPTION = {"text": "ü\n\0", "numbers": [1, -2.5e-300, 2**70], "none": None}


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    FORMAT.write(tmp_path / "a.file", DESCRIPTION, TENSORS)
    with FORMAT.open(tmp_path / "a.file") as contents:
        assert contents.description == DESCRIPTION
        assert contents.types == WANTED
        tensors = contents.read(WANTED)
    for name, array in TENSORS.items():
        assert tensors[name].dtype == array.dtype
        assert_array_equal(tensors[name], array, strict=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.file"]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        WANTED | {"more": ("float32", ())},
        WANTED | {"scalar": ("float32", ())},
        WANTED | {"scalar": ("float64", (1,))},
    ],
)
def test_other_tensors_than_wanted_are_refused(wanted: dict, tmp_path: Path) -> None:
    FORMAT.write(tmp_path / "a.file", DESCRIPTION, TENSORS)
    with (
        pytest.raises(mlpx.ModelFileError, match=r"a\.file is no readable test file: its? "),
        FORMAT.open(tmp_path / "a.file") as contents,
    ):
        contents.read(wanted)


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (Format("mlpx.other", 3, "other file"), "no other file"),
        (Format("mlpx.test", 4, "test file"), "version is '3', and this mlpx reads version 4"),
        (Format("mlpx.test", 3, "test file", key="model"), "metadata"),
    ],
)
def test_files_of_another_kind_are_refused(other: Format, match: str, tmp_path: Path) -> None:
    FORMAT.write(tmp_path / "a.file", DESCRIPTION, TENSORS)
    with pytest.raises(mlpx.ModelFileError, match=match), other.open(tmp_path / "a.file"):
        pytest.fail("it was opened")


@pytest.mark.parametrize(
    "value",
    [float("nan"), {1, 2}, np.float32(1), "x" * 2**26, [[]] * 3_000_000],
    ids=lambda value: type(value).__name__,
)
def test_what_could_not_be_read_again_is_not_written(value, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`description` must hold what JSON can"):
        FORMAT.write(tmp_path / "a.file", {"value": value}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_description_is_bounded_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FORMAT.write(tmp_path / "a.file", {"value": [0] * 100}, {})
    monkeypatch.setattr("mlpx.files._MOST_PARTS", 50)
    with pytest.raises(mlpx.ModelFileError, match="50 parts"), FORMAT.open(tmp_path / "a.file"):
        pytest.fail("it was opened")


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full stands for the disk; what the others raise is what a system raises there."""
    path = tmp_path / "a.file"
    FORMAT.write(path, {"old": True}, {})
    before = path.read_bytes()

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing == "write":
        opened = Path.open
        monkeypatch.setattr(
            Path, "open", lambda self, mode="r": (opened(self, mode).close(), opened(Path("/dev/full"), "wb"))[1]
        )
    elif failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match=r"what was there is as it was.*No space left.*a\.file") as caught:
        FORMAT.write(path, {"old": False}, TENSORS)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(PermissionError, match=r"a\.file"):
            FORMAT.write(tmp_path / "a.file", {}, {})
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        FORMAT.write(tmp_path / "a.file", {}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(mlpx.ModelFileError, match="not a file"):
        mlpx.load(tmp_path / "pipe")
