"""The engine pandas: one DataFrame after another, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa

from dicomframe.plugin import Backend, DicomFrames, ReadPlan, hookimpl


@dataclass(frozen=True)
class LazyFrame:
    """A frame that is read when it is asked for."""

    plan: ReadPlan
    columns: tuple[str, ...]
    frame: str

    def __getitem__(self, columns: list[str]) -> LazyFrame:
        """Return the frame with these columns only; what is left out is not read."""
        return replace(self, columns=tuple(columns))

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows of each partition."""
        for partition in self.plan.partitions:
            batches = self.plan.reader.read_frame(self.frame, partition, self.columns)
            yield pa.Table.from_batches(batches)

    def load(self) -> pd.DataFrame:
        """Read the files and return their rows."""
        table = pa.concat_tables(self.tables())
        return table.to_pandas(types_mapper=pd.ArrowDtype)


class PandasBackend(Backend):
    """Read in this process, when a frame is loaded."""

    def build(self, plan: ReadPlan) -> DicomFrames:
        """Return the lazy frames."""
        return DicomFrames(
            dicom=LazyFrame(plan, tuple(plan.dicom_schema.names), "dicom"),
            corrupt=LazyFrame(plan, tuple(plan.corrupt_schema.names), "corrupt"),
        )

    def to_arrow(self, frame: LazyFrame) -> pa.Table:
        """Return the rows of a frame."""
        return pa.concat_tables(frame.tables())


@hookimpl
def dicomframe_register_backend() -> Backend:
    """Return the backend of the engine ``pandas``."""
    return PandasBackend()
