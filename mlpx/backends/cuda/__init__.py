"""CUDA's side of the seam."""
