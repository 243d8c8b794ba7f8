"""Delete what no state of the last hour needs."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from itertools import pairwise

from dicomframe.catalog.columns import FRAMES
from dicomframe.catalog.journal import journal_folders
from dicomframe.catalog.place import CatalogPlace, Stored
from dicomframe.catalog.state import PART_NAME, State, list_states, read_state, state_name

__all__ = ["clean"]

_KEPT_SECONDS = 3600
_PASSING = re.compile(r"\.new-.*")


def clean(place: CatalogPlace, state: State) -> None:
    """Delete what the states up to `state`, the last one, have left behind.

    A state is kept for an hour after the next one took its place, and so are its parts: readers
    may have opened it. What later runs write is not touched.
    """
    with suppress(OSError):
        stored = place.list("states")
        numbers = [each for each in list_states(place) if each <= state.number]
        kept = {state.number}
        for before, after in pairwise(numbers):
            if not _is_old(stored.get(f"{after:08d}.json")):
                kept.add(before)
        names = {name for each in kept for name in read_state(place, each).part_names}
        place.remove(state_name(each) for each in numbers if each not in kept)
        for frame in (*FRAMES, "gone"):
            for name, file in place.list(frame).items():
                match = PART_NAME.fullmatch(name)
                is_left = match is not None and int(match["run"]) <= state.last_run
                if (is_left or _PASSING.fullmatch(name)) and _is_old(file):
                    path = f"{frame}/{name}"
                    if path not in names:
                        place.remove([path])
        for run, folder in journal_folders(place):
            if run <= state.last_run:
                place.remove_folder(folder)


def _is_old(stored: Stored | None) -> bool:
    if stored is None or stored.written is None:
        return False
    return time.time() - stored.written > _KEPT_SECONDS
