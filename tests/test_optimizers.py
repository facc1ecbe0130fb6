"""Optimizers through `fit` against recursions written by hand, those against PyTorch's; members against networks."""

import numpy as np
import pytest

import mlpx
from mlpx import SGD, Adam, AdamW, Dense, Network, RMSProp, schedules
from mlpx.schedules import Constant, Exponential, InverseTime, Linear

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(9, 2)), RNG.normal(size=(9, 2))
START = RNG.normal(size=17)
IS_WEIGHT = np.concatenate([np.ones(6), np.zeros(3), np.ones(6), np.zeros(2)])
BATCHES = [slice(0, 3), slice(3, 6), slice(6, 9)]
EPOCHS = 4


def build(backend="numpy", start=START, bias=True, **options):
    net = Network([Dense(2, 3, "tanh", bias=bias), Dense(3, 2)], dtype="float64", backend=backend, **options)
    put(net, start)
    return net


def put(net, vector):
    stack = vector.shape[:-1]
    w1, b1, w2, b2 = np.split(vector, [6, 9, 15], axis=-1)
    net.set_weights([w1.reshape(*stack, 2, 3), w2.reshape(*stack, 3, 2)], [b1, b2])


def take(net, what=None):
    """Return all parameters (or gradients) as a vector."""
    source = net if what is None else what
    stack = () if net.members is None else (net.members,)
    pairs = zip(source.weights, source.biases, strict=True)
    return np.concatenate([mlpx.to_numpy(x).reshape(*stack, -1) for pair in pairs for x in pair], axis=-1)


def train(optimizer, backend, epochs=EPOCHS, **options):
    """Return the parameters after some epochs of three batches each."""
    fit = {key: options.pop(key) for key in ("clip_norm", "sample_weight") if key in options}
    net = build(backend, **options)
    net.fit(X, Y, epochs=epochs, batch_size=3, optimizer=optimizer, shuffle=False, progress=False, **fit)
    return take(net)


def by_hand(update, l2=0.0, batches=BATCHES, epochs=EPOCHS, start=START):
    """Run the recursion ``update(w, g, t, memory) -> w``; the gradient is the one that other tests have checked."""
    net, w, memory, t = build(l2=l2), start, {}, 0
    for _ in range(epochs):
        for rows in batches:
            t += 1
            put(net, w)
            g = take(net, net.backward(net.forward(X[rows]), Y[rows]))
            w = update(w, g, t, memory)
    return w


def agree(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


# The table of the specification, in its letters.


def sgd(alpha):
    return lambda w, g, t, s: w - alpha * g


def momentum(alpha, mu, nesterov=False):
    def update(w, g, t, s):
        s["v"] = mu * s.get("v", 0) - alpha * g
        return w + mu * s["v"] - alpha * g if nesterov else w + s["v"]

    return update


def adam(alpha=1e-3, b1=0.9, b2=0.999, eps=1e-8, hat=False, decay=0.0):
    def update(w, g, t, s):
        m = s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        v = s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
        if hat:
            step = np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)
        else:
            step = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        return w - alpha * (step + decay * IS_WEIGHT * w)

    return update


