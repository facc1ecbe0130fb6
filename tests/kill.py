"""Kill a training run at random moments, resume it each time, and compare its end with that of one left alone.

    python tests/kill.py --kills 20 --backend numpy

Each run is a process of its own that is ended by SIGKILL, a random time after its training began, also while it writes
a checkpoint: it writes one after every third step.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import mlpx

MOST_SECONDS = 0.6


def train(folder: Path, backend: str) -> tuple[np.ndarray, dict[str, list[object]]]:
    """Train a stack with much to remember: dropout, moments, a plateau, averaged weights, members that stop."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 12)).astype("float32")
    y = (np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] > rng.normal(size=700)).astype(int)
    net = mlpx.MLP([12, 24, 2], dropout=0.2, members=3, seed=5, l2=(0.0, 1e-3, 1e-2), backend=backend)
    print("training", flush=True)
    history = net.fit(
        X,
        y,
        epochs=30,
        batch_size=32,
        validation=0.25,
        patience=6,
        metrics="accuracy",
        class_weight="balanced",
        clip_norm=1.0,
        optimizer=mlpx.Adam(mlpx.schedules.OnPlateau((0.01, 0.03, 0.002), factor=0.5, patience=2)),
        callbacks=[mlpx.Checkpoint(folder, steps=3, resume=True), mlpx.callbacks.WeightAverage(0.95)],
        progress=False,
    )
    return mlpx.to_numpy(net.vector), history.to_dict()


def in_process(folder: Path, backend: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__)), "--train", str(folder), "--backend", backend]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(folder: Path, backend: str) -> Path:
    """Run until the end, and return the file with what came out."""
    with in_process(folder, backend) as process:
        process.communicate(timeout=600)
    assert process.returncode == 0, process.returncode
    return folder / "result.npz"


def kill(folder: Path, backend: str, seconds: float) -> bool:
    """Kill a run some time after its training began; say whether it was still there."""
    with in_process(folder, backend) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
    return alive


def same(a: Path, b: Path) -> bool:
    """Say whether two results are the same, bit for bit."""
    with np.load(a) as first, np.load(b) as second:
        return set(first) == set(second) and all(first[n].tobytes() == second[n].tobytes() for n in first)


def killed_runs_end_alike(backend: str, kills: int, seed: int, seconds: float = MOST_SECONDS) -> int:
    """Kill and resume runs so many times, a new one where one came to its end; return how many came there."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as home:
        alone = finish(Path(home), backend)
        done, ended = 0, 0
        while done < kills:
            folder = Path(home) / f"run{ended}"
            folder.mkdir(exist_ok=True)
            while done < kills and kill(folder, backend, draw.uniform(0, seconds)):
                done += 1
            assert same(finish(folder, backend), alone), f"run {ended} ended otherwise"
            ended += 1
    return ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train is not None:
        vector, history = train(options.train, options.backend)
        columns = {name: np.asarray(values, dtype=np.float64) for name, values in history.items()}
        np.savez(options.train / "result.npz", vector=vector, **columns)
        return
    runs = killed_runs_end_alike(options.backend, options.kills, options.seed)
    print(f"{options.backend}: killed {options.kills} times in {runs} runs; all ended as the one that was left alone")


if __name__ == "__main__":
    main()
