"""Name the files of a listing by their origins, many at once."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.scan.storage import Store
from dicomframe.scan.urls import HTTP_PROTOCOLS

__all__ = ["name_files"]

# Names of which nothing is escaped; a colon can be, where another layer follows.
_PLAIN = r"^[\x00-\x24\x26-\x39\x3b-\x7f]*$"
_PLAIN_WITH_COLON = r"^[\x00-\x24\x26-\x7f]*$"


def name_files(stores: Sequence[Store], files: pa.RecordBatch) -> pa.Array:
    """Return `Store.origin` of each file, in their order, which is that of their stores."""
    pieces = []
    start = 0
    while start < files.num_rows:
        number = files["store"][start].as_py()
        own = files.slice(start)
        count = pc.index(pc.not_equal(own["store"], number), True).as_py()
        own = own if count < 0 else own.slice(0, count)
        pieces.append(_name(stores[number], own["path"]))
        start += own.num_rows
    return pa.concat_arrays([pa.array([], pa.string()), *pieces])


def _name(store: Store, paths: pa.Array) -> pa.Array:
    if store.protocol not in HTTP_PROTOCOLS and (store.inner is None or store.is_archive):
        pattern = _PLAIN_WITH_COLON if store.inner is None else _PLAIN
        if pc.all(pc.match_substring_regex(paths, pattern)).as_py():
            names = paths.cast(pa.string())
            return pc.binary_join_element_wise(store.prefix, names, store.suffix, "")
    decoded = (path.decode("utf-8", "surrogateescape") for path in paths.to_pylist())
    return pa.array(map(store.origin, decoded), pa.string())
