"""Open a catalogue and read its live rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from fsspec.spec import AbstractFileSystem

from dicomframe.catalog.columns import FRAMES, make_schema
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.state import State, list_states, read_state
from dicomframe.errors import CatalogError, InvalidOptionError
from dicomframe.scan.live_rows import LiveRows
from dicomframe.scan.tags import parse_tags

__all__ = ["Catalog", "find_rows", "read_live"]


class Catalog:
    """Hold one state of a catalogue, the newest when it was opened.

    The state never changes, whatever runs write meanwhile: its files stay for at least an hour
    after another state took its place.

    Parameters
    ----------
    path : str or path
        The folder that `index_dicom` wrote, by path or URL.
    storage_options : dict, optional
        What fsspec needs to connect; shown nowhere.

    Attributes
    ----------
    number : int
        The number of the state.
    tags : dict of str to str
        The columns of tags, each with the path of its tag.
    counts : dict
        ``files`` (those that were listed), ``dicom`` (rows of sound ones) and ``corrupt``, a dict
        of reasons to rows.

    Raises
    ------
    FileNotFoundError
        There is no catalogue.
    InvalidOptionError
        `path` cannot name one.
    CatalogError
        It is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from dicomframe import Catalog, index_dicom
    >>> from dicomframe.testing.samples import real_files
    >>> folder = tempfile.mkdtemp()
    >>> report = index_dicom(real_files("CT_small.dcm"), folder)
    >>> Catalog(folder).to_table("dicom", ["Modality", "Rows"]).to_pylist()
    [{'Modality': 'CT', 'Rows': 128}]
    """

    def __init__(
        self, path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
    ) -> None:
        self._place = CatalogPlace.at(path, storage_options)
        self.storage_options = dict(storage_options or {})
        numbers = list_states(self._place)
        if not numbers:
            raise FileNotFoundError(_nothing_at(self._place))
        self._state = read_state(self._place, numbers[-1])
        self.number = self._state.number
        self.tags = dict(self._state.tags)
        self.counts = {
            "files": self._state.files,
            "dicom": self._state.dicom,
            "corrupt": dict(self._state.corrupt),
        }

    def __repr__(self) -> str:
        return f"Catalog({self._place.origin!r}, number={self.number})"

    @property
    def origin(self) -> str:
        """The folder as a URL, without credentials."""
        return self._place.origin

    @property
    def file_system(self) -> AbstractFileSystem:
        """What fsspec reads the parts by."""
        return self._place.file_system

    def parts(self, frame: str) -> list[str]:
        """Return the Parquet files of a frame, as local paths or URLs.

        Rows that `gone` names are dead: ``frame ANTI JOIN gone USING (origin, run)``.
        """
        return self.rows(frame).urls

    def gone(self) -> list[str]:
        """Return the Parquet files that tell dead rows of both frames by their origin and run."""
        return self.rows("dicom").gone_urls

    def rows(self, frame: str) -> LiveRows:
        """Return what reads the live rows of a frame, for an engine to ship."""
        return find_rows(self._place, self._state, _check_frame(frame))

    def schema(self, frame: str) -> pa.Schema:
        """Return the columns of a frame."""
        return _schema(self._state, frame)

    def batches(self, frame: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the live rows of a frame, part by part.

        Parameters
        ----------
        frame : {"dicom", "corrupt"}
            Which one.
        columns : list of str, optional
            Columns of `schema`, in the order wanted; all by default. No other is read.

        Raises
        ------
        InvalidOptionError
            There is no such frame or column.
        CatalogError
            A part is not there any more, or damaged.
        """
        schema = self.schema(frame)
        names = list(schema.names if columns is None else columns)
        for name in names:
            if name not in schema.names:
                raise InvalidOptionError(
                    f"a column must be one of {', '.join(map(repr, schema.names))}, found {name!r}"
                )
        return _read(self._place, self._state, frame, names)

    def to_table(self, frame: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the live rows of a frame in one table; the parameters are those of `batches`."""
        batches = self.batches(frame, columns)
        schema = self.schema(frame)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        return pa.Table.from_batches(batches, schema)


def find_rows(place: CatalogPlace, state: State, frame: str) -> LiveRows:
    """Return what reads the live rows of a frame, here or on a worker."""
    parts = {f"{place.path}/{part.name}": part for part in state.parts.get(frame, ())}
    gone = (f"{place.path}/{part.name}" for part in state.parts.get("gone", ()))
    dirty = frozenset(path for path, part in parts.items() if part.dead)
    return LiveRows(place.store, tuple(parts), tuple(gone), dirty, _schema(state, frame))


def read_live(place: CatalogPlace, state: State, frame: str, columns: Sequence[str]) -> pa.Table:
    """Return columns of the live rows of a frame.

    Raises
    ------
    CatalogError
        A part is not there any more, or damaged.
    """
    schema = pa.schema([_schema(state, frame).field(name) for name in columns])
    return pa.Table.from_batches(_read(place, state, frame, columns), schema)


def _schema(state: State, frame: str) -> pa.Schema:
    return make_schema(_check_frame(frame), parse_tags(state.tags))


def _read(
    place: CatalogPlace, state: State, frame: str, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    rows = find_rows(place, state, frame)
    for part in rows.parts:
        try:
            yield from rows(part, names)
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            what = "it is not there" if isinstance(error, FileNotFoundError) else "it is damaged"
            raise CatalogError(
                f"the part {part.rpartition('/')[2]!r} of the catalogue {place.origin!r} cannot "
                f"be read ({what}); open the catalogue again, a state is kept for an hour after "
                "the next one"
            ) from None


def _check_frame(frame: str) -> str:
    if frame not in FRAMES:
        raise InvalidOptionError(
            f"frame must be one of {', '.join(map(repr, FRAMES))}, found {frame!r}"
        )
    return frame


def _nothing_at(place: CatalogPlace) -> str:
    if place.list("runs"):
        return (
            f"the catalogue {place.origin!r} has no state yet, since its first run has not ended; "
            "run dicomframe index again, it goes on where that one stopped"
        )
    return (
        f"there is no catalogue at {place.origin!r}; make one with: dicomframe index PATH CATALOG"
    )
