"""Take the names of files from an S3 Inventory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.locating import locate
from dicomframe.scan.origins import OriginTable
from dicomframe.scan.sources import Source

__all__ = ["add_inventory"]

_FORMATS = ("CSV", "Parquet", "ORC")
# As the columns are named in Parquet and ORC; in CSV the order stands in the manifest.
_NAMES = {
    "Bucket": "bucket",
    "Key": "key",
    "Size": "size",
    "ETag": "e_tag",
    "IsLatest": "is_latest",
    "IsDeleteMarker": "is_delete_marker",
}


def add_inventory(files: OriginTable, source: Source, options: Mapping[str, Any]) -> None:
    """Add the newest versions of the objects that an S3 Inventory names.

    Parameters
    ----------
    files
        What they are added to.
    source
        The ``manifest.json``. Its data files are looked for in the bucket that it names; where
        it was copied from there, in ``../data``, ``data`` and the folder that it lies in.
    options
        The ``storage_options`` of the user.

    Raises
    ------
    InvalidOptionError
        It is no such manifest, or a data file is not there.
    """
    with source.open() as stream:
        about = json.load(stream)
    keys = about.get("files") if isinstance(about, dict) else None
    if not isinstance(keys, list) or about.get("fileFormat") not in _FORMATS:
        raise InvalidOptionError(
            f"the manifest {source.name!r} must be the manifest.json of an S3 Inventory, "
            "with a fileFormat (CSV, Parquet or ORC) and files; for any other list of URLs use "
            "a name that ends with .parquet, .csv or .txt"
        )
    for each in keys:
        data = _find(source, str(about.get("destinationBucket", "")), str(each["key"]))
        with data.told():
            for rows in _read(data, about):
                _add(files, rows, options)


def _find(source: Source, bucket: str, key: str) -> Source:
    folder = source.path.rpartition("/")[0]
    name = key.rpartition("/")[2]
    places = [
        f"{folder.rpartition('/')[0]}/data/{name}",
        f"{folder}/data/{name}",
        f"{folder}/{name}",
    ]
    if source.store.protocol in ("s3", "s3a"):
        places.insert(0, f"{bucket.rpartition(':')[2]}/{key}")
    for place in places:
        if Source(source.store, place).exists():
            return Source(source.store, place)
    raise InvalidOptionError(
        f"the manifest {source.name!r} names a data file {name!r} that is not there; "
        "it is looked for in its bucket, and in ../data, data and . beside the manifest"
    )


def _read(data: Source, about: Mapping[str, Any]) -> Iterator[pa.Table]:
    """Yield the rows of a data file with the columns `_NAMES`, those that it has."""
    with data.open() as stream:
        if about["fileFormat"] == "Parquet":
            parquet = pa.parquet.ParquetFile(stream)
            names = [name for name in _NAMES.values() if name in parquet.schema_arrow.names]
            for batch in parquet.iter_batches(columns=names):
                yield pa.table(batch)
        elif about["fileFormat"] == "ORC":
            from pyarrow import orc  # noqa: PLC0415  (not in every build)

            orc_file = orc.ORCFile(stream)
            names = [name for name in _NAMES.values() if name in orc_file.schema.names]
            for number in range(orc_file.nstripes):
                yield pa.table(orc_file.read_stripe(number, columns=names))
        else:
            columns = [name.strip() for name in str(about["fileSchema"]).split(",")]
            reader = pa.csv.open_csv(
                stream,
                pa.csv.ReadOptions(column_names=columns),
                pa.csv.ParseOptions(newlines_in_values=True),
                pa.csv.ConvertOptions(
                    include_columns=[name for name in _NAMES if name in columns],
                    column_types=dict.fromkeys(_NAMES, pa.string()),
                    strings_can_be_null=False,
                ),
            )
            for batch in reader:
                table = pa.table(batch)
                table = table.rename_columns([_NAMES[name] for name in table.column_names])
                yield table.set_column(
                    table.column_names.index("key"), "key", _decode(table["key"])
                )


def _decode(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Undo the URL encoding of keys in CSV."""
    is_encoded = pc.match_substring_regex(keys, "[%+]")
    if not pc.any(is_encoded).as_py():
        return keys
    return pa.chunked_array([[unquote_plus(key) for key in keys.to_pylist()]], pa.string())


def _add(files: OriginTable, rows: pa.Table, options: Mapping[str, Any]) -> None:
    for name, unwanted in (("is_latest", "false"), ("is_delete_marker", "true")):
        if name in rows.column_names:
            flag = pc.utf8_lower(rows[name].cast(pa.string()))
            rows = rows.filter(pc.fill_null(pc.not_equal(flag, unwanted), True))
    # A key that ends with a slash and holds nothing stands for a folder.
    is_folder = pc.ends_with(rows["key"], "/")
    if "size" in rows.column_names:
        sizes = rows["size"].cast(pa.string())
        is_folder = pc.and_(is_folder, pc.is_in(sizes, pa.array(["", "0", None])))
    rows = rows.filter(pc.invert(is_folder))
    for bucket in pc.unique(rows["bucket"]).to_pylist():
        some = rows.filter(pc.equal(rows["bucket"], bucket))
        store, _ = locate(f"s3://{bucket}/x", options)
        paths = pc.binary_join_element_wise(pa.scalar(bucket), some["key"], "/")
        sizes, etags = (
            some[name] if name in some.column_names else None for name in ("size", "e_tag")
        )
        files.add_paths(store, paths, sizes, etags)
