"""The activations that are functions of one number with a derivative, and need no arguments."""

from mlpx.activations import Activation

NAMES = sorted({*Activation.known} - {"step", "softmax", "automatic", "custom", "formula"})