def moving(alpha, mu, nesterov=False):
    """Return momentum whose alpha and mu are functions of the steps before and of the epoch."""
    state = {}

    def update(w, g, t, s):
        a, m = alpha(t - 1), mu(t - 1, (t - 1) // len(BATCHES))
        state["v"] = m * state.get("v", 0) - a * g if t > 1 else -a * g
        return w + m * state["v"] - a * g if nesterov else w + state["v"]

    return update


def by_epochs(n, e):
    return 0.2 + 0.6 * min(e / 2, 1)


def by_steps(n, e):
    return 0.9 - 0.5 * min(n / 7, 1)


def rmsprop(alpha=1e-3, rho=0.9, mu=0.0, eps=1e-8):
    def update(w, g, t, s):
        s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
        s["u"] = mu * s.get("u", 0) - alpha * g / (np.sqrt(s["v"]) + eps)
        return w + s["u"]

    return update


RULES = {
    "SGD": (SGD(), sgd(0.01)),
    "SGD(0.3)": (SGD(0.3), sgd(0.3)),
    "momentum": (SGD(0.1, momentum=0.9), momentum(0.1, 0.9)),
    "Nesterov": (SGD(0.1, momentum=0.8, nesterov=True), momentum(0.1, 0.8, nesterov=True)),
    "Adam": (Adam(), adam()),
    "Adam with numbers": (Adam(0.05, beta_1=0.7, beta_2=0.9, epsilon=0.1), adam(0.05, 0.7, 0.9, 0.1)),
    "Adam without memory": (Adam(0.05, beta_1=0.0, beta_2=0.0), adam(0.05, 0.0, 0.0)),
    "epsilon_hat": (Adam(0.05, epsilon=0.1, epsilon_hat=True), adam(0.05, eps=0.1, hat=True)),
    "AdamW": (AdamW(), adam(decay=0.01)),
    "AdamW with numbers": (AdamW(0.05, epsilon=0.1, weight_decay=0.5), adam(0.05, eps=0.1, decay=0.5)),
    "momentum by epoch": (SGD(0.1, Linear(0.2, 0.8, over=3)), moving(lambda n: 0.1, by_epochs)),
    "momentum by step": (SGD(0.1, Linear(0.9, 0.4, over=8, by="step"), nesterov=True),
                         moving(lambda n: 0.1, by_steps, nesterov=True)),
    "rate and momentum": (SGD(Exponential(0.2, 0.9, by="step", minimum=0.08), Linear(0.2, 0.8, over=3)),
                          moving(lambda n: max(0.2 * 0.9**n, 0.08), by_epochs)),
    "rate in time": (SGD(InverseTime(0.3, 4), momentum=Exponential(0.9, 0.5)),
                     moving(lambda n: 0.3 / (1 + n / 4), lambda n, e: 0.9 * 0.5**e)),
    "RMSProp": (RMSProp(), rmsprop()),
    "RMSProp with numbers": (RMSProp(0.02, rho=0.6, momentum=0.5, epsilon=0.1), rmsprop(0.02, 0.6, 0.5, 0.1)),
    "RMSProp with a schedule": (RMSProp(0.02, rho=0.6, momentum=Constant(0.5), epsilon=0.1),
                                rmsprop(0.02, 0.6, 0.5, 0.1)),
}  # fmt: skip


@pytest.mark.parametrize(("optimizer", "rule"), RULES.values(), ids=RULES)
def test_an_optimizer_follows_its_formula(optimizer, rule, backend):
    agree(train(optimizer, backend, l2=0.1), by_hand(rule, l2=0.1))


def test_epsilon_hat_differs_from_the_first_algorithm():
    assert np.max(np.abs(by_hand(adam(0.05, eps=0.1)) - by_hand(adam(0.05, eps=0.1, hat=True)))) > 1e-3


@pytest.mark.parametrize("name", ["SGD(0.3)", "momentum", "Nesterov", "Adam", "Adam with numbers", "AdamW",
                                  "AdamW with numbers", "RMSProp", "RMSProp with numbers"])  # fmt: skip
def test_the_recursions_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    make = {
        "SGD(0.3)": lambda p: torch.optim.SGD(p, 0.3),
        "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        "Nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.8, nesterov=True),
        "Adam": lambda p: torch.optim.Adam(p),
        "Adam with numbers": lambda p: torch.optim.Adam(p, 0.05, betas=(0.7, 0.9), eps=0.1),
        "AdamW": lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.01),
        "AdamW with numbers": lambda p: torch.optim.AdamW(p, 0.05, eps=0.1, weight_decay=0.5),
        "RMSProp": lambda p: torch.optim.RMSprop(p, 1e-3, alpha=0.9),
        "RMSProp with numbers": lambda p: torch.optim.RMSprop(p, 0.02, alpha=0.6, momentum=0.5, eps=0.1),
    }[name]
    with torch.enable_grad():
        net = build()
        w1, w2, b1, b2 = (torch.tensor(np.array(x), requires_grad=True) for x in (*net.weights, *net.biases))
        biases = {"params": [b1, b2], **({"weight_decay": 0.0} if name.startswith("AdamW") else {})}
        theirs, rows = make([{"params": [w1, w2]}, biases]), (torch.tensor(X), torch.tensor(Y))
        for batch in BATCHES * EPOCHS:
            theirs.zero_grad()
            r = torch.tanh(rows[0][batch] @ w1 + b1) @ w2 + b2 - rows[1][batch]
            (torch.sum(r**2, -1).mean() / 2).backward()
            theirs.step()
    expected = np.concatenate([p.detach().numpy().ravel() for p in (w1, b1, w2, b2)])
    agree(by_hand(RULES[name][1]), expected)


