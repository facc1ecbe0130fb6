"""Tables in, numbers out: reading files, and the description of columns that travels with a model.

``read_table`` opens CSV, Parquet and npz files. ``Preprocessing`` is fitted on the training rows alone, turns any later
table with the same columns into the network's inputs, and is a plain dictionary inside the model file:

>>> from mlpx.tables import Preprocessing, read_table
>>> table = read_table("flowers.csv")                                # doctest: +SKIP
>>> preprocessing = Preprocessing.fit(table.frame, "species")        # doctest: +SKIP
>>> X, y = preprocessing.transform(table.frame), preprocessing.transform_target(table.frame)   # doctest: +SKIP

pandas is imported when a table is first read or fitted, not before.
"""

from mlpx.tables.columns import CategoryColumn, DateColumn, EmbeddedColumn, LeftOut, NumberColumn, Source
from mlpx.tables.frames import as_frame
from mlpx.tables.predicting import predict_table
from mlpx.tables.preprocessing import Preprocessing
from mlpx.tables.reading import Table, read_table
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
    "Table",
    "as_frame",
    "infer_task",
    "predict_table",
    "read_table",
]
