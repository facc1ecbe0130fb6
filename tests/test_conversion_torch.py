"""To and from PyTorch: equal formulas, equal predictions of random networks, clear refusals."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import mlpx
from mlpx import Dense, Dropout, Layer, Network, activations
from mlpx.conversion import from_torch, to_torch

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
BOTH = {
    "elu": (nn.ELU(), activations.elu()),
    "elu(0.3)": (nn.ELU(0.3), activations.elu(0.3)),
    "gelu": (nn.GELU(), activations.gelu()),
    "gelu(tanh)": (nn.GELU("tanh"), activations.gelu("tanh")),
    "hard_tanh": (nn.Hardtanh(), activations.hard_tanh()),
    "leaky_relu": (nn.LeakyReLU(), activations.leaky_relu()),
    "leaky_relu(0.3)": (nn.LeakyReLU(0.3), activations.leaky_relu(0.3)),
    "logistic": (nn.Sigmoid(), activations.logistic()),
    "mish": (nn.Mish(), activations.mish()),
    "relu": (nn.ReLU(), activations.relu()),
    "relu in place": (nn.ReLU(inplace=True), activations.relu()),
    "selu": (nn.SELU(), activations.selu()),
    "softplus": (nn.Softplus(threshold=40), activations.softplus()),
    "swish": (nn.SiLU(), activations.swish()),
    "tanh": (nn.Tanh(), activations.tanh()),
}
HIDDEN = sorted({ours for _, ours in BOTH.values()} | {activations.identity()}, key=repr)
OUTPUTS = [*HIDDEN, activations.softmax()]


def outputs(model, x):
    with torch.no_grad():
        return model.eval()(torch.from_numpy(x)).numpy()


def chain(*modules):
    return nn.Sequential(nn.Linear(4, 3), *modules)


# Formulas.


@pytest.mark.parametrize("case", BOTH)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_formulas_agree(case, dtype):
    theirs, ours = BOTH[case]
    z = np.concatenate([np.linspace(-60, 60, 4801), [0.0, 1e-9, -1e-9, 800.0, -800.0]]).astype(dtype)
    assert_allclose(
        ours(z, np), theirs(torch.from_numpy(z.copy())).numpy(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
    )


@pytest.mark.parametrize("case", BOTH)
def test_an_activation_goes_over_both_ways(case):
    theirs, ours = BOTH[case]
    model = nn.Sequential(nn.Linear(4, 3), theirs, nn.Linear(3, 2)).double()
    net = from_torch(model)
    assert net.layers[0].activation == ours
    assert type(to_torch(net)[1]) is type(theirs)
    assert from_torch(to_torch(net)).layers[0].activation == ours


def test_softplus_of_pytorch_is_a_line_above_20():
    model = nn.Sequential(nn.Linear(1, 1), nn.Softplus()).double()
    nn.init.ones_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    x = np.linspace(15, 60, 200)[:, None]
    assert 1e-12 < np.max(np.abs(from_torch(model).predict(x) - outputs(model, x))) < 2.1e-9
    assert_allclose(from_torch(model).predict(x), outputs(to_torch(from_torch(model)), x), rtol=0, atol=1e-12)


# Networks.


@st.composite
def layers(draw):
    """A random list of layers that both libraries have."""
    widths = draw(st.lists(st.integers(2, 6), min_size=2, max_size=5))
    found = []
    for fan_in, fan_out in pairwise(widths[:-1]):
        bias = draw(st.sampled_from([True, False, "frozen"]))
        found.append(Dense(fan_in, fan_out, draw(st.sampled_from(HIDDEN)), bias=bias))
        found += draw(st.lists(st.builds(Dropout, st.sampled_from([0.0, 0.25, 0.5])), max_size=2))
    return [*found, Dense(*widths[-2:], draw(st.sampled_from(OUTPUTS)), bias=draw(st.booleans()))]


def randomized(found, dtype, seed):
    net = Network(found, dtype=dtype, loss="squared_error")
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=w.shape) for w in net.weights]
    net.set_weights(weights, [None if b is None else rng.normal(size=b.shape) for b in net.biases])
    return net, rng.normal(size=(7, net.sizes[0])).astype(dtype)


@given(layers(), st.sampled_from(["float32", "float64"]), st.integers(0, 1000))
@settings(deadline=None, max_examples=150)
def test_random_networks_predict_equally(found, dtype, seed):
    net, x = randomized(found, dtype, seed)
    model = to_torch(net)
    expected = net.predict(x)
    scale = max(1.0, float(np.max(np.abs(expected))))
    assert_allclose(outputs(model, x), expected, rtol=0, atol=10 * TOLERANCE[dtype] * scale)
    back = from_torch(model, loss="squared_error")
    assert back.layers == net.layers
    assert back.dtype_name == dtype
    assert_array_equal(back.vector, net.vector)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_trained_network_predicts_equally(dtype):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(90, 4)).astype(dtype), np.arange(90) % 3
    net = mlpx.MLP([4, 16, 8, 3], dropout=0.2, dtype=dtype)
    net.fit(x, y, epochs=5, progress=False)
    model = to_torch(net)
    assert not model.training
    assert_allclose(outputs(model, x), net.predict(x), rtol=0, atol=TOLERANCE[dtype])
    logits = to_torch(net, logits=True)
    assert_allclose(outputs(logits, x), net.forward(x).z[-1], rtol=0, atol=10 * TOLERANCE[dtype])
    assert len(logits) == len(model) - 1


def test_a_model_trained_there_on_logits_predicts_here():
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(90, 4)), np.arange(90) % 3
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 3)).double()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
    net = from_torch(model, output="softmax")
    logits = torch.from_numpy(outputs(model, x))
    assert_allclose(net.predict(x), torch.softmax(logits, -1).numpy(), rtol=0, atol=1e-12)
    expected = float(nn.functional.cross_entropy(logits, torch.from_numpy(y)))
    assert net.evaluate(x, y)["loss"] == pytest.approx(expected, abs=1e-12)
    assert_allclose(from_torch(model).predict(x), logits.numpy(), rtol=0, atol=1e-12)


def test_gradients_of_both_agree():
    net, x = randomized([Dense(4, 5, "gelu"), Dense(5, 3, "softmax")], "float64", 3)
    net = from_torch(to_torch(net))  # with its own loss
    y = np.arange(7) % 3
    model = to_torch(net, logits=True)
    nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    ours = net.backward(net.forward(x), y)
    for i, position in enumerate((0, 2)):
        assert_allclose(ours.weights[i], model[position].weight.grad.numpy().T, rtol=0, atol=1e-12)
        assert_allclose(ours.biases[i], model[position].bias.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_goes_over(dtype):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).to(getattr(torch, dtype))
    net = from_torch(model, backend="torch")
    assert net.dtype_name == dtype
    x = torch.linspace(-1, 1, 20).reshape(5, 4).to(getattr(torch, dtype))
    with torch.no_grad():
        assert_allclose(net.predict(x).float().numpy(), model(x).float().numpy(), rtol=0, atol=0.02)
    back = to_torch(net)
    for ours, theirs in zip(back.parameters(), model.parameters(), strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    wide = from_torch(model, dtype="float32")
    assert_array_equal(wide.weights[0], model[0].weight.detach().float().numpy().T)


def test_nested_models_identities_and_a_first_flatten_are_unrolled():
    block = nn.Sequential(nn.Linear(4, 3), nn.Identity(), nn.Sequential(nn.ReLU(), nn.Dropout(0.5)))
    model = nn.Sequential(nn.Flatten(), nn.Identity(), block, nn.Sequential(), nn.Linear(3, 2, bias=False)).double()
    net = from_torch(model)
    assert net.layers == (Dense(4, 3, "relu"), Dropout(0.5), Dense(3, 2, bias=False))
    x = np.random.default_rng(0).normal(size=(6, 2, 2))
    assert_allclose(net.predict(x.reshape(6, 4)), outputs(model, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("function", [nn.ReLU(), nn.LeakyReLU(0.2)])
def test_dropout_may_stand_before_a_function_that_it_commutes_with(function):
    net = from_torch(nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), function, nn.Linear(3, 2)))
    assert [type(layer) for layer in net.layers] == [Dense, Dropout, Dense]
    assert net.layers[0].activation.name in ("relu", "leaky_relu")


@pytest.mark.parametrize("dim", [1, -1])
def test_a_last_softmax_or_its_logarithm_is_the_output(dim):
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    model = chain(nn.Softmax(dim))
    net = from_torch(model)
    assert net.loss.name == "cross_entropy"
    assert_allclose(net.predict(x), outputs(model, x), rtol=0, atol=1e-6)
    model = chain(nn.LogSoftmax(dim))
    assert_allclose(np.log(from_torch(model).predict(x)), outputs(model, x), rtol=0, atol=1e-6)


def test_what_is_frozen_alone_is_the_bias():
    model = chain()
    model[0].bias.requires_grad_(False)
    assert from_torch(model).layers[0].bias == "frozen"
    assert not to_torch(from_torch(model))[0].bias.requires_grad
    model.requires_grad_(False)  # a whole model that is only used
    assert from_torch(model).layers[0].bias is True


def test_weights_behind_a_parametrization_are_those_that_it_computes():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))).double()
    with torch.no_grad():
        model[0].parametrizations.weight.original0.mul_(2)
    x = np.random.default_rng(0).normal(size=(6, 4))
    assert_allclose(from_torch(model).predict(x), outputs(model, x), rtol=0, atol=1e-12)


def test_both_directions_copy_and_draw_nothing():
    model = chain()
    net = from_torch(model)
    before = net.vector.copy()
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.zero_()
    assert_array_equal(net.vector, before)
    state = torch.random.get_rng_state()
    again = to_torch(net)
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        again[0].weight.zero_()
    assert_array_equal(net.vector, before)
    assert all(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize("name", [info.name for info in mlpx.available_backends() if info.available])
def test_from_and_to_every_backend(name):
    model = nn.Sequential(nn.Linear(4, 3), nn.SELU(), nn.Linear(3, 1), nn.Sigmoid()).double()
    net = from_torch(model, backend=name, l2=0.1)
    assert (net.backend.name, net.l2, net.loss.name) == (name, 0.1, "binary_cross_entropy")
    x = np.random.default_rng(0).normal(size=(6, 4))
    assert_allclose(mlpx.to_numpy(net.predict(x)), outputs(model, x), rtol=0, atol=1e-12)
    for ours, theirs in zip(to_torch(net).parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


# Refusals.


class Scaled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Backwards(nn.Sequential):
    def forward(self, x):
        return x


class ReLU(nn.Module):
    """Called like PyTorch's own."""

    def forward(self, x):
        return -x


