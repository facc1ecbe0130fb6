"""Training steps and products on a CUDA device, beside other libraries in the same run.

``python -m mlpx.bench.gpu`` measures and writes one JSON file under ``benchmarks/results/gpu/``. It works offline,
needs nothing but what is installed, and ends within its time, nine minutes by default. Three figures are kept apart:

- latency: one step, and the wait for it;
- throughput: many steps in a row with one wait at the end, divided by their number;
- enqueue: how long the host is busy with issuing a step.

Libraries that are missing, and ways that fail, are named with the reason, and the others go on.
"""
