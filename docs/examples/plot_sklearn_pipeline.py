"""
One import changed in a scikit-learn pipeline
=============================================

A pipeline with a `ColumnTransformer` and scikit-learn's `MLPClassifier` runs as it stands
with the class of the same name from ``mlpx.sklearn``: only the import changes. The
predictions are the same. What is new are parameters that scikit-learn's class does not
have, and a search that trains all its candidates at once.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# The data
# --------
#
# The table of 442 diabetes patients comes with scikit-learn. ``sex`` is a category there.
# The body mass index is kept as doctors speak of it, as one of three classes of weight; the
# other columns stay numbers. The question is whether the disease of a patient is among the
# quarter that progressed most within a year.

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

diabetes = load_diabetes(as_frame=True, scaled=False)
names = {"s1": "cholesterol", "s3": "hdl", "s5": "triglycerides", "s6": "glucose"}
table = diabetes.data[["age", "sex", "bmi", "bp", *names]].rename(columns=names)
table["sex"] = table["sex"].map({1.0: "group 1", 2.0: "group 2"})
classes = ["normal", "overweight", "obese"]
table["bmi"] = pd.cut(table["bmi"], [0, 25, 30, np.inf], right=False, labels=classes)
progress = np.where(diabetes.target >= diabetes.target.quantile(0.75), "fast", "slow")
table.head()

# %%
# The pipeline
# ------------
#
# Numbers are scaled and categories become columns of zeros and ones. The network is the
# last step. It is trained for a fixed number of epochs, so the warning that it has not
# converged is switched off.

import warnings

from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore", category=ConvergenceWarning)


def pipeline(network):
    """Return `network` behind the transformation of the columns."""
    numbers = table.select_dtypes("number").columns
    columns = make_column_transformer(
        (StandardScaler(), numbers),
        (OneHotEncoder(handle_unknown="ignore"), ["sex", "bmi"]),
    )
    return make_pipeline(columns, network)


X_train, X_test, y_train, y_test = train_test_split(
    table, progress, stratify=progress, random_state=0
)
settings = {"hidden_layer_sizes": 32, "max_iter": 100, "random_state": 0}

# %%
# With scikit-learn's class:

from sklearn import neural_network

before = pipeline(neural_network.MLPClassifier(**settings)).fit(X_train, y_train)
before.score(X_test, y_test)

# %%
# With one import changed:
#
# .. code-block:: diff
#
#    - from sklearn.neural_network import MLPClassifier
#    + from mlpx.sklearn import MLPClassifier

from mlpx.sklearn import MLPClassifier

after = pipeline(MLPClassifier(**settings)).fit(X_train, y_train)
after.score(X_test, y_test)

# %%
# From the same ``random_state`` the initial weights and the order of the rows are drawn as
# scikit-learn draws them, and the updates follow the same formulas. So the probabilities
# agree to rounding:

difference = np.abs(before.predict_proba(X_test) - after.predict_proba(X_test)).max()
assert difference < 1e-8
print(f"largest difference of a probability: {difference:.0e}")

# %%
# What it can do more
# -------------------
#
# One patient in four belongs to the class that matters. ``class_weight="balanced"`` gives
# both classes the same weight in the loss; ``dropout`` leaves out a part of the hidden
# units in each step. Cross-validation is scikit-learn's own. The balanced accuracy is the
# mean of two shares: that of the fast cases recognized and that of the slow ones.

from sklearn.model_selection import StratifiedKFold, cross_validate

folds = StratifiedKFold(5, shuffle=True, random_state=0)
metrics = ["balanced_accuracy", "roc_auc"]
variants = {
    "as in scikit-learn": {},
    "balanced classes": {"class_weight": "balanced"},
    "balanced classes, dropout": {"class_weight": "balanced", "dropout": 0.3},
}
means = pd.DataFrame(index=list(variants), columns=metrics, dtype=float)
for variant, parameters in variants.items():
    network = pipeline(MLPClassifier(**settings, **parameters))
    scores = cross_validate(network, table, progress, cv=folds, scoring=metrics)
    means.loc[variant] = [scores[f"test_{metric}"].mean() for metric in metrics]
means.round(3)

# %%
# Loss on rows that are not trained on
# ------------------------------------
#
# ``fit`` takes validation data, and ``validation_loss_curve_`` has their loss after each
# epoch. A large network learns the training rows by heart: its training loss falls on while
# the loss on the other rows rises. ``early_stopping`` keeps the weights of the best epoch.
# What is best, ``scoring`` says: any scorer of scikit-learn, here the loss itself. With
# dropout the loss falls for longer and then rises more slowly. The training loss is that of
# the thinned network, so it is larger and rough.

import matplotlib.pyplot as plt

X_fit, X_val, y_fit, y_val = train_test_split(
    X_train, y_train, stratify=y_train, random_state=0
)
columns = pipeline("passthrough").fit(X_fit)
X_fit, X_val = columns.transform(X_fit), columns.transform(X_val)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, dropout in zip(axes, (0.0, 0.5), strict=True):
    network = MLPClassifier(
        hidden_layer_sizes=(128, 128),
        max_iter=60,
        dropout=dropout,
        early_stopping=True,
        n_iter_no_change=60,
        scoring="neg_log_loss",
        random_state=0,
    )
    network.fit(X_fit, y_fit, X_val=X_val, y_val=y_val)
    losses = network.validation_loss_curve_
    epochs = np.arange(1, len(losses) + 1)
    best = np.argmin(losses)
    ax.plot(epochs, network.loss_curve_, label="training rows")
    ax.plot(epochs, losses, label="validation rows")
    ax.plot(epochs[best], losses[best], "o", color="C1", label="lowest: weights kept")
    ax.set(title=f"dropout {dropout:g}", xlabel="epoch")
    ax.grid(alpha=0.3)
axes[0].set(ylabel="cross-entropy (mean over rows)", ylim=0)
axes[0].legend(loc="lower left", frameon=False)
plt.show()

# %%
# A search that trains every candidate at once
# --------------------------------------------
#
# ``MLPSearchCV`` takes the arguments of ``GridSearchCV``, also around a pipeline: the
# columns are scaled and coded once for each fold, by its training rows. Here 5 learning
# rates, 5 penalties and 5 folds make 125 networks of one shape. They are trained side by
# side as one stack.

from mlpx.sklearn import MLPSearchCV

network = pipeline(
    MLPClassifier(hidden_layer_sizes=16, batch_size=32, max_iter=40, random_state=0)
)
grid = {
    "mlpclassifier__learning_rate_init": [0.0003, 0.001, 0.003, 0.01, 0.03],
    "mlpclassifier__alpha": [0.001, 0.01, 0.1, 1.0, 10.0],
}
search = MLPSearchCV(network, grid, cv=folds, scoring="roc_auc").fit(X_train, y_train)
print(search.best_params_)
print(f"ROC AUC: {search.best_score_:.3f} over the folds,", end=" ")
print(f"{search.score(X_test, y_test):.3f} on the test rows")

# %%
# The mean over the folds for each candidate; the best one has a frame:

results = pd.DataFrame(search.cv_results_)
rate, penalty = (f"param_{parameter}" for parameter in grid)
scores = results.pivot(index=penalty, columns=rate, values="mean_test_score")
best = np.unravel_index(np.argmax(scores), scores.shape)
middle = (scores.max(axis=None) + scores.min(axis=None)) / 2

figure, ax = plt.subplots(figsize=(6, 4.2), layout="constrained")
image = ax.imshow(scores, cmap="viridis", origin="lower")
for row, column in np.ndindex(scores.shape):
    score = scores.iloc[row, column]
    color = "white" if score < middle else "black"
    ax.text(column, row, f"{score:.3f}", ha="center", va="center", color=color)
frame = plt.Rectangle((best[1] - 0.5, best[0] - 0.5), 1, 1, fill=False, ec="red", lw=2)
ax.add_patch(frame)
ax.set_xticks(range(scores.shape[1]), [f"{value:g}" for value in scores.columns])
ax.set_yticks(range(scores.shape[0]), [f"{value:g}" for value in scores.index])
ax.set(xlabel="learning rate", ylabel="alpha (penalty)")
figure.colorbar(image, label="ROC AUC (mean over 5 folds)")
plt.show()
