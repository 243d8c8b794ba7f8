"""Look into archives while listing, so that several tasks can share one."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.dicom.damage import Damage
from dicomframe.scan.archives import (
    MOST_LISTED_MEMBERS,
    SNIFF_BYTES,
    Kind,
    Member,
    list_members,
    sniff,
)
from dicomframe.scan.gathering import Run, make_run
from dicomframe.scan.listing import Listing, make_listing
from dicomframe.scan.packing import FILES_SCHEMA
from dicomframe.scan.ranges import FileReader, StorageFault
from dicomframe.scan.storage import Store
from dicomframe.scan.walking import encode_path

__all__ = ["split_archives"]

_FEW_FILES = 64
_LARGE_BYTES = 16 << 20
_NAMES = r"(?i)\.(zip|tar)$"


def split_archives(listing: Listing) -> Listing:
    """Return a listing in which the members of large archives stand for these.

    A name is only a hint for where to look: what is no archive, or a damaged one, stays a file,
    and an archive of another name is opened by the task that reads it. Looked into are files
    called ``.zip`` or ``.tar`` of 16 MiB or more, or of any size among up to 64 files; of tars
    local ones only, since each member of a remote one would be a request.
    """
    runs: dict[Store, list[Run]] = {}
    archives: dict[Store, list[Run]] = {}
    is_few = listing.file_count <= _FEW_FILES
    for files in listing.batches():
        for number in pc.unique(files["store"]).to_pylist():
            store = listing.stores[number]
            own = files.filter(pc.equal(files["store"], number))
            hints = _hints(own, is_few=is_few) if store.inner is None else []
            if any(hints):
                paths = own["path"].to_pylist()
                split = [
                    is_hint and _split(store, path, archives, listing.schema)
                    for is_hint, path in zip(hints, paths, strict=True)
                ]
                own = own.filter(pc.invert(pa.array(split, pa.bool_())))
            columns = (own[name] for name in listing.schema.names[1:])
            runs.setdefault(store, []).append(make_run(*columns))
    return make_listing({**runs, **archives}, listing.schema) if archives else listing


def _hints(files: pa.RecordBatch, *, is_few: bool) -> list[bool]:
    """Return for each file whether it is worth a look."""
    hints = pc.and_(pc.match_substring_regex(files["path"], _NAMES), pc.is_null(files["trouble"]))
    if not is_few:
        hints = pc.and_(hints, pc.greater_equal(files["size"], _LARGE_BYTES))
    found: list[bool] = pc.fill_null(hints, False).to_pylist()
    return found


def _split(store: Store, path: bytes, archives: dict[Store, list[Run]], schema: pa.Schema) -> bool:
    """Add the members of an archive; return whether it is a sound one of several."""
    name = path.decode("utf-8", "surrogateescape")
    try:
        with store.open(name, None) as reader:
            kind = sniff(reader.read(0, min(SNIFF_BYTES, reader.size)))
            if kind != "zip" and (kind != "tar" or store.protocol != "file"):
                return False
            members = list(_some(reader, kind))
    except (Damage, StorageFault):
        return False
    if not 1 < len(members) <= MOST_LISTED_MEMBERS:
        return False
    archive = Store(kind, f"{kind}://", f"::{store.origin(name)}", {}, (store, name))
    archives[archive] = [
        make_run(
            pa.array([encode_path(member.name) for member in members], pa.binary()),
            pa.array([member.size for member in members], pa.int64()),
            pa.nulls(len(members), pa.uint64()),
            pa.array([member.trouble for member in members], pa.string()),
            *(pa.nulls(len(members), field.type) for field in list(schema)[len(FILES_SCHEMA) :]),
        )
    ]
    return True


def _some(reader: FileReader, kind: Kind) -> Iterator[Member]:
    for number, member in enumerate(list_members(reader, kind)):
        yield member
        if number >= MOST_LISTED_MEMBERS:
            return
