"""From a table to a trained model and its predictions, in the table's own words."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from mlpx._checks import check_choice, check_count, check_flag, check_number
from mlpx._notes import Note, warn
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.exceptions import DivergenceError
from mlpx.history import History
from mlpx.model import Network
from mlpx.persistence import load as load_network
from mlpx.tables.frames import as_frame
from mlpx.tables.inferred import columns_inferred, rows_inferred, unlabelled
from mlpx.tables.predicting import choose, predict_outputs
from mlpx.tables.preprocessing import Preprocessing, check_columns, labelled_rows
from mlpx.tables.reading import Table, read_table
from mlpx.tables.recipe import Recipe
from mlpx.tables.report import Report, make_report
from mlpx.tables.requirements import require
from mlpx.tables.rows import divide
from mlpx.tables.scores import score_classes, score_numbers
from mlpx.tables.targets import ClassTarget, Task, infer_task
from mlpx.tables.training import Training, build_network, class_weights, diverged, train_network

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["TabularModel"]


class TabularModel:
    """A model of a table: learns columns, builds networks, trains them and predicts.

    Every argument has a default that follows the table; the guide's page "Tables" says where they come from.

    Parameters
    ----------
    task : {"auto", "classification", "regression"}
        ``"auto"`` follows the target: texts, truth values and whole numbers of few values are classes.
    hidden : sequence of int, optional
        Units of the hidden layers; by default two layers whose width follows the number of training rows.
    members : int
        Networks that are trained side by side; their predictions are averaged.
    activation : str or Activation
        Of the hidden layers.
    bins : int, optional
        Pieces along each column of numbers that get inputs of their own (``mlpx.tables.NumberColumn``); 0 for none. By
        default one for every 50 training rows, 32 at most.
    epochs, batch_size : int, optional
        Passes through the training rows, and rows a step.
    learning_rate : float, optional
        The greatest of one cycle (`mlpx.schedules.OneCycle`) of Adam; by default 0.008 at 256 rows a step, and less at
        fewer by the square root of their number.
    weight_decay : float
        As in `mlpx.AdamW`.
    l2 : float
        Penalty on the weights, as for `Network`.
    dropout : float
        Rate after every hidden activation.
    label_smoothing : float
        Share of each class that is spread over all, for classification.
    class_weight : dict or "balanced", optional
        Weight by class, for classification.
    validation : float
        Share of the training rows by which the best epoch of each member is chosen; 0 to learn from all rows.
    patience : int, optional
        Stop a member after so many epochs in a row without a better loss on the validation rows.
    seed : int
        Of the draws of rows, of weights and of batches. The same seed gives the same model on the same machine.
    backend, device, dtype
        As for `Network`.
    progress : bool
        Whether to show a progress bar, where standard error is a terminal.

    Attributes
    ----------
    network : Network
        The trained network, or a stack of them.
    preprocessing : Preprocessing
        What the columns become.
    history : History
        Numbers by epoch; None in a model that was loaded.
    inferred : tuple of str
        Sentences that say what was inferred: the task, the rows, the columns, the network, its training.
    test : pandas.DataFrame or None
        The rows that were kept for a test.
    training : Training or None
        The table, its rows and the settings of the last fit, known as soon as training begins; None in a model that
        was loaded.

    Raises
    ------
    ValueError, TypeError
        For an argument out of its range.

    Examples
    --------
    >>> import mlpx
    >>> table = {"x": [i / 50 for i in range(100)], "y": [(i / 50) ** 2 for i in range(100)]}
    >>> model = mlpx.TabularModel(seed=1, members=2).fit(table, "y", test=0.2)
    >>> model.evaluate(model.test)["r2"] > 0.9
    True
    >>> model.predict({"x": [0.5, 1.5]}).shape
    (2,)
    """

    network: Network
    preprocessing: Preprocessing

    def __init__(
        self,
        task: Task | Literal["auto"] = "auto",
        *,
        hidden: Sequence[int] | None = None,
        members: int = Recipe.members,
        activation: str | Activation = Recipe.activation,
        bins: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = Recipe.weight_decay,
        l2: float = 0.0,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
        validation: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        backend: str | Backend | None = None,
        device: str | None = None,
        dtype: str = "float32",
        progress: bool = True,
    ) -> None:
        self.task = check_choice("task", task, ("auto", "classification", "regression"))
        self._wishes: dict[str, Any] = {
            "hidden": hidden,
            "members": members,
            "activation": activation,
            "bins": bins,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "l2": l2,
            "dropout": dropout,
            "label_smoothing": label_smoothing,
            "class_weight": class_weight,
            "patience": patience,
        }
        checked = Recipe.for_rows(1, **self._wishes)  # refuses at once what no table would make good
        self._wishes["hidden"] = None if hidden is None else checked.hidden
        self.validation = check_number("validation", validation, least=0, below=1)
        self.seed = check_count("seed", seed, least=0)
        self.where = {"backend": backend, "device": device, "dtype": dtype}
        self.progress = check_flag("progress", progress)
        self.history: History | None = None
        self.inferred: tuple[str, ...] = ()
        self.test: pd.DataFrame | None = None
        self.training: Training | None = None

    # Learning.

    def fit(
        self,
        table: Any,
        target: str,
        *,
        test: Any = None,
        split: str | None = None,
        group: str | None = None,
        time: str | None = None,
        drop: Collection[str] = (),
        callbacks: Any = (),
    ) -> TabularModel:
        """Learn the columns and train the network; a second call starts over.

        Parameters
        ----------
        table : table
            A frame of pandas or polars, a table of Arrow, a dictionary of columns, or the path of a CSV or Parquet
            file; see ``mlpx.tables.as_frame``. Or what `mlpx.tables.read_table` gives, which may have test rows of its
            own. Rows without a target are left out, and a warning says how many.
        target : str
            The column to predict.
        test : float or table, optional
            The share of the rows that are kept for a test, or a table of such rows; they stand in `test` afterwards.
            Nothing is learnt from them.
        split : str, optional
            A column that says train, test or validation in every row.
        group : str, optional
            A column of groups, such as patients: test and validation rows are whole groups. It is no input.
        time : str, optional
            A column of dates or numbers: test and validation rows are the latest.
        drop : collection of str
            Columns that are not to be used.
        callbacks : Callback, callable or sequence of these
            As for `Network.fit`.

        Returns
        -------
        TabularModel
            The model itself.

        Raises
        ------
        ValueError, TypeError
            For a table that cannot be learnt from; the message names the column.
        DivergenceError
            Where loss or weights are no longer finite; its rows are positions in `table`. Where whole epochs came
            before, the model is that of these.

        Examples
        --------
        >>> import mlpx
        >>> table = {"size": [1, 2, 8, 9] * 5, "kind": ["small", "small", "big", "big"] * 5}
        >>> model = mlpx.TabularModel(members=2, epochs=10).fit(table, "kind")
        >>> model.inferred[0]
        'task: classification; `kind` holds the classes `big`, `small`'
        """
        target, dropped = str(target), _as_list(drop)
        split, group, time = (None if name is None else str(name) for name in (split, group, time))
        read = _as_table(table)
        test = read.test if test is None else test
        frame = labelled_rows(read.frame, target)
        lost = unlabelled(len(read.frame) - len(frame), target)
        if lost:
            warn(lost)
        check_columns(frame, [*(name for name in (split, group, time) if name), *dropped])
        task: Task = infer_task(frame[target]) if self.task == "auto" else cast("Task", self.task)
        share = check_number("test", test, above=0, below=1) if isinstance(test, (int, float, np.number)) else 0.0
        divided = divide(
            frame,
            classes=frame[target] if task == "classification" else None,
            test=share,
            validation=self.validation,
            split=split,
            group=group,
            time=time,
            seed=self.seed,
        )
        learnt = frame.iloc[np.union1d(divided.train, divided.validation)]
        recipe = Recipe.for_rows(len(learnt), **self._wishes)
        unused = {*dropped, *([group] if group else [])}
        preprocessing = Preprocessing.fit(
            learnt,
            target,
            task=task,
            drop=unused,
            split=split,
            bins=recipe.bins,
            one_scale=read.one_scale,
            source=read.source if read.name else None,
        )
        class_weights(recipe.class_weight, preprocessing.target)  # refuses before anything is built
        kept = frame.iloc[divided.test] if share or test is None else labelled_rows(as_frame(test), target)
        preprocessing.transform(kept, note=str)  # what cannot be read is refused before training
        preprocessing.transform_target(kept)
        self.test = kept if len(kept) else None
        network = build_network(preprocessing, recipe, seed=self.seed, **self.where)
        self.training = Training(frame, divided, recipe, preprocessing)
        self.inferred = (
            *columns_inferred(preprocessing),
            rows_inferred(divided) + (f"; {lost}" if lost else ""),
            recipe.describe(preprocessing.target.width),
        )
        good = True
        try:
            self.history = train_network(
                network, preprocessing, recipe, frame, divided, callbacks=callbacks, progress=self.progress
            )
        except DivergenceError as error:
            good, self.history = any(network.epochs_seen), error.history
            labelled = np.flatnonzero(read.frame[target].notna())
            raise diverged(error, labelled[divided.train], recipe, kept=good) from None
        finally:
            if good and any(network.steps_seen):  # what was learnt stays, also where a callback or Ctrl-C broke it off
                self.network, self.preprocessing = network, preprocessing
        return self

    # Using what was learned.

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels, as the table has them, in the order of `predict_proba`'s columns; empty for a regression."""
        target = self._fitted().target
        return tuple(target.labels.tolist()) if isinstance(target, ClassTarget) else ()

    def predict(self, table: Any, *, note: Note = warn) -> NDArray[Any]:
        """Predict the target of every row.

        Parameters
        ----------
        table : table
            With the columns of the training table, in any order; the target may be absent.
        note : callable
            Takes a sentence for everything that was passed over, such as categories that training did not have; a
            warning by default.

        Returns
        -------
        numpy.ndarray
            Shape (n,): labels as the training table has them (texts, whole or other numbers, truth values; all as texts
            where it mixes them), or numbers in the target's own unit.

        Raises
        ------
        ValueError
            For a table that lacks columns, or holds texts where training had numbers.

        Examples
        --------
        >>> import mlpx
        >>> table = {"size": [1, 2, 8, 9] * 5, "kind": ["small", "small", "big", "big"] * 5}
        >>> model = mlpx.TabularModel(members=2).fit(table, "kind")
        >>> model.predict({"size": [2, 8]}).tolist()
        ['small', 'big']
        """
        target = self._fitted().target
        outputs = predict_outputs(self.network, self.preprocessing, table, note=note)
        return target.labels[choose(outputs)] if isinstance(target, ClassTarget) else target.decode(outputs)

    def predict_proba(self, table: Any, *, note: Note = warn) -> pd.DataFrame:
        """Predict the probability of each class.

        Parameters
        ----------
        table, note
            As for `predict`.

        Returns
        -------
        pandas.DataFrame
            One column a class, named by its label, with the index of the table; ``to_numpy()`` gives the array.

        Raises
        ------
        ValueError
            For a regression, and as `predict`.

        Examples
        --------
        >>> import mlpx
        >>> table = {"size": [1, 2, 8, 9] * 5, "kind": ["small", "small", "big", "big"] * 5}
        >>> model = mlpx.TabularModel(members=2).fit(table, "kind")
        >>> model.predict_proba({"size": [2, 8]}).columns.tolist()
        ['big', 'small']
        """
        if not self.classes:
            msg = f"`predict_proba` is for classes; `{self.preprocessing.target.name}` is a number; use `predict`"
            raise ValueError(msg)
        frame = as_frame(table)
        outputs = predict_outputs(self.network, self.preprocessing, frame, note=note)
        if outputs.shape[1] == 1:  # one sigmoid, as in a network that was made by hand
            outputs = np.concatenate([1 - outputs, outputs], axis=1)
        pandas = require("pandas", "a table of probabilities")
        table_of: pd.DataFrame = pandas.DataFrame(outputs, columns=list(self.classes), index=frame.index)
        return table_of

    def evaluate(self, table: Any, *, note: Note = warn) -> dict[str, float]:
        """Compare predictions with the target.

        Parameters
        ----------
        table : table
            Rows with the target; those where it is missing are left out.
        note
            As for `predict`.

        Returns
        -------
        dict of str to float
            ``accuracy``, ``log_loss`` and, where every class occurs, ``roc_auc``; for a regression ``rmse``, ``mae``
            and ``r2``, in the target's own unit.

        Raises
        ------
        ValueError
            For a table without the target, for a class that training did not have, and as `predict`.

        Examples
        --------
        >>> import mlpx
        >>> table = {"size": [1, 2, 8, 9] * 5, "kind": ["small", "small", "big", "big"] * 5}
        >>> model = mlpx.TabularModel(members=2).fit(table, "kind")
        >>> model.evaluate(table)["accuracy"]
        1.0
        """
        target = self._fitted().target
        frame = labelled_rows(as_frame(table), target.name)
        truth = target.encode(frame[target.name])
        if not isinstance(target, ClassTarget):
            return score_numbers(target.decode(truth), self.predict(frame, note=note))
        probabilities = self.predict_proba(frame, note=note).to_numpy()
        return score_classes(np.searchsorted(np.asarray(target.classes), truth), probabilities)

    def report(
        self, table: Any = None, *, importance: bool | None = None, repeats: int = 5, note: Note = warn
    ) -> Report:
        """Measure the model on rows with the target, beside a trivial and a linear model.

        Parameters
        ----------
        table : table, optional
            Rows that training did not have; by default those of `test`.
        importance : bool, optional
            Whether to shuffle each column in turn, to see how much the model needs it; by default up to 100 columns.
        repeats : int
            How often each column is shuffled.
        note
            As for `predict`.

        Returns
        -------
        Report
            ``print(report)`` shows it, ``report.to_html(path)`` writes a page with pictures.

        Raises
        ------
        ValueError
            Without rows to measure on, and as `evaluate`.

        Examples
        --------
        >>> import mlpx
        >>> table = {"x": [i / 50 for i in range(100)], "y": [(i / 50) ** 2 for i in range(100)]}
        >>> model = mlpx.TabularModel(members=2).fit(table, "y", test=0.2)
        >>> report = model.report()
        >>> report.scores["model"]["rmse"] < report.scores["linear model"]["rmse"]
        True
        >>> report.importance[0].column
        'x'
        """
        self._fitted()
        rows = self.test if table is None else as_frame(table)
        if rows is None:
            msg = "`table` must give rows to measure on, since `fit` kept none; give `test` to `fit`, or rows here"
            raise ValueError(msg)
        return make_report(self, rows, importance=importance, repeats=check_count("repeats", repeats), note=note)

    # Files.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file: the network's own, with the description of the columns in it.

        Parameters
        ----------
        path : str or path
            By convention it ends in ``.mlpx``.

        Raises
        ------
        OSError
            Where the file cannot be written; an existing one is then as it was.

        Examples
        --------
        >>> import mlpx, pathlib, tempfile
        >>> table = {"size": [1, 2, 8, 9] * 5, "kind": ["small", "small", "big", "big"] * 5}
        >>> model = mlpx.TabularModel(members=2).fit(table, "kind")
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kinds.mlpx"
        >>> model.save(path)
        >>> mlpx.TabularModel.load(path).classes
        ('big', 'small')
        """
        self._fitted()
        self.network.save(path)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the model as an ONNX file, whose inputs are the columns; see `mlpx.conversion.to_onnx`.

        Parameters
        ----------
        path : str or path
            By convention it ends in ``.onnx``.

        Raises
        ------
        ImportError
            Where the package onnx is not installed.

        Examples
        --------
        >>> import mlpx
        >>> table = {"x": list(range(50)), "y": [2.0 * i for i in range(50)]}
        >>> mlpx.TabularModel(epochs=2).fit(table, "y").to_onnx("lines.onnx")
        """
        from mlpx.conversion import to_onnx

        self._fitted()
        to_onnx(self.network, path)

    def to_standalone(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a program that needs NumPy alone; see `mlpx.conversion.to_standalone`.

        Parameters
        ----------
        path : str or path
            A file that ends in ``.py``; the parameters go into the ``.npz`` beside it.

        Raises
        ------
        ValueError
            For another ending.

        Examples
        --------
        >>> import mlpx
        >>> table = {"x": list(range(50)), "y": [2.0 * i for i in range(50)]}
        >>> mlpx.TabularModel(epochs=2).fit(table, "y").to_standalone("lines.py")
        """
        from mlpx.conversion import to_standalone

        self._fitted()
        to_standalone(self.network, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: str | Backend | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> TabularModel:
        """Read a model from a file that `save` or ``mlpx train`` wrote.

        Parameters
        ----------
        path : str or path
            The file.
        backend, device
            As for `Network`.
        dtype : str, optional
            What to compute in; by default as the model was trained.

        Returns
        -------
        TabularModel
            It predicts as the saved one did; a `fit` of it starts over, with the defaults of the class.

        Raises
        ------
        ModelFileError
            If the file is damaged or no model.
        ValueError
            If the model holds no description of columns.

        Examples
        --------
        >>> import mlpx, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "lines.mlpx"
        >>> table = {"x": list(range(50)), "y": [2.0 * i for i in range(50)]}
        >>> mlpx.TabularModel(epochs=2).fit(table, "y").save(path)
        >>> mlpx.TabularModel.load(path).predict({"x": [3]}).shape
        (1,)
        """
        network = load_network(path, backend=backend, device=device, dtype=dtype)
        if network.preprocessing is None:
            msg = f"{os.fspath(path)!r} holds a network without a table's columns; read it by `mlpx.load`"
            raise ValueError(msg)
        return cls.from_network(network)

    @classmethod
    def from_network(cls, network: Network) -> TabularModel:
        """Give the model of a network that was trained on a table.

        Parameters
        ----------
        network : Network
            With the description of the columns in ``network.preprocessing``, such as `mlpx.load` gives.

        Returns
        -------
        TabularModel

        Raises
        ------
        ValueError
            If it holds no description of columns.

        Examples
        --------
        >>> import mlpx
        >>> table = {"x": list(range(50)), "y": [2.0 * i for i in range(50)]}
        >>> model = mlpx.TabularModel(epochs=2).fit(table, "y")
        >>> mlpx.TabularModel.from_network(model.network).predict({"x": [3]}).shape
        (1,)
        """
        if network.preprocessing is None:
            msg = "`network` must hold a description of columns in `network.preprocessing`; this one holds none"
            raise ValueError(msg)
        preprocessing = Preprocessing.from_dict(network.preprocessing)
        model = cls(preprocessing.task, members=network.members or 1, backend=network.backend)
        model.network, model.preprocessing = network, preprocessing
        model.inferred = columns_inferred(preprocessing)
        return model

    def _fitted(self) -> Preprocessing:
        """Give the description of the columns, which a model has once it has learnt."""
        if not hasattr(self, "preprocessing"):
            msg = "this model has not learnt from a table yet; call `fit` first, or read a model by `TabularModel.load`"
            raise ValueError(msg)
        return self.preprocessing

    def __repr__(self) -> str:
        if not hasattr(self, "preprocessing"):
            return "<TabularModel, not fitted>"
        return f"<TabularModel of `{self.preprocessing.target.name}`, {self.preprocessing.task}: {self.network!r}>"


def _as_table(table: Any) -> Table:
    """Give a table with what its source tells about it; a name is told by files alone."""
    if isinstance(table, Table):
        return table
    return read_table(table) if isinstance(table, (str, Path)) else Table("", as_frame(table))


def _as_list(names: Collection[str]) -> list[str]:
    """Refuse one text, of which every letter would be a column."""
    if isinstance(names, str):
        msg = f"`drop` must be a list of columns, such as [{names!r}]; got {names!r}"
        raise TypeError(msg)
    return [str(name) for name in names]