def hooked():
    linear = nn.Linear(3, 3)
    linear.register_forward_hook(lambda module, given, found: 2 * found)
    return linear


REFUSED = {
    "hard sigmoid": (lambda: nn.Hardsigmoid(), "slope is 1/6"),
    "relu6": (lambda: nn.ReLU6(), "no counterpart; use Linear"),
    "hard tanh": (lambda: nn.Hardtanh(-2, 2), "min_val=-1"),
    "softplus beta": (lambda: nn.Softplus(2.0), "beta=1"),
    "softplus threshold": (lambda: nn.Softplus(threshold=5), "20 or more"),
    "prelu": (lambda: nn.PReLU(), "use LeakyReLU"),
    "batch norm": (lambda: nn.BatchNorm1d(3), "fuse_linear_bn_eval"),
    "convolution": (lambda: nn.Conv1d(1, 1, 1), "no counterpart"),
    "softmax dim": (lambda: nn.Softmax(0), "give dim=-1"),
    "softmax no dim": (lambda: nn.LogSoftmax(), "give dim=-1"),
    "softmax inside": (lambda: nn.Sequential(nn.Softmax(1), nn.Linear(3, 3)), "for the output alone"),
    "dropout of all": (lambda: nn.Dropout(1.0), "`rate` must be"),
    "negative elu": (lambda: nn.ELU(-1.0), "`gamma` must be at least 0"),
    "two activations": (lambda: nn.Sequential(nn.ReLU(), nn.Tanh()), "has an activation already"),
    "dropout first": (lambda: nn.Sequential(nn.Dropout(0.1), nn.Tanh()), "changes no prediction"),
    "flatten inside": (lambda: nn.Flatten(), "before the first Linear"),
    "lazy": (lambda: nn.LazyLinear(3), "run the model once"),
    "meta": (lambda: nn.Linear(3, 3, device="meta"), "has no numbers"),
    "hooks": (hooked, "has hooks"),
    "own linear": (lambda: Scaled(3, 3), "a Linear with a forward of its own"),
    "own sequential": (lambda: Backwards(nn.ReLU()), "a Sequential with a forward of its own"),
    "own relu": (lambda: ReLU(), "no counterpart"),
    "list": (lambda: nn.ModuleList([nn.ReLU()]), "no counterpart"),
    "mixed": (lambda: nn.Linear(3, 3).double(), "float64, others are float32"),
    "complex": (lambda: nn.Linear(3, 3, dtype=torch.cfloat), "are complex64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_module_without_counterpart_is_named_by_its_position(case):
    make, message = REFUSED[case]
    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Identity(), make()), nn.Linear(3, 2))
    with pytest.raises(ValueError, match=rf"at position 1\.1.*cannot be converted: .*{message}"):
        from_torch(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.ReLU(), nn.Linear(4, 3)), r"ReLU\(\) at position 0.*there is none"),
        (chain(nn.Dropout(0.5), nn.Identity()), r"Dropout.* at position 1.*leave it out"),
        (nn.Sequential(), "at least one Linear"),
        (Backwards(nn.Linear(4, 3)), "the model itself"),
        (nn.Sequential(nn.Linear(4, 1), nn.Softmax(1)), "at least 2 units"),
    ],
    ids=["activation first", "dropout last", "empty", "own forward", "softmax of one"],
)
def test_a_model_of_another_form_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        from_torch(model)


