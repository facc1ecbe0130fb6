"""The small data sets that scikit-learn ships, as tables with a named target."""

from __future__ import annotations

from mlpx.tables.reading import Table
from mlpx.tables.requirements import require, suggestion

#: Name of each data set and of its target column.
TARGETS = {
    "digits": "digit",
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "diabetes": "progression",
}


def load_dataset(name: str) -> Table:
    """Load one of the data sets that scikit-learn ships; nothing is downloaded.

    Parameters
    ----------
    name : {"digits", "iris", "wine", "breast_cancer", "diabetes"}
        ``diabetes`` is a regression, the others are classifications.

    Returns
    -------
    Table
        With the target as its last column: class names where the data set has them, numbers otherwise.

    Raises
    ------
    ValueError
        If there is no data set of that name.
    ImportError
        If scikit-learn or pandas is missing; the message holds the install command.

    Examples
    --------
    >>> from mlpx.datasets import load_dataset
    >>> table = load_dataset("iris")
    >>> table.frame.shape, table.target
    ((150, 5), 'species')
    """
    if name not in TARGETS:
        msg = f"there is no data set `{name}`{suggestion(name, TARGETS)}; the data sets are {', '.join(TARGETS)}"
        raise ValueError(msg)
    purpose = f"the data set `{name}`"
    require("pandas", purpose)
    bunch = getattr(require("sklearn.datasets", purpose), f"load_{name}")(as_frame=True)
    frame = bunch.data.copy()
    classes = [str(label) for label in bunch.get("target_names", ())]
    frame[TARGETS[name]] = [classes[i] for i in bunch.target] if classes else bunch.target
    return Table(name, frame, TARGETS[name], one_scale=name == "digits")  # pixels
