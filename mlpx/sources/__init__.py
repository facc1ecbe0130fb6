"""Sources: rows that do not fit into memory, read piece by piece, shuffled in a buffer of bounded size.

`Mapped` reads arrays in files, `Parquet` reads tables through Arrow, `Batches` takes pieces from any iterable. A source
stands where `X` and `y` stand in `mlpx.Network.fit`, `predict`, `predict_labels` and `evaluate`.
"""

from mlpx.sources.base import BUFFER, Block, Piece, Source
from mlpx.sources.iterables import Batches
from mlpx.sources.mapped import Mapped
from mlpx.sources.parquet import Parquet

__all__ = ["BUFFER", "Batches", "Block", "Mapped", "Parquet", "Piece", "Source"]
