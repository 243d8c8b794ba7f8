"""Take the names of files from a list of URLs instead of a listing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.inventory import add_inventory
from dicomframe.scan.listing import Listing, make_listing
from dicomframe.scan.origins import OriginTable
from dicomframe.scan.patterns import Selection
from dicomframe.scan.progress import Counter
from dicomframe.scan.sources import Source, list_sources
from dicomframe.scan.urls import hide_credentials

__all__ = ["Manifest", "is_manifest", "list_manifest"]

_ETAGS = ("etag", "ETag", "e_tag")
_HEADLESS = ("origin", "size", "etag")
_BLOCK_BYTES = 4 << 20
_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Manifest:
    """Name a list of files, to be given to a read as its `path`.

    Parameters
    ----------
    source : str, path, or anything that exports an Arrow stream
        A file, a folder or a glob of files, by path or URL: Parquet (``.parquet``), CSV
        (``.csv``), the ``manifest.json`` of an S3 Inventory, and every other
        name is text with one URL on each line. CSV and text may be compressed (``.gz``,
        ``.zst``). Or an Arrow table, or whatever exports one.
    origin_column : str, optional
        The column of URLs, by default ``origin``, or else the only column of strings.
    size_column : str, optional
        The column of lengths in bytes, by default ``size`` if there is one.
    etag_column : str, optional
        The column of ETags, by default ``etag`` if there is one.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from dicomframe import Manifest, scan_dicom
    >>> from dicomframe.testing.samples import real_files
    >>> table = pa.table({"url": [f"file://{real_files('CT_small.dcm')}"]})
    >>> batch = next(scan_dicom(Manifest(table, origin_column="url"), pixels="none"))
    >>> batch["reason"].null_count
    1
    """

    source: Any
    origin_column: str | None = None
    size_column: str | None = None
    etag_column: str | None = None

    def __repr__(self) -> str:
        if isinstance(self.source, str | os.PathLike):
            return f"Manifest({hide_credentials(os.fspath(self.source))!r})"
        return f"Manifest({type(self.source).__name__})"


def is_manifest(path: object) -> bool:
    """Tell whether what is given as a path is a list of URLs: a `Manifest` or an Arrow table."""
    return isinstance(path, Manifest) or hasattr(path, "__arrow_c_stream__")


def list_manifest(
    manifest: Any,
    storage_options: Mapping[str, Any] | None = None,
    selection: Selection | None = None,
    counter: Counter | None = None,
) -> Listing:
    """Return the files that a manifest names, each once, in the order of store and path.

    Parameters
    ----------
    manifest
        What `is_manifest` accepts.
    storage_options
        What fsspec needs to connect, to the manifest as to the files.
    selection
        Which of these files are wanted; its patterns see whole paths.
    counter
        Is told the number of files while they are gathered.

    Raises
    ------
    FileNotFoundError
        The manifest is not there.
    InvalidOptionError
        It cannot be read, has no such column, or a row of it is no URL of a known protocol.
    """
    if not isinstance(manifest, Manifest):
        manifest = Manifest(manifest)
    counter = counter or Counter()
    files = OriginTable(storage_options or {}, selection, counter)
    if hasattr(manifest.source, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(manifest.source)
        _add_batches(files, manifest, reader.schema, reader)
    else:
        for source in list_sources(manifest.source, storage_options):
            with source.told():
                if source.kind == ".json":
                    add_inventory(files, source, storage_options or {})
                elif source.kind == ".parquet":
                    _add_parquet(files, manifest, source)
                elif source.kind == ".csv":
                    _add_csv(files, manifest, source)
                else:
                    _add_text(files, source)
    counter.finish()
    # So that the plan does not depend on the order of the rows.
    stores = sorted(files.runs, key=lambda store: (store.prefix, store.suffix))
    return make_listing({store: files.runs[store] for store in stores})


def _add_batches(
    files: OriginTable, manifest: Manifest, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> None:
    names = _choose_columns(manifest, schema)
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            some = batch.slice(start, _ROWS_AT_ONCE)
            files.add(*(None if name is None else some[name] for name in names))


def _choose_columns(manifest: Manifest, schema: pa.Schema) -> tuple[str, str | None, str | None]:
    """Return the names of the columns of origins, sizes and ETags."""
    for name in (manifest.origin_column, manifest.size_column, manifest.etag_column):
        if name is not None and name not in schema.names:
            raise InvalidOptionError(
                f"a manifest must have the column that is asked for, found no {name!r} among "
                f"{', '.join(map(repr, schema.names))}"
            )
    size = manifest.size_column or ("size" if "size" in schema.names else None)
    etag = manifest.etag_column or next((name for name in _ETAGS if name in schema.names), None)
    origin = manifest.origin_column or ("origin" if "origin" in schema.names else None)
    if origin is None:
        texts = [field.name for field in schema if _is_text(field.type) and field.name != etag]
        if len(texts) != 1:
            raise InvalidOptionError(
                "a manifest must have a column 'origin' or only one of strings, found "
                f"{', '.join(map(repr, schema.names)) or 'none'}; name it with "
                "Manifest(..., origin_column=...)"
            )
        origin = texts[0]
    return origin, size, etag


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def _add_parquet(files: OriginTable, manifest: Manifest, source: Source) -> None:
    with source.open() as stream:
        parquet = pa.parquet.ParquetFile(stream)
        schema = parquet.schema_arrow
        names = [name for name in _choose_columns(manifest, schema) if name is not None]
        _add_batches(files, manifest, schema, parquet.iter_batches(columns=names))


def _add_csv(files: OriginTable, manifest: Manifest, source: Source) -> None:
    """Add the rows of a CSV file; it has no header if its first cell is a URL or a path."""
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    with source.open() as stream, pa.csv.open_csv(stream, parse_options=parsing) as reader:
        names = reader.schema.names
    has_header = "://" not in names[0] and not names[0].startswith("/")
    if not has_header:
        names = [*_HEADLESS, *(f"column {at}" for at in range(len(names)))][: len(names)]
    text = pa.schema([(name, pa.string()) for name in names])
    if has_header and "origin" not in names and manifest.origin_column is None:
        text = reader.schema  # the types tell which column is meant
    origin, size, etag = _choose_columns(manifest, text)
    wanted = [name for name in (origin, size, etag) if name is not None]
    conversion = pa.csv.ConvertOptions(
        include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())
    )
    reading = pa.csv.ReadOptions(
        column_names=None if has_header else names, block_size=_BLOCK_BYTES
    )
    with source.open() as stream, pa.csv.open_csv(stream, reading, parsing, conversion) as rows:
        chosen = replace(manifest, origin_column=origin, size_column=size, etag_column=etag)
        _add_batches(files, chosen, rows.schema, rows)


def _add_text(files: OriginTable, source: Source) -> None:
    """Add one URL of each line; lines without any text are left out."""
    with source.open() as stream:
        left = b""
        while block := stream.read(_BLOCK_BYTES):
            *lines, left = (left + block).split(b"\n")
            _add_lines(files, lines)
        _add_lines(files, [left])


def _add_lines(files: OriginTable, lines: list[bytes]) -> None:
    texts = [text.decode() for line in lines if (text := line.removesuffix(b"\r")).strip()]
    if texts:
        files.add(pa.array(texts, pa.string()), None, None)
