"""Train 784-256-128-10 on MNIST for 15 epochs: `python benchmarks/mnist.py mnist.npz [backend]`.

The file holds `x_train`, `y_train`, `x_test`, `y_test`, as it is commonly shared; it is not part of the project. The
test images are used once, at the end.
"""

import sys

import numpy as np

import mlpx


def main(path: str, backend: str | None = None) -> None:
    """Train and print the accuracy on the test images."""
    with np.load(path) as file:
        train, test = ((file[f"x_{part}"].reshape(-1, 784) / 255, file[f"y_{part}"]) for part in ("train", "test"))
    net = mlpx.MLP([784, 256, 128, 10], backend=backend)
    history = net.fit(*train, epochs=15, optimizer=mlpx.Adam(mlpx.schedules.WarmupCosine(1e-3)), metrics="accuracy")
    print(history)
    print(f"{history.seconds:.1f} s, test accuracy {net.evaluate(*test)['accuracy']:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
