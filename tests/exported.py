"""Networks and tables that the tests of exports share."""

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from mlpx import Dense, Dropout, Embedding, Maxout, Network, PReLU, Skip, activations
from mlpx.conversion.tracing import UNARY
from mlpx.differentiation import activation_from_formula

OUTPUTS = ["linear", "sigmoid", "softmax", "exp", "step", "softplus", "tanh"]


def formulas():
    """Return activations from texts, which together call every function that a formula may have."""
    try:
        import sympy  # noqa: F401
    except ImportError:
        return []
    return [
        activation_from_formula("x * sigmoid(beta*x)", beta=1.5),
        activation_from_formula("softplus(x) + expm1(-abs(x)) + log1p(x**2)"),
        activation_from_formula("tanh(x/3) + exp(-x**2) + log(1 + x**2) + sqrt(x**2 + 1) + erf(x/2)"),
        activation_from_formula("sin(x) - cos(2*x) + tan(x/30) + atan(x) + sinh(x/30) + cosh(x/30)"),
        activation_from_formula("max(x, 0.1*x) + min(x, 1) + sign(x) + step(x - 1/3) + relu(x) / (1 + x**4)"),
    ]


def custom(function):
    """Return an activation that is never trained."""
    return activations.custom(function, lambda z, xp: xp.ones_like(z))


FUNCTIONS = {
    **{name: lambda z, xp, name=name: getattr(xp, name)(z) for name in set(UNARY) - {"logical_not"}},
    **{name: lambda z, xp, name=name: getattr(xp, name)(z, 0.4) for name in ("maximum", "minimum", "pow", "divide")},
    **{name: lambda z, xp, name=name: getattr(xp, name)(z, 0.4) for name in ("greater", "less_equal", "not_equal")},
    **{name: lambda z, xp, name=name: z + getattr(xp, name)(z, axis=-1, keepdims=True) for name in ("max", "min")},
    **{name: lambda z, xp, name=name: z + getattr(xp, name)(z, axis=-1, keepdims=True) for name in ("mean", "sum")},
    "prod": lambda z, xp: z - xp.prod(z, axis=-1, keepdims=True),
    "logic": lambda z, xp: xp.where((z > 0.2) & (z < 0.5) | xp.logical_not(z == 0.7), -z, abs(z) ** 2 - 1),
    "brackets": lambda z, xp: (1 - (z - (2 - z))) / (z / (3 / (-z * 2))) ** 2 ** (-z),
}
"""Functions by name, each with what it calls."""

MADE = {"automatic", "custom", "formula", "exp", "softmax", "step"}
NAMED = sorted(set(activations.Activation.known) & set(activations.__all__) - MADE)
ACTIVATIONS = [
    *(activations.get(name) for name in NAMED),
    activations.leaky_relu(-0.5),
    activations.elu(0.3),
    activations.swish(-2.0),
    activations.gelu("tanh"),
    activations.gelu("logistic"),
    activations.automatic(lambda z, xp: xp.sin(z) * z),
    activations.custom(lambda z, xp: xp.clip(z, -2.0, 3.0), lambda z, xp: xp.ones_like(z)),
    *formulas(),
]


@st.composite
def layers(draw, fan_in, fan_out, depth=0):
    """Draw layers between two widths."""
    kind = draw(st.sampled_from(["dense", "maxout", "prelu", "dropout", *(["skip"] if depth < 2 else [])]))
    dense = Dense(fan_in, fan_out, draw(st.sampled_from(ACTIVATIONS)), bias=draw(st.booleans()))
    if kind == "maxout":
        return [Maxout(fan_in, fan_out, pieces=draw(st.integers(1, 3)))]
    if kind == "prelu":
        return [Dense(fan_in, fan_out), PReLU(fan_out)]
    if kind == "dropout":
        return [Dropout(0.3), dense]
    if kind == "skip":
        middle = draw(st.integers(1, 4))
        within = [*draw(layers(fan_in, middle, depth + 1)), *draw(layers(middle, fan_out, depth + 1))]
        return [Skip(*within, activation=draw(st.sampled_from(["identity", "relu", "tanh"])))]
    return [dense]


