"""Pack rows of files into few bytes, for the driver to hold and for tasks to carry."""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["FILES_SCHEMA", "TIMED_SCHEMA", "pack_files", "unpack_files"]

FILES_SCHEMA = pa.schema(
    [
        pa.field("store", pa.int32(), nullable=False),
        pa.field("path", pa.binary(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("version", pa.uint64()),
        pa.field("trouble", pa.string()),
    ]
)
"""The columns of a listing: store number, path as bytes, size in bytes, what `version_of` made
of an ETag, why it is unreadable."""

TIMED_SCHEMA = FILES_SCHEMA.append(pa.field("modified", pa.timestamp("us", "UTC")))
"""The columns of a listing that was asked for modification times."""

_CODEC = "zstd"
# Lengths are worth a tenth of the bytes of offsets, and names compress best by themselves.
_LENGTH = pa.field("length", pa.int32(), nullable=False)
_PACKED_SCHEMAS = [schema.set(1, _LENGTH) for schema in (FILES_SCHEMA, TIMED_SCHEMA)]
# Whether there are times; bytes of the packed names, of the names, and of all else.
_HEAD = struct.Struct("<?III")
_ZERO = pa.Array.from_buffers(pa.int32(), 1, [None, pa.py_buffer(bytes(4))])


def pack_files(files: pa.RecordBatch) -> bytes:
    """Return rows of `FILES_SCHEMA` or `TIMED_SCHEMA` in few bytes.

    They are the names, one behind another, and an Arrow IPC message of all else. Its schema is
    left out: of a few files it would be the larger part.
    """
    paths = files["path"]
    lengths = pc.binary_length(paths)
    is_timed = files.num_columns > len(FILES_SCHEMA)
    schema = _PACKED_SCHEMAS[is_timed]
    columns = [lengths if name == "length" else files[name] for name in schema.names]
    names, rest = _bytes_of(paths), pa.RecordBatch.from_arrays(columns, schema=schema).serialize()
    packed: list[bytes] = [pa.compress(part, _CODEC, asbytes=True) for part in (names, rest)]
    return b"".join([_HEAD.pack(is_timed, len(packed[0]), names.size, rest.size), *packed])


def unpack_files(data: bytes) -> pa.RecordBatch:
    """Return the rows that `pack_files` was given."""
    is_timed, packed_bytes, name_bytes, rest_bytes = _HEAD.unpack_from(data)
    cut = _HEAD.size + packed_bytes
    message = pa.decompress(data[cut:], rest_bytes, _CODEC)
    store, lengths, *others = pa.ipc.read_record_batch(message, _PACKED_SCHEMAS[is_timed]).columns
    offsets = pa.concat_arrays([_ZERO, pc.cumulative_sum(lengths)]).buffers()[1]
    names = pa.decompress(data[_HEAD.size : cut], name_bytes, _CODEC)
    paths = pa.Array.from_buffers(pa.binary(), len(lengths), [None, offsets, names])
    schema = TIMED_SCHEMA if is_timed else FILES_SCHEMA
    return pa.RecordBatch.from_arrays([store, paths, *others], schema=schema)


def _bytes_of(paths: pa.Array) -> pa.Buffer:
    """Return the bytes of all paths, one behind another."""
    _, offsets, data = paths.buffers()
    if not len(paths) or data is None:
        return pa.py_buffer(b"")
    places = memoryview(offsets).cast("i")
    start, stop = places[paths.offset], places[paths.offset + len(paths)]
    return data.slice(start, stop - start)
