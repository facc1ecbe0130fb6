"""
What each road to a derivative costs
====================================

A derivative can be written by hand, or come from reverse mode, forward mode, symbolic
algebra or differences. All give the same numbers (differences: nearly). They differ in what
they cost, and that depends on what is asked for: one slope at many points, or the gradient
of one loss by many parameters.
"""

# %%
# The gradient of a network
# -------------------------
#
# For the loss of a network with :math:`P` parameters on 32 samples, all roads start from
# the same formula, but the one by hand, which is the back-propagation of the package:
#
# - by hand and in reverse mode: one pass forward, one pass back;
# - in forward mode: one pass for each parameter;
# - by central differences: two evaluations of the loss for each parameter.
#
# The roads take turns in one run, so that what the machine does besides falls on all of
# them alike. The table shows medians.

import matplotlib.pyplot as plt
import numpy as np

from mlpx.bench import derivatives, measure
from mlpx.bench.quantities import ratio, seconds

networks = [(3, 3, 2), (6, 6, 3), (10, 10, 4), (20, 16, 5)]
found = [measure(derivatives.network_case(sizes), seconds=3) for sizes in networks]
roads = list(derivatives.NETWORK_ROADS)

print(f"{'network':>8} {'P':>5}", *(f"{road:>12}" for road in roads))
for case in found:
    times = [f"{seconds(case.result(road).median):>12}" for road in roads]
    print(f"{case.name:>8} {case.parameters['parameters']:>5}", *times)

# %%
# All of them give the same gradient:

problem = derivatives.Problem((10, 8, 3))
by_hand = derivatives.by_hand(problem)()
for road in ("reverse", "forward", "differences"):
    gap = np.max(np.abs(derivatives.NETWORK_ROADS[road](problem)() - by_hand))
    print(f"largest distance of a derivative, {road} from by hand: {gap:.0e}")
    assert gap < 1e-8

# %%
# On a plot with two logarithmic axes, forward mode and differences rise by a factor of
# ten for ten times the parameters. Reverse mode stays at a small multiple of the road by
# hand, whatever the size: what it costs more is keeping the tape.
#
# Forward mode counts half the passes of differences and yet lies above them, since its
# passes are others: on dual numbers each operation computes slopes beside the value, by
# rules that run in Python. On arrays as small as these that bookkeeping costs many times
# the plain evaluation, of which differences need two. But forward mode is exact to
# rounding, while differences lose a third of the digits.

parameters = [case.parameters["parameters"] for case in found]
figure, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
names = {
    "forward": "forward mode: P passes",
    "differences": "central differences: 2 P passes",
    "reverse": "reverse mode: 1 pass and back",
    "by hand": "by hand: 1 pass and back",
    "loss alone": "the loss alone: 1 pass",
}
for (road, name), marker in zip(names.items(), "^vsoD", strict=True):
    times = [1e3 * case.result(road).median for case in found]
    ax.loglog(parameters, times, marker=marker, label=name)
ax.set(xlabel="number of parameters P", ylabel="time of one gradient (ms)")
ax.set_xticks(parameters, [str(number) for number in parameters])
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend(loc="upper left", fontsize=9)
ax.set_ylim(top=30 * ax.get_ylim()[1])
plt.show()

# %%
# The slope of an activation
# --------------------------
#
# An activation asks for the slope at each number of an array. There each value depends on
# one number alone, so that forward mode needs one pass. That is why it serves activations
# of your own, and reverse mode losses.
#
# Here the road by hand is not always the fastest. The package's swish is written so that
# nothing overflows however large the number: its sigmoid takes two exponentials, once for
# the value and once for the slope, four in all. Differences evaluate the plain formula
# :math:`z / (1 + e^{-z})` three times, with three exponentials and little else. The
# symbolic road finds the same safe sigmoid in the formula, so that it stays near the one by
# hand, above or below it as the machine has it.

case = measure(derivatives.activation_case(), seconds=2)
print(f"swish at {case.parameters['points']} numbers: time, and multiple of that by hand")
for result in case.results:
    print(f"{result.name:>12} {seconds(result.median):>10} {ratio(result.ratio):>6}")

figure, ax = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
labels = [result.name for result in case.results]
bars = ax.barh(labels, [1e3 * result.median for result in case.results], color="C0")
ax.bar_label(bars, [seconds(result.median) for result in case.results], padding=4)
ax.set(xlabel="time for 100 000 values and slopes (ms)")
ax.margins(x=0.15)
ax.invert_yaxis()
plt.show()