@st.composite
def networks(draw):
    """Draw a single network of up to three layers, and blocks in them."""
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    within = [layer for m, k in pairwise(widths) for layer in draw(layers(m, k))]
    units = draw(st.integers(1, 3))
    output = draw(st.sampled_from([name for name in OUTPUTS if name != "softmax" or units > 1]))
    loss = None if output in ("linear", "sigmoid", "softmax", "exp", "step") else "squared_error"
    return Network(
        [*within, Dense(widths[-1], units, output)],
        loss=loss,
        dtype=draw(st.sampled_from(["float32", "float64"])),
        seed=draw(st.integers(0, 99)),
    )


class EveryKind:
    """A table with columns of every kind, with gaps, and a network with initial weights that takes it."""

    def __init__(self, target, members=None, dtype="float32"):
        from mlpx.tables import Preprocessing

        train, self.test = table(600, seed=0, strange=False), table(150, seed=1, strange=True)
        other = {"class": "number", "number": "class"}[target]
        self.preprocessing = Preprocessing.fit(train, target, drop=[other], bins=5)
        tables, start = [], 0
        for column in self.preprocessing.columns:
            if type(column).__name__ == "EmbeddedColumn":
                tables.append((start, len(column.categories) + 1, 3))
            start += column.width
        embedding = Embedding(start, tables)
        output = "softmax" if target == "class" else "linear"
        self.net = Network(
            [embedding, Dense(embedding.fan_out, 8, "gelu"), Dense(8, self.preprocessing.target.width, output)],
            members=members,
            dtype=dtype,
        )
        self.net.preprocessing = self.preprocessing.to_dict()
        self.net.classes = getattr(self.preprocessing.target, "classes", None)

    def outputs(self):
        """Return what mlpx predicts: probabilities, or numbers in the target's own unit."""
        X = self.preprocessing.transform(self.test, dtype=self.net.master_dtype_name, note=lambda sentence: None)
        outputs = np.asarray(self.net.predict(X))
        outputs = outputs if self.net.members is None else outputs.mean(axis=0)
        decode = getattr(self.preprocessing.target, "decode", None)
        return outputs if decode is None else decode(outputs)

    def feeds(self):
        """Return the test table as onnxruntime takes it."""
        return {column.name: as_input(self.test[column.name])[:, None] for column in self.preprocessing.columns}


def as_input(series):
    """Return a column as an input of the graph: numbers and seconds with NaN, texts with the empty one."""
    if series.dtype.kind == "M":
        return np.where(series.isna(), np.nan, series.to_numpy("datetime64[us]").astype(np.int64) / 1e6)
    if series.dtype.kind == "f":
        return series.to_numpy(np.float64)
    return np.array(["" if value is None or value != value else str(value) for value in series], dtype=object)


def table(rows, seed, strange):
    """Return a table; a strange one has categories that the other has not."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    codes = [f"code {i}" for i in range(40)] + (["none of these"] if strange else [])
    frame = pd.DataFrame(
        {
            "size": rng.normal(40, 10, rows),
            "gaps": np.exp(rng.normal(9, 2, rows)),
            "kind": rng.choice(["plain", 'with "quotes", and a comma', "ümläut", *(["new"] if strange else [])], rows),
            "code": rng.choice(codes, rows),
            "flag": rng.choice([True, False], rows),
            "when": pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 10**8, rows), unit="s"),
        }
    )
    for name in ("gaps", "kind", "code", "when"):
        frame.loc[rng.random(rows) < 0.1, name] = None
    frame["class"] = rng.choice(["no", "yes", "perhaps"], rows)
    frame["number"] = 3 * frame["size"] + 1000
    return frame
