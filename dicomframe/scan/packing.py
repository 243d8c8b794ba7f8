"""Pack rows of files into few bytes, for the driver to hold and for tasks to carry."""

from __future__ import annotations

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
_PREAMBLES = [schema.serialize().to_pybytes() for schema in _PACKED_SCHEMAS]
_TIMED_BIT = 1 << 31
_ZERO = pa.Array.from_buffers(pa.int32(), 1, [None, pa.py_buffer(bytes(4))])
_OPTIONS = pa.ipc.IpcWriteOptions(compression=_CODEC)
_HERE = pa.ipc.IpcReadOptions(use_threads=False)  # for so few bytes threads cost more than they do


def pack_files(files: pa.RecordBatch) -> bytes:
    """Return rows of `FILES_SCHEMA` or `TIMED_SCHEMA` in few bytes.

    They are the names, one behind another, and an Arrow IPC stream of all else. Its schema is
    left out: of a few files it would be the larger part.
    """
    paths = files["path"]
    lengths = pc.binary_length(paths)
    is_timed = files.num_columns > len(FILES_SCHEMA)
    schema = _PACKED_SCHEMAS[is_timed]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=_OPTIONS) as stream:
        columns = [lengths if name == "length" else files[name] for name in schema.names]
        stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    names = _compress(_bytes_of(paths))
    rest = _compress(sink.getvalue().slice(len(_PREAMBLES[is_timed])))
    head: bytes = (len(names) | _TIMED_BIT * is_timed).to_bytes(4, "little")
    return head + names + rest


def unpack_files(data: bytes) -> pa.RecordBatch:
    """Return the rows that `pack_files` was given."""
    head = int.from_bytes(data[:4], "little")
    is_timed, cut = head >= _TIMED_BIT, 4 + head % _TIMED_BIT
    packed = _PREAMBLES[is_timed] + _decompress(data[cut:]).to_pybytes()
    with pa.ipc.open_stream(packed, options=_HERE) as stream:
        rest = stream.read_next_batch()
    lengths = rest["length"]
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([_ZERO, ends]).buffers()[1]
    buffers = [None, offsets, _decompress(data[4:cut])]
    paths = pa.Array.from_buffers(pa.binary(), len(lengths), buffers)
    schema = TIMED_SCHEMA if is_timed else FILES_SCHEMA
    return pa.RecordBatch.from_arrays(
        [paths if name == "path" else rest[name] for name in schema.names], schema=schema
    )


def _bytes_of(paths: pa.Array) -> pa.Buffer:
    """Return the bytes of all paths, one behind another."""
    _, offsets, data = paths.buffers()
    if not len(paths) or data is None:
        return pa.py_buffer(b"")
    places = memoryview(offsets).cast("i")
    start, stop = places[paths.offset], places[paths.offset + len(paths)]
    return data.slice(start, stop - start)


def _compress(data: pa.Buffer) -> bytes:
    packed: bytes = pa.compress(data, codec=_CODEC, asbytes=True)
    return packed


def _decompress(data: bytes) -> pa.Buffer:
    with pa.CompressedInputStream(pa.BufferReader(data), _CODEC) as stream:
        return stream.read_buffer()
