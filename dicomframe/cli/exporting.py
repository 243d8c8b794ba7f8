"""Write the answer of a query in the format that is wanted."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.cli.failures import CommandError
from dicomframe.cli.tables import make_printable

__all__ = ["FORMATS", "PrintableSink", "find_format", "plain_text"]

Writer = Callable[[pa.RecordBatchReader, BinaryIO], int]

_SUFFIXES = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "origins",
}


def find_format(name: str) -> str:
    """Return the format that the name of a file asks for.

    Raises
    ------
    CommandError
        It asks for none.
    """
    for suffix, found in _SUFFIXES.items():
        if name.lower().endswith(suffix):
            return found
    raise CommandError(
        f"--out {name!r} has a suffix of no format; end it with one of {', '.join(_SUFFIXES)}, "
        "or give --format"
    )


class PrintableSink:
    """Spell out what could command a terminal, before it gets there.

    Parameters
    ----------
    sink : binary file
        Where the terminal reads.
    """

    closed = False

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> int:
        """Pass text in UTF-8 on, line by line."""
        lines = self._decoder.decode(bytes(data)).split("\n")
        self._sink.write("\n".join(map(make_printable, lines)).encode())
        return len(data)

    def flush(self) -> None:
        """Pass on what is held."""
        self._sink.flush()


def plain_text(value: object) -> str:
    """Return a value as one line of text: dates as in ISO 8601, lists with DICOM's backslash."""
    if isinstance(value, list):
        return "\\".join(map(plain_text, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return json.dumps(_plain(value), ensure_ascii=False)
    return str(_plain(value))


def _write_csv(reader: pa.RecordBatchReader, sink: BinaryIO) -> int:
    """Write as RFC 4180 has it, with ends of lines as in Unix; null is nothing, no text ``""``."""
    header = pa.array(reader.schema.names, pa.string())
    sink.write((",".join(_quote(header).to_pylist()) + "\n").encode())
    count = 0
    for batch in reader:
        columns = [pc.fill_null(_quote(_to_text(column)), "") for column in batch.columns]
        lines = pc.binary_join_element_wise(*columns, pa.scalar(","))
        sink.write("".join(f"{line}\n" for line in lines.to_pylist()).encode())
        count += batch.num_rows
    return count


def _to_text(column: pa.Array) -> pa.Array:
    is_list = pa.types.is_list(column.type)
    if pa.types.is_nested(column.type.value_type if is_list else column.type):
        texts = [None if value is None else plain_text(value) for value in column.to_pylist()]
        return pa.array(texts, pa.string())
    if is_list:
        return pc.binary_join(column.cast(pa.list_(pa.string())), "\\")
    return column.cast(pa.string())


def _quote(texts: pa.Array) -> pa.Array:
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    needs_it = pc.match_substring_regex(texts, '[",\\r\\n]|^$')
    return pc.if_else(needs_it, quoted, texts)


def _write_jsonl(reader: pa.RecordBatchReader, sink: BinaryIO) -> int:
    count = 0
    for batch in reader:
        lines = [json.dumps(_plain(row), ensure_ascii=False) for row in batch.to_pylist()]
        sink.write("".join(f"{line}\n" for line in lines).encode())
        count += batch.num_rows
    return count


def _write_json(reader: pa.RecordBatchReader, sink: BinaryIO) -> int:
    count = 0
    for batch in reader:
        for row in batch.to_pylist():
            start = ",\n" if count else "[\n"
            sink.write((start + json.dumps(_plain(row), ensure_ascii=False)).encode())
            count += 1
    sink.write(b"\n]\n" if count else b"[]\n")
    return count


def _plain(value: Any) -> Any:
    """Return what JSON can hold: no number where there is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _write_parquet(reader: pa.RecordBatchReader, sink: BinaryIO) -> int:
    import pyarrow.parquet  # noqa: PLC0415  (loaded where it is needed)

    count = 0
    with pyarrow.parquet.ParquetWriter(sink, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def _write_origins(reader: pa.RecordBatchReader, sink: BinaryIO) -> int:
    if "origin" not in reader.schema.names:
        raise CommandError("--format origins needs a query that returns the column origin")
    count = 0
    for batch in reader:
        origins = batch.column("origin").drop_null().to_pylist()
        if any("\n" in origin or origin.endswith("\r") for origin in origins):
            raise CommandError(
                "a file's name holds a line break, which a list of lines cannot tell; "
                "--format parquet can, and is a manifest, too"
            )
        sink.write("".join(f"{origin}\n" for origin in origins).encode())
        count += len(origins)
    return count


FORMATS: dict[str, Writer] = {
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
    "origins": _write_origins,
}
"""Write all rows into a file and return their number."""