@pytest.mark.parametrize("given", [nn.Linear(4, 3), None, [nn.Linear(4, 3)]], ids=["module", "none", "list"])
def test_what_is_no_sequential_is_refused(given):
    with pytest.raises(TypeError, match=r"`sequential` must be a torch\.nn\.Sequential, got"):
        from_torch(given)


def test_an_output_is_given_once():
    assert from_torch(chain(nn.Sigmoid()), output="sigmoid").loss.name == "binary_cross_entropy"
    with pytest.raises(ValueError, match="`output` must be left out, since the model ends with 'logistic'"):
        from_torch(chain(nn.Sigmoid()), output="softmax")
    with pytest.raises(ValueError, match="`output` must be one of"):
        from_torch(chain(), output="softmaxx")


class halved(Layer):  # noqa: N801
    """A layer that no other library knows."""


class Steep(Dense):
    """A dense layer that computes something else."""


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ([Dense(4, 3, "hard_logistic"), Dense(3, 2)], {}, r"hard_logistic\(\) at layers\[0\]"),
        ([Dense(4, 3, activations.swish(2.0)), Dense(3, 2)], {}, r"swish\(beta=2\.0\) at layers\[0\]"),
        ([Dense(4, 3, activations.gelu("logistic")), Dense(3, 2)], {}, r"gelu.* at layers\[0\]"),
        ([Dense(4, 3), halved(), Dense(3, 2)], {}, r"halved at layers\[1\]"),
        ([Steep(4, 3), Dense(3, 2)], {}, r"Steep at layers\[0\]"),
        ([Dense(4, 3), Dropout(0.5, scale=1.0), Dense(3, 2)], {}, r"at layers\[1\].*take Dropout\(0\.5\)"),
        ([Dense(4, 2, "exp")], {}, r"exp\(\) at layers\[0\].*logits=True"),
        ([Dense(4, 2)], {"members": 2}, r"a stack of 2 networks.*net\.member\(0\)"),
    ],
    ids=["hard", "swish", "gelu", "layer", "subclass", "scale", "exp", "stack"],
)
def test_what_pytorch_has_no_module_for_is_refused(layers, options, message):
    with pytest.raises(ValueError, match=message):
        to_torch(Network(layers, **options))


def test_an_output_without_a_module_goes_over_as_logits():
    net, x = randomized([Dense(4, 2, "exp")], "float64", 0)
    assert_allclose(np.exp(outputs(to_torch(net, logits=True), x)), net.predict(x), rtol=1e-12)
