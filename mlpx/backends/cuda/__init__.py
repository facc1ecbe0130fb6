"""CUDA: recorded steps as fused kernels and matrix products, captured in one graph."""
