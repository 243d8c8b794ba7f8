"""Open a catalogue as tables of DuckDB, for reading alone."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dicomframe.catalog.catalog import Catalog
from dicomframe.catalog.columns import FRAMES
from dicomframe.errors import EngineNotInstalledError, InvalidOptionError
from dicomframe.scan.tags import parse_tags

__all__ = ["open_database", "quote_name"]

_TAG_CALL = re.compile(r"\btag\s*\(\s*[\w.\"]+\s*,\s*'([^']*)'\s*\)", re.IGNORECASE)
_TAG_NAME = re.compile(r"\btag\s*\(", re.IGNORECASE)


@contextmanager
def open_database(catalog: Catalog, text: str = "") -> Iterator[Any]:
    """Yield a connection of DuckDB with the live rows as the views ``dicom`` and ``corrupt``.

    It can read the parts of the catalogue and nothing else, and write nothing; it is closed at
    the end of the block.

    Parameters
    ----------
    catalog : Catalog
        What is opened.
    text : str
        The SQL that will be run, for the keywords in ``tag(metadata, 'PatientName')``.

    Raises
    ------
    EngineNotInstalledError
        DuckDB is missing.
    UnknownTagError
        `text` asks for a tag that PS3.6 does not know.
    """
    with tempfile.TemporaryDirectory(prefix="dicomframe-") as overflow:  # for its owner alone
        connection = _connect(overflow)
        try:
            _add_views(connection, catalog)
            _add_tag_macro(connection, text)
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()


def quote_name(name: str) -> str:
    """Return `name` as an identifier of SQL.

    Examples
    --------
    >>> quote_name("RequestAttributesSequence[0].CodeValue")
    '"RequestAttributesSequence[0].CodeValue"'
    """
    return '"' + name.replace('"', '""') + '"'


def _connect(overflow: str) -> Any:
    try:
        import duckdb  # noqa: PLC0415  (of the extra `catalog`)
    except ImportError as error:
        raise EngineNotInstalledError(
            "asking a catalogue needs 'duckdb', which is not installed; to install it: "
            "pip install 'dicomframe[catalog]'"
        ) from error
    config: dict[str, str | bool | int | float | list[str]] = {
        "allow_community_extensions": "false",
        "allow_persistent_secrets": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "temp_directory": overflow,
    }
    connection = duckdb.connect(config=config)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _add_views(connection: Any, catalog: Catalog) -> None:
    """Define both frames, and allow that their parts are read."""
    parts = {frame: _names(catalog, catalog.parts(frame)) for frame in FRAMES}
    gone = _names(catalog, catalog.gone())
    every = [*gone, *(part for frame in FRAMES for part in parts[frame])]
    if any("://" in part for part in every):
        connection.register_filesystem(catalog.file_system)
    if gone:
        connection.execute(f"CREATE VIEW gone AS FROM {_read_parquet(gone)}")
    for frame in FRAMES:
        rows = _read_parquet(parts[frame])
        if not parts[frame]:
            rows = f"no_{frame}"
            connection.register(rows, catalog.schema(frame).empty_table())
        dead = " ANTI JOIN gone USING (origin, run)" if gone else ""
        connection.execute(f"CREATE VIEW {frame} AS FROM {rows}{dead}")
    connection.execute(f"SET allowed_paths = {_list_literal(every)}")


def _names(catalog: Catalog, parts: Sequence[str]) -> list[str]:
    """Return the names of parts as DuckDB has them from a file system of fsspec, to allow these."""
    if not any("://" in part for part in parts):
        return list(parts)
    store = catalog.file_system
    return [store.unstrip_protocol(store._strip_protocol(part)) for part in parts]


def _add_tag_macro(connection: Any, text: str) -> None:
    """Define ``tag(metadata, keyword)`` for the keywords that `text` names."""
    names = dict.fromkeys(_TAG_CALL.findall(text))
    if len(_TAG_CALL.findall(text)) != len(_TAG_NAME.findall(text)):
        raise InvalidOptionError(
            "tag() takes the column metadata and a keyword in quotes; write it as "
            "tag(metadata, 'PatientName')"
        )
    if not names:
        return
    paths = {}
    for column in parse_tags({name: name for name in names}):
        path = "$"
        for position, number in enumerate(column.path):
            path += f".Value[{number}]" if position % 2 else f'."{number:08X}"'
        ends = {"name": ".Value[0].Alphabetic", "json": ".Value"}
        paths[column.name] = path + ends.get(column.kind, ".Value[0]")
    connection.execute(
        "CREATE MACRO tag(metadata, keyword) AS json_extract_string(metadata, "
        f"MAP {{{', '.join(f'{_literal(k)}: {_literal(v)}' for k, v in paths.items())}}}[keyword])"
    )


def _read_parquet(parts: Sequence[str]) -> str:
    return f"read_parquet({_list_literal(parts)}, hive_partitioning = false)"


def _list_literal(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_literal, texts))}]"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
