"""The states of a catalogue: each names the parts that belong to it, and the highest counts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dicomframe.catalog.place import CatalogPlace
from dicomframe.errors import CatalogError

__all__ = ["PART_NAME", "Part", "State", "list_states", "read_state", "state_name", "write_state"]

_FORMAT = 1
_STATE_NAME = re.compile(r"(\d{8,})\.json")
PART_NAME = re.compile(r"part-(?P<run>\d{8,})-[0-9a-f]+\.parquet")
"""What parts are called."""


@dataclass(frozen=True, slots=True)
class Part:
    """A Parquet file of a catalogue.

    Attributes
    ----------
    name
        Its path in the folder of the catalogue.
    rows, bytes
        How many it has.
    dead
        How many of its rows are gone.
    """

    name: str
    rows: int
    bytes: int
    dead: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What a catalogue holds at a time.

    Attributes
    ----------
    number
        Its place in the order of states, each one more than the one before: so that of two
        runs that begin with one state only one can write the next.
    last_run
        The highest number of a run behind its rows; a run that was interrupted had one too.
    when
        The time of writing, ISO 8601 in UTC.
    tags
        The columns of tags, each with the path of its tag.
    parts
        By frame; those below ``gone`` tell dead rows of both.
    files
        The files that were listed.
    dicom
        The live rows of sound files.
    corrupt
        The live rows of the others by their reasons.
    report
        What the run that wrote it had to tell.
    """

    number: int
    last_run: int
    when: str
    tags: Mapping[str, str]
    parts: Mapping[str, tuple[Part, ...]]
    files: int = 0
    dicom: int = 0
    corrupt: Mapping[str, int] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def part_names(self) -> set[str]:
        """The paths of all parts."""
        return {part.name for parts in self.parts.values() for part in parts}


def list_states(place: CatalogPlace) -> list[int]:
    """Return the numbers of the states that are there, in order."""
    matches = map(_STATE_NAME.fullmatch, place.list("states"))
    return sorted(int(match[1]) for match in matches if match)


def read_state(place: CatalogPlace, number: int) -> State:
    """Return one state.

    Raises
    ------
    CatalogError
        It is not whole, or of a later version of the library.
    """
    try:
        told = json.loads(place.read(state_name(number)))
        version = told.pop("format")
        parts = {
            frame: tuple(Part(**part) for part in parts) for frame, parts in told["parts"].items()
        }
        if version == _FORMAT:
            return State(**{**told, "parts": parts})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CatalogError(
            f"the state {number} of the catalogue {place.origin!r} cannot be read "
            f"({type(error).__name__}); index into a new folder"
        ) from None
    raise CatalogError(
        f"the catalogue {place.origin!r} has the format {version!r} and this version of "
        f"dicomframe knows {_FORMAT}; install a newer one"
    )


def write_state(place: CatalogPlace, state: State) -> None:
    """Make `state` the one that counts.

    Raises
    ------
    CatalogError
        There is one of its number: another run was quicker.
    """
    text = json.dumps({"format": _FORMAT, **asdict(state)}, indent=1)
    if not place.create(state_name(state.number), text.encode()):
        raise CatalogError(
            f"another run has written the catalogue {place.origin!r} meanwhile, so this one "
            "changed nothing; start it again"
        )


def state_name(number: int) -> str:
    """Return the path of a state."""
    return f"states/{number:08d}.json"
