"""CUDA: how a recorded training step becomes one graph of kernels and matrix products."""