MEMBERS = {
    "SGD": (SGD, {"learning_rate": [0.1, 0.01, 0.3]}),
    "momentum": (SGD, {"learning_rate": [0.1, 0.01, 0.3], "momentum": [0.9, 0.5, 0.0]}),
    "Nesterov": (lambda **o: SGD(nesterov=True, **o), {"momentum": [0.9, 0.5, 0.2]}),
    "Adam": (Adam, {"learning_rate": [0.1, 0.01, 0.3], "beta_1": [0.9, 0.5, 0.1], "beta_2": [0.99, 0.9, 0.5],
                    "epsilon": [1e-8, 0.1, 1.0]}),
    "AdamW": (AdamW, {"learning_rate": [0.1, 0.01, 0.3], "weight_decay": [0.0, 0.1, 1.0]}),
    "RMSProp": (RMSProp, {"learning_rate": [0.1, 0.01, 0.3], "rho": [0.9, 0.5, 0.1], "momentum": [0.0, 0.5, 0.9],
                          "epsilon": [1e-8, 0.1, 1.0]}),
    "schedule": (lambda learning_rate, decay: SGD(schedules.Exponential(learning_rate, decay)),
                 {"learning_rate": [0.1, 0.2, 0.3], "decay": [1.0, 0.5, 0.1]}),
    "momentum by schedule": (lambda learning_rate, first, last: SGD(learning_rate, Linear(first, last, over=3)),
                             {"learning_rate": [0.1, 0.2, 0.3], "first": [0.0, 0.5, 0.9], "last": [0.9, 0.6, 0.0]}),
    "momentum by step": (lambda first, last: SGD(0.1, Linear(first, last, over=5, by="step")),
                         {"first": [0.0, 0.5, 0.9], "last": [0.9, 0.6, 0.0]}),
}  # fmt: skip


@pytest.mark.parametrize(("make", "numbers"), MEMBERS.values(), ids=MEMBERS)
def test_members_with_numbers_of_their_own_equal_separate_runs(make, numbers, backend):
    starts, l2, clip = START * np.asarray([[1.0], [0.5], [-1.0]]), [0.0, 0.1, 0.5], [0.2, 1.0, 100.0]
    stack = train(make(**numbers), backend, start=starts, members=3, l2=l2, clip_norm=clip)
    for i in range(3):
        own = make(**{name: values[i] for name, values in numbers.items()})
        agree(stack[i], train(own, "numpy", start=starts[i], l2=l2[i], clip_norm=clip[i]))


# Clipping, penalty, frozen parameters, batches without weight.


def clipped(bound, rule, trained=1):
    def update(w, g, t, s):
        g = g * trained
        return rule(w, g * min(1, bound / np.linalg.norm(g)), t, s)

    return update


@pytest.mark.parametrize("bound", [0.05, 0.5, 1e6])
@pytest.mark.parametrize("l2", [0.0, 2.0])
def test_clipping_bounds_the_norm_over_all_parameters_with_the_penalty(bound, l2, backend):
    agree(train(SGD(0.1), backend, l2=l2, clip_norm=bound), by_hand(clipped(bound, sgd(0.1)), l2=l2))


def test_clipping_bounds_the_step_itself(backend):
    net = build(backend)
    net.fit(X, Y, epochs=1, optimizer=SGD(1.0), clip_norm=0.01, progress=False)
    assert np.linalg.norm(take(net) - START) == pytest.approx(0.01, rel=1e-12)


def test_frozen_entries_do_not_count_in_the_norm(backend):
    trained = 1 - np.concatenate([np.zeros(6), np.ones(3), np.zeros(8)])
    expected = by_hand(clipped(0.3, sgd(0.5), trained))
    agree(train(SGD(0.5), backend, bias="frozen", clip_norm=0.3), expected)
    assert np.max(np.abs(expected - by_hand(clipped(0.3, sgd(0.5))))) > 1e-3


@pytest.mark.parametrize(("optimizer", "clip_norm"), [
    (SGD(0.3), 0.1), (SGD(0.3, momentum=0.9), None), (Adam(0.3), 0.1), (RMSProp(0.3, momentum=0.5), 0.1),
])  # fmt: skip
def test_where_the_gradient_is_zero_nothing_moves(optimizer, clip_norm, backend):
    net = build(backend)
    y = mlpx.to_numpy(net.predict(X))
    net.fit(X, y, epochs=3, optimizer=optimizer, clip_norm=clip_norm, shuffle=False, progress=False)
    np.testing.assert_array_equal(take(net), START)


