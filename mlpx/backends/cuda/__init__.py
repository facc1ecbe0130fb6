"""CUDA: what the backend for NVIDIA's devices runs there."""
