"""Learning-rate schedules: their closed forms over the whole range, and their use inside `fit`."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpx
from mlpx import Dense, Network, schedules
from mlpx.backends.host import xp
from mlpx.schedules import (
    Constant,
    Exponential,
    InverseScaling,
    InverseTime,
    Linear,
    OneCycle,
    OnPlateau,
    Point,
    Step,
    WarmupCosine,
)


def rate(schedule, step=1, epoch=0, steps=100):
    """Return the learning rate of a step (from 1) in an epoch (from 0) of a fit of so many steps."""
    return schedule(Point(np.asarray(step), epoch, np.asarray(steps)), schedule.start(xp), xp)


def curve(schedule, steps, **options):
    return [float(rate(schedule, step, steps=steps, **options)) for step in range(1, steps + 1)]


def test_constant_is_constant():
    assert curve(Constant(0.3), 5) == [0.3] * 5
    assert schedules.get(0.3) == Constant(0.3)
    assert schedules.get(Step(0.3)) == Step(0.3)


def test_step_multiplies_by_its_factor_every_k_epochs():
    got = [float(rate(Step(0.8, factor=0.5, every=3), epoch=e)) for e in range(10)]
    assert got == pytest.approx([0.8] * 3 + [0.4] * 3 + [0.2] * 3 + [0.1], rel=1e-15)
    assert [float(rate(Step(1.0), epoch=e)) for e in (9, 10, 20)] == pytest.approx([1, 0.1, 0.01], rel=1e-15)
    assert curve(Step(0.8, every=1), 3, epoch=2) == pytest.approx([0.008] * 3, rel=1e-14)


def test_exponential_multiplies_by_gamma_every_epoch():
    got = [float(rate(Exponential(0.8, decay=0.9), epoch=e)) for e in range(50)]
    assert got == pytest.approx([0.8 * 0.9**e for e in range(50)], rel=1e-14)
    assert got[0] == 0.8


def test_exponential_by_step_multiplies_at_every_step_down_to_its_minimum():
    got = curve(Exponential(0.8, decay=0.9, by="step", minimum=0.1), 50, epoch=3)
    assert got == pytest.approx([max(0.8 * 0.9**n, 0.1) for n in range(50)], rel=1e-14)
    assert got[0] == 0.8
    assert got[-1] == 0.1


def test_linear_has_its_first_and_its_last_number_in_the_first_and_the_last_epoch():
    got = [float(rate(Linear(0.5, 0.7, over=250), epoch=e)) for e in range(300)]
    np.testing.assert_allclose(got[:250], np.linspace(0.5, 0.7, 250), rtol=1e-15)
    assert got[0] == 0.5
    assert got[249:] == [pytest.approx(0.7, rel=1e-15)] * 51


def test_linear_by_step_counts_steps():
    got = curve(Linear(1.0, 0.0, over=5, by="step"), 7, epoch=9)
    assert got == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0, 0.0], abs=1e-15)


def test_inverse_time_has_half_the_rate_after_its_half_life():
    got = curve(InverseTime(0.8, half_life=10), 31)
    assert [got[0], got[10], got[20], got[30]] == pytest.approx([0.8, 0.4, 0.8 / 3, 0.2], rel=1e-15)


def test_inverse_scaling_falls_as_a_power_of_the_step():
    assert curve(InverseScaling(0.8), 50) == pytest.approx([0.8 / math.sqrt(t) for t in range(1, 51)], rel=1e-14)
    assert curve(InverseScaling(0.8, power=2.0), 9) == pytest.approx([0.8 / t**2 for t in range(1, 10)], rel=1e-14)
    assert curve(InverseScaling(0.8), 1)[0] == 0.8


@pytest.mark.parametrize("given_steps", [None, 40])
@pytest.mark.parametrize(("warm", "low"), [(10, 0.0), (0, 0.0), (1, 0.05), (39, 0.05)])
def test_warmup_cosine_rises_in_a_line_and_falls_along_half_a_cosine(given_steps, warm, low):
    top, total = 0.4, 40
    got = curve(WarmupCosine(top, warm, steps=given_steps, minimum=low), total)
    rise = [top * t / warm for t in range(1, warm + 1)]
    angles = [math.pi * (t - warm) / (total - warm) for t in range(warm + 1, total + 1)]
    assert got == pytest.approx(
        rise + [low + 0.5 * (top - low) * (1 + math.cos(a)) for a in angles], rel=1e-12, abs=1e-16
    )
    assert got[-1] == pytest.approx(low, abs=1e-16)
    assert not warm or got[warm - 1] == top


def test_warmup_cosine_stays_at_its_minimum_after_its_end():
    got = curve(WarmupCosine(0.4, 2, steps=5, minimum=0.1), 9)
    assert got[4:] == pytest.approx([0.1] * 5, rel=1e-15)
    assert min(got[2:]) >= 0.1 * (1 - 1e-15)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.floats(0.02, 0.98), st.floats(1.5, 50), st.floats(2, 1e5))
def test_one_cycle_is_that_of_pytorch(steps, rise, start, end):
    torch = pytest.importorskip("torch")
    if abs(rise * steps - 1) < 1e-9:
        return  # PyTorch divides by zero there
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.7, total_steps=steps, pct_start=rise, div_factor=start, final_div_factor=end, cycle_momentum=False
    )
    expected = [theirs.get_last_lr()[0]]
    for _ in range(steps - 1):
        optimizer.step()
        theirs.step()
        expected.append(theirs.get_last_lr()[0])
    got = OneCycle(0.7, rise=rise, start_divisor=start, end_divisor=end)
    assert curve(got, steps) == pytest.approx(expected, rel=1e-10, abs=1e-15)


def test_one_cycle_starts_tops_and_ends_as_documented():
    got = curve(OneCycle(0.7), 100)
    assert got[0] == pytest.approx(0.7 / 25, rel=1e-14)
    assert got[29] == pytest.approx(0.7, rel=1e-14)
    assert got[99] == pytest.approx(0.7 / 25 / 1e4, rel=1e-10)
    assert got[:30] == sorted(got[:30])
    assert got[29:] == sorted(got[29:], reverse=True)
    assert float(rate(OneCycle(0.7, steps=100), 150, steps=1000)) == pytest.approx(got[99], rel=1e-14)


def plateau(schedule, improvements):
    """Return the rate of each epoch, told after each whether it was better."""
    state, rates = schedule.start(xp), []
    for epoch, better in enumerate(improvements):
        rates.append(np.asarray(schedule(Point(np.asarray(epoch + 1), epoch, np.asarray(100)), state, xp)).tolist())
        state = schedule.observe(state, np.asarray(better), xp)
    return rates


def test_on_plateau_falls_after_so_many_epochs_without_improvement_in_a_row():
    better = [True, False, True, False, False, False, False, False, True, False]
    rates = plateau(OnPlateau(1.0, factor=0.5, patience=2), better)
    assert rates == [1, 1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert plateau(OnPlateau(1.0, factor=0.5, patience=1), [False] * 4) == [1, 0.5, 0.25, 0.125]
    assert plateau(OnPlateau(1.0, factor=0.5, patience=1, minimum=0.3), [False] * 4) == [1, 0.5, 0.3, 0.3]


def test_on_plateau_counts_for_each_member():
    better = [[True, True], [False, True], [False, False], [False, True]]
    rates = plateau(OnPlateau([1.0, 2.0], factor=[0.5, 0.1], patience=2), better)
    assert rates == [[1, 2], [1, 2], [1, 2], [0.5, 2]]


@pytest.mark.parametrize("schedule", [
    Constant([0.1, 0.2]), Step([0.1, 0.2], factor=[0.5, 0.1], every=1), Exponential([0.1, 0.2], decay=[0.5, 0.9]),
    InverseScaling([0.1, 0.2], power=[0.5, 1.0]), WarmupCosine([0.1, 0.2], 3, minimum=[0.0, 0.1]), OneCycle([0.1, 0.2]),
    Exponential([0.1, 0.2], decay=[0.5, 0.9], by="step", minimum=[0.03, 0.01]), InverseTime([0.1, 0.2], [3, 5]),
    Linear([0.1, 0.2], [0.5, 0.0], over=4), Linear([0.1, 0.2], [0.5, 0.0], over=9, by="step"),
], ids=lambda schedule: schedule.name)  # fmt: skip
def test_each_member_has_its_own_rate_at_its_own_step(schedule):
    both = schedule(Point(np.asarray([3, 8]), 2, np.asarray([10, 20])), None, xp)
    for i, (step, steps) in enumerate(((3, 10), (8, 20))):
        own = {name: value[i] if isinstance(value, tuple) else value for name, value in vars(schedule).items()}
        alone = type(schedule)(**own)(Point(np.asarray(step), 2, np.asarray(steps)), None, xp)
        assert both[i] == pytest.approx(float(alone), rel=1e-15)


# Inside fit.

X = np.random.default_rng(0).normal(size=(6, 2))
Y = X @ [[1.0], [-1.0]]


def fit(backend, schedule, epochs, **options):
    net = Network([Dense(2, 1)], dtype="float64", backend=backend, **options)
    return net, net.fit(X, Y, epochs=epochs, batch_size=2, optimizer=mlpx.SGD(schedule), progress=False)


@pytest.mark.parametrize("schedule", [
    Constant(0.1), Step(0.1, every=2), Exponential(0.1), InverseScaling(0.1), WarmupCosine(0.1, 4), OneCycle(0.1),
    Exponential(0.1, by="step"), InverseTime(0.1, 4), Linear(0.1, 0.02, over=4),
], ids=lambda schedule: schedule.name)  # fmt: skip
def test_the_history_shows_the_rate_of_the_last_step_of_each_epoch(schedule, backend):
    _, history = fit(backend, schedule, 5)
    expected = [float(rate(schedule, 3 * (e + 1), e, 15)) for e in range(5)]
    assert history["learning_rate"] == pytest.approx(expected, rel=1e-14)


def test_the_rate_of_each_step_is_the_one_that_is_used(backend):
    net, _ = fit(backend, OneCycle(0.2), 2)
    w = mlpx.to_numpy(Network([Dense(2, 1)], dtype="float64").weights[0]).copy()
    b, order = np.zeros(1), [net_order(e) for e in range(2)]
    for t, rows in enumerate([o[i : i + 2] for o in order for i in (0, 2, 4)], 1):
        r = X[rows] @ w + b - Y[rows]
        alpha = float(rate(OneCycle(0.2), t, steps=6))
        w, b = w - alpha * X[rows].T @ r / 2, b - alpha * r.mean(axis=0)
    np.testing.assert_allclose(mlpx.to_numpy(net.weights[0]), w, rtol=1e-12)
    np.testing.assert_allclose(mlpx.to_numpy(net.biases[0]), b, rtol=1e-12)


def net_order(epoch):
    return np.argsort(np.random.Philox(key=[0, 1 << 32], counter=[0, 0, epoch, 0]).random_raw(6))


def test_a_second_fit_starts_the_schedule_anew(backend):
    net, first = fit(backend, Exponential(0.1, decay=0.5), 3)
    second = net.fit(X, Y, epochs=3, batch_size=2, optimizer=mlpx.SGD(Exponential(0.1, decay=0.5)), progress=False)
    assert first["learning_rate"] == second["learning_rate"] == pytest.approx([0.1, 0.05, 0.025])


def test_on_plateau_follows_the_monitored_loss(backend):
    _, history = fit(backend, OnPlateau(1.5, factor=0.5, patience=2), 12)
    loss, expected, alpha, best, waited = history["loss"], [], 1.5, math.inf, 0
    for value in loss:
        expected.append(alpha)
        waited = 0 if value < best else waited + 1
        best = min(best, value)
        if waited == 2:
            alpha, waited = alpha / 2, 0
    assert history["learning_rate"] == pytest.approx(expected)
    assert len(set(expected)) > 1


def test_members_have_rates_of_their_own_in_the_history(backend):
    _, history = fit(backend, Exponential([0.1, 0.2], decay=[0.5, 0.9]), 3, members=2)
    expected = [[0.1 * 0.5**e, 0.2 * 0.9**e] for e in range(3)]
    np.testing.assert_allclose(history["learning_rate"], expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Constant(0.0), "`learning_rate` must be above 0"),
        (lambda: Step(0.1, factor=0.0), "`factor` must be above 0"),
        (lambda: Step(0.1, every=0), "`every` must be at least 1"),
        (lambda: Exponential(0.1, decay=-1.0), "`decay` must be above 0"),
        (lambda: Exponential(0.1, by="batch"), "`by` must be one of 'epoch', 'step'"),
        (lambda: Exponential(0.1, minimum=-0.1), "`minimum` must be at least 0"),
        (lambda: Linear(-0.1, 0.1, over=5), "`first` must be at least 0"),
        (lambda: Linear(0.1, 0.2, over=1), "`over` must be at least 2"),
        (lambda: InverseTime(0.1, half_life=0.0), "`half_life` must be above 0"),
        (lambda: InverseScaling(0.1, power=0.0), "`power` must be above 0"),
        (lambda: WarmupCosine(0.1, -1), "`warmup_steps` must be at least 0"),
        (lambda: WarmupCosine(0.1, 5, steps=5), "`steps` must be at least 6"),
        (lambda: WarmupCosine(0.1, minimum=-0.1), "`minimum` must be at least 0"),
        (lambda: OneCycle(0.1, rise=0.0), "`rise` must be above 0"),
        (lambda: OneCycle(0.1, rise=1.5), "`rise` must be above 0 and at most 1"),
        (lambda: OneCycle(0.1, steps=0), "`steps` must be at least 1"),
        (lambda: OneCycle(0.1, start_divisor=0.0), "`start_divisor` must be above 0"),
        (lambda: OnPlateau(0.1, patience=0), "`patience` must be at least 1"),
        (lambda: OnPlateau(0.1, factor=0.0), "`factor` must be above 0"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
