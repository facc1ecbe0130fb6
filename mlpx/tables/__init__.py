"""Tables in, numbers out: reading files, and the description of columns that travels with a model.

``as_frame`` takes tables of pandas, polars and Arrow and files of CSV, Parquet and npz. ``Preprocessing`` is fitted on
the training rows alone, turns any later table with the same columns into the network's inputs, and is a plain
dictionary inside the model file:

>>> from mlpx.tables import Preprocessing, as_frame, split_by_fraction
>>> frame = as_frame("flowers.csv")                                  # doctest: +SKIP
>>> split = split_by_fraction(len(frame), 0.2)                       # doctest: +SKIP
>>> train = frame.iloc[split.train]                                  # doctest: +SKIP
>>> preprocessing = Preprocessing.fit(train, "species")              # doctest: +SKIP
>>> X, y = preprocessing.transform(train), preprocessing.transform_target(train)   # doctest: +SKIP

pandas is imported when a table is first read or fitted, not before.
"""

from mlpx.tables.columns import CategoryColumn, DateColumn, EmbeddedColumn, LeftOut, NumberColumn, Source
from mlpx.tables.frames import as_frame
from mlpx.tables.predicting import predict_table
from mlpx.tables.preprocessing import Preprocessing
from mlpx.tables.reading import Table, read_table
from mlpx.tables.splits import Split, split_by_column, split_by_fraction, split_by_group, split_by_time
from mlpx.tables.targets import ClassTarget, NumberTarget, infer_task

__all__ = [
    "CategoryColumn",
    "ClassTarget",
    "DateColumn",
    "EmbeddedColumn",
    "LeftOut",
    "NumberColumn",
    "NumberTarget",
    "Preprocessing",
    "Source",
    "Split",
    "Table",
    "as_frame",
    "infer_task",
    "predict_table",
    "read_table",
    "split_by_column",
    "split_by_fraction",
    "split_by_group",
    "split_by_time",
]