def test_where_the_gradient_is_zero_adamw_still_shrinks_weights_and_no_biases(backend):
    net = build(backend)
    net.fit(X, mlpx.to_numpy(net.predict(X)), epochs=1, optimizer=AdamW(0.1, weight_decay=0.5), progress=False)
    agree(take(net), START * (1 - 0.1 * 0.5 * IS_WEIGHT))


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.1), AdamW(0.1, weight_decay=0.5)], ids=repr)
def test_frozen_biases_stay_where_they_are_under_every_optimizer(optimizer, backend):
    after = train(optimizer, backend, bias="frozen", l2=0.3)
    np.testing.assert_array_equal(after[6:9], START[6:9])
    assert np.all(after[:6] != START[:6])


@pytest.mark.parametrize("make", [
    lambda: (SGD(0.1, momentum=0.9), momentum(0.1, 0.9)),
    lambda: (Adam(0.1), adam(0.1)),
    lambda: (SGD(schedules.InverseScaling(0.5)), lambda w, g, t, s: w - 0.5 / np.sqrt(t) * g),
    lambda: (SGD(0.1, Linear(0.9, 0.4, over=8, by="step")), moving(lambda n: 0.1, by_steps)),
])  # fmt: skip
def test_a_batch_without_weight_is_as_if_it_had_not_been(make, backend):
    optimizer, rule = make()
    weight = np.repeat([1.0, 0.0, 1.0], 3)
    if backend.name != "jax":  # which compiles for each kind of batch anew, seconds each
        agree(train(optimizer, backend, sample_weight=weight), by_hand(rule, batches=[BATCHES[0], BATCHES[2]]))
    both = train(optimizer, backend, members=2, start=np.stack([START, START]), sample_weight=[weight, np.ones(9)])
    agree(both[0], by_hand(rule, batches=[BATCHES[0], BATCHES[2]]))
    agree(both[1], by_hand(rule))


def test_a_second_fit_starts_with_a_fresh_memory(backend):
    net = build(backend)
    for _ in range(2):
        net.fit(X, Y, epochs=1, batch_size=3, optimizer=Adam(0.1), shuffle=False, progress=False)
    agree(take(net), by_hand(adam(0.1), epochs=1, start=by_hand(adam(0.1), epochs=1)))


def test_names_and_defaults_are_those_of_the_specification():
    assert mlpx.optimizers.get("sgd") == mlpx.optimizers.get("SGD") == SGD(0.01, momentum=0.0, nesterov=False)
    assert mlpx.optimizers.get("adam") == Adam(1e-3, 0.9, 0.999, 1e-8, epsilon_hat=False)
    assert mlpx.optimizers.get("adamw") == AdamW(1e-3, 0.9, 0.999, 1e-8, weight_decay=0.01)
    assert mlpx.optimizers.get("rmsprop") == RMSProp(1e-3, rho=0.9, momentum=0.0, epsilon=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SGD(0), "`learning_rate` must be above 0"),
        (lambda: SGD(float("nan")), "`learning_rate`"),
        (lambda: SGD([0.1, -0.1]), r"`learning_rate\[1\]`"),
        (lambda: SGD(momentum=1.5), "`momentum` must be at least 0 and at most 1"),
        (lambda: SGD(nesterov=True), "`nesterov` needs momentum"),
        (lambda: SGD(momentum=schedules.OnPlateau(0.9)), "`momentum` cannot follow the monitored score"),
        (lambda: train(SGD(momentum=Linear(0.5, 1.1, over=3)), "numpy"), "from 0 to 1, got 1.1 .* in epoch 3"),
        (
            lambda: train(SGD(momentum=Linear([0.1] * 3, 0.5, 2)), "numpy", start=np.stack([START] * 2), members=2),
            "`first` must hold 2",
        ),
        (lambda: Adam(beta_1=1.0), "`beta_1`"),
        (lambda: Adam(beta_2=-0.1), "`beta_2`"),
        (lambda: Adam(epsilon=0.0), "`epsilon` must be above 0"),
        (lambda: AdamW(weight_decay=-1), "`weight_decay` must be at least 0"),
        (lambda: RMSProp(rho=1.5), "`rho`"),
        (lambda: mlpx.optimizers.get("adamax"), "Did you mean"),
        (lambda: train(SGD([0.1, 0.2]), "numpy"), "`learning_rate` must hold one number"),
        (
            lambda: train(Adam(beta_1=[0.1] * 3), "numpy", start=np.stack([START] * 2), members=2),
            "`beta_1` must hold 2",
        ),
        (lambda: train(SGD(schedules.Step([0.1] * 3)), "numpy"), "`learning_rate` must hold one number"),
        (lambda: train(SGD(), "numpy", clip_norm=0), "`clip_norm` must be above 0"),
        (lambda: train(SGD(), "numpy", clip_norm=[1, 2]), "`clip_norm` must hold one number"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
