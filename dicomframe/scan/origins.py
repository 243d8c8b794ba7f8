"""Turn many origins into stores and paths; none is checked for existence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.gathering import Run, make_run
from dicomframe.scan.locating import find_file, locate
from dicomframe.scan.patterns import Selection
from dicomframe.scan.progress import Counter
from dicomframe.scan.storage import Store
from dicomframe.scan.urls import HTTP_PROTOCOLS, unescape_name
from dicomframe.scan.versions import version_of
from dicomframe.scan.walking import encode_path

__all__ = ["OriginTable"]

_URL = r"(?s)^(?P<place>(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/]*))/(?P<rest>.+)$"
_ESCAPED = "%(25|[89A-F][0-9A-F])"
_MANY_PLACES = 1000


class OriginTable:
    """Gather files that are named by their origins, each once.

    Parameters
    ----------
    options
        The ``storage_options`` of the user.
    selection
        Which of the files are wanted; its patterns see whole paths.
    counter
        Is told the number of files.
    """

    def __init__(
        self, options: Mapping[str, Any], selection: Selection | None, counter: Counter
    ) -> None:
        self.runs: dict[Store, list[Run]] = {}
        self._options = options
        self._selection = selection or None
        self._counter = counter
        self._row_count = 0
        self._places: dict[str, tuple[Store, str]] = {}

    def add(self, origins: Any, sizes: Any, etags: Any) -> None:
        """Add files by their origins, as `Store.origin` makes them, or by absolute local paths.

        Parameters
        ----------
        origins, sizes, etags
            Columns of strings, whole numbers and strings; None for those that are not known.

        Raises
        ------
        InvalidOptionError
            One is null, empty, of an unknown protocol, or none of both.
        """
        origins = _one(pc.cast(origins, pa.string()))
        self._check(pc.fill_null(pc.equal(pc.binary_length(origins), 0), True), "holds no URL")
        parts = pc.extract_regex(origins, _URL)
        protocols = pc.utf8_lower(pc.struct_field(parts, "protocol"))
        hosts = pc.struct_field(parts, "host")
        is_path = pc.starts_with(origins, "/")
        is_url = pc.is_valid(protocols)
        self._check(
            pc.invert(pc.or_(is_path, is_url)), "holds neither a URL of a file nor an absolute path"
        )
        is_local = pc.fill_null(pc.is_in(protocols, pa.array(["file", "local"])), False)
        self._check(
            pc.and_(is_local, pc.not_equal(hosts, "")), "holds a file URL that is not absolute"
        )
        # A layer, a user or a password: these are rare and need a closer look.
        is_odd = pc.or_(
            pc.match_substring(origins, "::"),
            pc.and_(pc.match_substring(origins, "@"), pc.invert(is_local)),
        )
        is_odd = pc.and_(is_odd, is_url)
        places = pc.struct_field(parts, "place").dictionary_encode()
        if len(places.dictionary) > _MANY_PLACES:
            is_odd = is_url
        columns = [
            pc.struct_field(parts, "rest"),
            _to_sizes(sizes, len(origins)),
            _to_versions(etags, len(origins)),
            origins,
        ]
        table = pa.table([places, *columns], ["place", "rest", "size", "version", "origin"])
        self._add_local(table.filter(is_path))
        usual = table.filter(pc.and_(is_url, pc.invert(is_odd)))
        for place in pc.unique(usual["place"]).to_pylist():
            self._add_usual(place, usual.filter(pc.equal(usual["place"].cast(pa.string()), place)))
        self._add_odd(table.filter(is_odd))
        self._row_count += len(origins)

    def add_paths(self, store: Store, paths: Any, sizes: Any, etags: Any) -> None:
        """Add files of one store by their paths; the columns are as for `add`."""
        count = len(paths)
        self._add(store, _one(paths), _to_sizes(sizes, count), _to_versions(etags, count))

    def _add(self, store: Store, paths: pa.Array, sizes: pa.Array, versions: pa.Array) -> None:
        paths = paths.cast(pa.binary())
        if self._selection is not None:
            keeps = self._selection.keeps
            names = (path.decode("utf-8", "surrogateescape") for path in paths.to_pylist())
            mask = pa.array([keeps(name.lstrip("/")) for name in names], pa.bool_())
            paths, sizes, versions = (each.filter(mask) for each in (paths, sizes, versions))
        if len(paths):
            run = make_run(paths, sizes, versions, pa.nulls(len(paths), pa.string()))
            self.runs.setdefault(store, []).append(run)
            self._counter.add(len(paths))
            self._counter.show()

    def _check(self, is_bad: pa.Array, what: str) -> None:
        if pc.any(is_bad).as_py():
            row = self._row_count + pc.index(is_bad, True).as_py() + 1
            raise InvalidOptionError(f"row {row:,} of the manifest {what}; correct or remove it")

    def _add_local(self, table: pa.Table) -> None:
        self._add_table(Store("file", "file://"), table["origin"], table)

    def _add_usual(self, place: str, table: pa.Table) -> None:
        if place not in self._places:
            store, path = locate(f"{place}/x", self._options)
            self._places[place] = store, path.removesuffix("x")
        store, head = self._places[place]
        names = pc.binary_join_element_wise(pa.scalar(head), table["rest"], "")
        paths = _one(names).cast(pa.binary())
        if store.protocol not in HTTP_PROTOCOLS:
            is_escaped = pc.match_substring_regex(names, _ESCAPED)
            if pc.any(is_escaped).as_py():
                escaped = names.filter(is_escaped).to_pylist()
                plain = [encode_path(unescape_name(each, chained=False)) for each in escaped]
                paths = pc.replace_with_mask(paths, _one(is_escaped), pa.array(plain, pa.binary()))
        self._add_table(store, paths, table)

    def _add_odd(self, table: pa.Table) -> None:
        found: dict[Store, tuple[list[int], list[bytes]]] = {}
        for number, origin in enumerate(table["origin"].to_pylist()):
            store, path = find_file(origin, self._options)
            numbers, paths = found.setdefault(store, ([], []))
            numbers.append(number)
            paths.append(encode_path(path))
        for store, (numbers, paths) in found.items():
            some = table.take(pa.array(numbers, pa.int64()))
            self._add_table(store, pa.array(paths, pa.binary()), some)

    def _add_table(self, store: Store, paths: Any, table: pa.Table) -> None:
        if table.num_rows:
            self._add(store, _one(paths), _one(table["size"]), _one(table["version"]))


def _one(column: Any) -> pa.Array:
    """Return a column as one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)


def _to_sizes(column: Any, count: int) -> pa.Array:
    """Return lengths in bytes; what is no such number is null."""
    if column is None:
        return pa.nulls(count, pa.int64())
    column = _one(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        is_number = pc.match_substring_regex(column, r"^[0-9]{1,18}$")
        column = pc.if_else(is_number, column, pa.scalar(None, column.type))
    elif pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    try:
        sizes = pc.cast(column, pa.int64())
    except pa.ArrowException:
        raise InvalidOptionError(
            f"the sizes of a manifest must be whole numbers, found {column.type}"
        ) from None
    return pc.if_else(pc.greater_equal(sizes, 0), sizes, pa.scalar(None, pa.int64()))


def _to_versions(etags: Any, count: int) -> pa.Array:
    if etags is None:
        return pa.nulls(count, pa.uint64())
    texts = pc.cast(_one(etags), pa.string()).to_pylist()
    return pa.array([version_of(text) if text else None for text in texts], pa.uint64())
