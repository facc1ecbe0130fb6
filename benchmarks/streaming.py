"""Data larger than memory: what training on a source keeps in memory, and how fast it is beside data in memory.

    python benchmarks/streaming.py
    python benchmarks/streaming.py --only memory --gigabytes 1 --buffer 64
    python benchmarks/streaming.py --out benchmarks/results/streaming.json

Memory: a file of float32 numbers, as a plain array and as Parquet, is trained on for an epoch in a process of its own.
A thread there reads every 10 ms how much anonymous memory the process has (`RssAnon` of `/proc/self/status`, so this
part needs Linux); pages of a mapped file are not among it, since the system can drop them at any time. The peak, less
what there was after the import, is put beside the buffer and the model: its parameters, their gradient and the two
moments of Adam. The bound is 1.5 times their sum.

Throughput: data that fit into memory are trained on as arrays and as sources. The contenders take turns; of each the
median is taken over all epochs but the first of each fit, with the time of a whole fit beside it.

The files lie in a temporary folder, which is removed; `--folder` says where.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

WIDTH, BATCH = 256, 1024
SIZES = [WIDTH, 64, 10]
ROW_GROUP = 16384
BOUND = 1.5
NETWORKS = {
    "784-256-128-10, batches of 256": ([784, 256, 128, 10], 256, 60_000),
    "20-64-32-2, batches of 64": ([20, 64, 32, 2], 64, 500_000),
}


def status(field):
    """Return a size from this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


# Files.


def parts(rows, width, size=ROW_GROUP):
    """Yield random features and classes, some rows at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, size):
        x = rng.standard_normal((min(size, rows - start), width), dtype=np.float32)
        yield start, x, np.abs(x[:, 0] * 3).astype(np.int64) % 2


def write_mapped(folder, rows, width):
    """Write features and classes as plain arrays."""
    X = np.memmap(folder / "x", dtype=np.float32, mode="w+", shape=(rows, width))
    y = np.memmap(folder / "y", dtype=np.int64, mode="w+", shape=(rows,))
    for start, x, classes in parts(rows, width):
        X[start : start + len(x)], y[start : start + len(x)] = x, classes


def write_parquet(folder, rows, width):
    """Write them as a table with a column a feature."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [*(f"x{i}" for i in range(width)), "y"]
    schema = pa.schema([(name, pa.float32()) for name in names[:-1]] + [("y", pa.int64())])
    with pq.ParquetWriter(folder / "table.parquet", schema, compression="none", use_dictionary=False) as writer:
        for _, x, y in parts(rows, width):
            writer.write_table(pa.table([*np.ascontiguousarray(x.T), y], schema=schema))


WRITERS = {"mapped": write_mapped, "parquet": write_parquet}


def mapped(folder, width):
    """Return features and classes as mapped files."""
    y = np.memmap(folder / "y", dtype=np.int64, mode="r")
    return np.memmap(folder / "x", dtype=np.float32, mode="r", shape=(len(y), width)), y


def source(kind, folder, width, buffer):
    """Return the source of a kind."""
    import mlpx

    if kind == "parquet":
        return mlpx.sources.Parquet(folder / "table.parquet", "y", buffer=buffer)
    X, y = mapped(folder, width)
    if kind == "mapped":
        return mlpx.sources.Mapped(X, y, buffer=buffer)
    return mlpx.sources.Batches(
        lambda: ((X[i : i + 5000], y[i : i + 5000]) for i in range(0, len(y), 5000)), len(y), buffer=buffer
    )


# Memory.


def measure_memory(kind, folder, buffer):
    """Train for an epoch and return the peak of anonymous memory; in a process of its own."""
    import mlpx

    if kind == "parquet":
        import pyarrow.dataset
        import pyarrow.parquet  # noqa: F401
    before, seen, over = status("RssAnon"), [], threading.Event()

    def watch():
        while not over.wait(0.01):
            seen.append(status("RssAnon"))

    thread = threading.Thread(target=watch)
    thread.start()
    net = mlpx.MLP(SIZES)
    history = net.fit(source(kind, folder, WIDTH, buffer), epochs=1, batch_size=BATCH)
    over.set()
    thread.join()
    model = 4 * net.vector.nbytes
    return {
        "source": kind,
        "buffer": buffer,
        "model": model,
        "after_import": before,
        "peak_above": max(seen) - before,
        "allowed": BOUND * (buffer + model),
        "seconds": history.seconds,
        "loss": history["loss"][-1],
    }


