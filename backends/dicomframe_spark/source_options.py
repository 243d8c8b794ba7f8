"""What the options of ``format("dicom")``, which are strings, ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from dicomframe.plugin import InvalidOptionError, ReadPlan, plan_read

MODES = ("PERMISSIVE", "DROPMALFORMED", "FAILFAST")
"""What becomes of a corrupt file: a row with its reason, nothing, or an error."""

_LISTS = ("include", "exclude")
_READ_OPTIONS = (
    "tags",
    "pixels",
    "warnings",
    "npartitions",
    "limits",
    "archives",
    "transfer",
    *_LISTS,
)
OPTIONS = ("path", "paths", *_READ_OPTIONS, "storage_options", "mode")
"""What a read and a stream can be asked; ``storage.KEY`` comes beside."""
STREAM_OPTIONS = ("stateLocation", "maxFilesPerTrigger")
"""What a stream can be asked too."""


@dataclass(frozen=True, slots=True, repr=False)
class SourceOptions:
    """Hold what one ``load`` asks for.

    Attributes
    ----------
    paths
        Files, folders, globs, URLs.
    mode
        One of `MODES`.
    read
        The keyword arguments of a read, credentials among them.
    state_location
        Where a stream notes which files it has seen.
    max_files
        How many files a batch of a stream has at the most.
    """

    paths: tuple[str, ...]
    mode: str
    read: Mapping[str, Any] = field(default_factory=dict)
    state_location: str | None = None
    max_files: int | None = None

    def plan(self, files: pa.Table | None = None) -> ReadPlan:
        """Return the plan of a read of `files` (columns `origin` and `size`), else of the paths.

        Raises
        ------
        InvalidOptionError
            An option is not valid, or no path is given.
        FileNotFoundError
            Nothing is there.
        """
        if files is not None:
            chosen = {name: value for name, value in self.read.items() if name not in _LISTS}
            return plan_read(files, **chosen)
        if not self.paths:
            raise InvalidOptionError("format('dicom') needs a path: load('...'), option 'path'")
        return plan_read(list(self.paths), **self.read)

    @property
    def schema(self) -> pa.Schema:
        """The columns: of both frames where corrupt files are rows, else of the sound ones."""
        plan = self.plan(_NO_FILES)
        return plan.schema if self.mode == "PERMISSIVE" else plan.dicom_schema


_NO_FILES = pa.table({"origin": pa.array([], pa.string()), "size": pa.array([], pa.int64())})


def parse_options(options: Mapping[str, str]) -> SourceOptions:
    """Return what Spark's options ask for; Spark does not tell upper from lower case.

    Raises
    ------
    InvalidOptionError
        One is not known or not valid.
    """
    known = {name.lower(): name for name in (*OPTIONS, *STREAM_OPTIONS)}
    given: dict[str, str] = {}
    storage: dict[str, Any] = {}
    for key, value in options.items():
        name = key.lower()
        if name.startswith("storage."):
            storage[key[len("storage.") :]] = _storage_value(key, value)
        elif name in known:
            given[known[name]] = value
        else:
            raise InvalidOptionError(
                f"format('dicom') has no option {key!r}; it has {', '.join(known.values())} "
                "and storage.KEY"
            )
    read: dict[str, Any] = {}
    for name in _READ_OPTIONS:
        if name in given:
            read[name] = _PARSERS[name](name, given[name])
    storage = {**_parse_object("storage_options", given.get("storage_options", "{}")), **storage}
    if storage:
        read["storage_options"] = storage
    limit = given.get("maxFilesPerTrigger")
    return SourceOptions(
        paths=_parse_paths(given),
        mode=_parse_mode(given.get("mode", MODES[0])),
        read=read,
        state_location=given.get("stateLocation"),
        max_files=None if limit is None else _parse_number("maxFilesPerTrigger", limit),
    )


def _parse_paths(given: Mapping[str, str]) -> tuple[str, ...]:
    paths = list(_parse_names("paths", given["paths"])) if "paths" in given else []
    return tuple([given["path"], *paths] if "path" in given else paths)


def _parse_mode(text: str) -> str:
    if text.upper() not in MODES:
        raise InvalidOptionError(f"mode must be one of {', '.join(MODES)}, found {text!r}")
    return text.upper()


def _parse_flag(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise InvalidOptionError(f"{name} must be 'true' or 'false', found {text!r}")
    return text.lower() == "true"


def _parse_number(name: str, text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise InvalidOptionError(f"{name} must be a whole number of at least 1, found {text!r}")
    return int(text)


def _parse_object(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):  # the text may hold credentials: it is not told
        raise InvalidOptionError(f"{name} must be a JSON object such as '{{\"key\": 1}}'")
    return found


def _parse_names(name: str, text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return [str(part) for part in json.loads(text)]
    except ValueError:
        raise InvalidOptionError(
            f"{name} must be names with commas between, or a JSON list of them, found {text!r}"
        ) from None


def _parse_tags(name: str, text: str) -> list[str] | dict[str, Any]:
    return _parse_object(name, text) if text.lstrip().startswith("{") else _parse_names(name, text)


def _storage_value(name: str, text: str) -> Any:
    """Return true, false and JSON objects as such; a number may be a key, and stays text."""
    if text in {"true", "false"}:
        return text == "true"
    return _parse_object(name, text) if text.startswith("{") else text


_PARSERS: dict[str, Any] = {
    "tags": _parse_tags,
    "pixels": lambda _, text: text,
    "warnings": _parse_flag,
    "npartitions": _parse_number,
    "limits": _parse_object,
    "archives": _parse_flag,
    "transfer": _parse_object,
    "include": _parse_names,
    "exclude": _parse_names,
}