def memory(place, gigabytes, buffer):
    """Measure each source on a file that is written first and removed afterwards."""
    rows, found = int(gigabytes * 2**30) // (4 * WIDTH), []
    for kind in ("mapped", "parquet", "iterable"):
        with tempfile.TemporaryDirectory(dir=place) as name:
            folder = Path(name)
            WRITERS.get(kind, write_mapped)(folder, rows, WIDTH)
            size = sum(path.stat().st_size for path in folder.iterdir())
            command = [sys.executable, __file__, "--child", kind, "--folder", name, "--buffer", str(buffer // 2**20)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append({**json.loads(done.stdout), "file": size})
        row = found[-1]
        print(
            f"{kind:<10} file {size / 1e9:5.2f} GB   buffer {buffer / 2**20:4.0f} MB   "
            f"model {row['model'] / 2**20:4.1f} MB   peak above import {row['peak_above'] / 2**20:6.1f} MB   "
            f"allowed {row['allowed'] / 2**20:6.1f} MB   {row['seconds']:5.1f} s   "
            f"{'within' if row['peak_above'] < row['allowed'] else 'ABOVE'}",
            flush=True,
        )
    return found


# Throughput.


def timed_fit(sizes, batch_size, data, epochs):
    """Return the seconds of the epochs of a fit, and of the whole."""
    import mlpx

    ends = []
    net = mlpx.MLP(sizes)
    start = time.perf_counter()
    net.fit(*data, epochs=epochs, batch_size=batch_size, callbacks=lambda run: ends.append(time.perf_counter()))
    return np.diff(ends).tolist(), time.perf_counter() - start


def contenders(folder, width, rows, buffer):
    """Return what is trained on, by name."""
    write_mapped(folder, rows, width)
    write_parquet(folder, rows, width)
    in_memory = tuple(np.array(part) for part in mapped(folder, width))
    kinds = ("mapped", "parquet", "iterable")
    return {"in memory": in_memory, **{kind: (source(kind, folder, width, buffer),) for kind in kinds}}


def throughput(place, rounds, epochs, buffer):
    """Time all contenders, in turns."""
    found = []
    for name, (sizes, batch_size, rows) in NETWORKS.items():
        with tempfile.TemporaryDirectory(dir=place) as folder:
            data = contenders(Path(folder), sizes[0], rows, buffer)
            seconds = {kind: ([], []) for kind in data}
            for _ in range(rounds):
                for kind, own in data.items():
                    epoch, whole = timed_fit(sizes, batch_size, own, epochs)
                    seconds[kind][0].extend(epoch)
                    seconds[kind][1].append(whole)
        print(f"\n{name}: {rows} rows, {4 * sizes[0] * rows / 2**20:.0f} MB")
        base, base_fit = (statistics.median(own) for own in seconds["in memory"])
        for kind, own in seconds.items():
            epoch, whole = map(statistics.median, own)
            found.append({"network": name, "data": kind, "epoch": epoch, "fit": whole, "epochs": epochs})
            print(
                f"  {kind:<10} {rows / epoch:>10,.0f} rows/s   {epoch / base - 1:+6.1%} an epoch   "
                f"{whole / base_fit - 1:+6.1%} a fit of {epochs} epochs",
                flush=True,
            )
    return found


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=["memory", "throughput"])
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the file, in units of 2**30 bytes")
    parser.add_argument("--buffer", type=int, default=256, help="in units of 2**20 bytes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="where files are written; by default the system's temporary folder")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    parser.add_argument("--child", choices=["mapped", "parquet", "iterable"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    buffer = asked.buffer * 2**20
    if asked.child:
        print(json.dumps(measure_memory(asked.child, asked.folder, buffer)))
        return
    found = {"cores": os.cpu_count()}
    if asked.only != "throughput":
        found["memory"] = memory(asked.folder, asked.gigabytes, buffer)
    if asked.only != "memory":
        found["throughput"] = throughput(asked.folder, asked.rounds, asked.epochs, buffer)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if any(row["peak_above"] >= row["allowed"] for row in found.get("memory", ())):
        sys.exit("memory: above the bound")


if __name__ == "__main__":
    main()
