"""Tell which files of a catalogue a listing should have found."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.scan.listing import Root
from dicomframe.scan.locating import resolve_origins
from dicomframe.scan.patterns import Selection, match_or_below
from dicomframe.scan.ranges import StorageFault

__all__ = ["choose_missed"]


def choose_missed(
    keys: pa.Array, roots: Iterable[Root], selection: Selection, troubled: Iterable[str]
) -> pa.Array:
    """Return those of `keys` that are gone, given that no listing found them.

    Parameters
    ----------
    keys
        Origins of files.
    roots
        What was listed: a file that lies elsewhere is not gone.
    selection
        Which files were wanted: one that was not is not gone.
    troubled
        Origins of what could not be listed: nothing is known of what lies below.
    """
    missed = [_below(keys, root, selection) for root in roots]
    is_missed = pa.repeat(pa.scalar(False), len(keys))
    for mask in missed:
        is_missed = pc.or_(is_missed, mask)
    found = keys.filter(is_missed)
    unknown = frozenset(troubled)
    if unknown:
        masks = [not _is_below(origin, unknown) for origin in found.to_pylist()]
        found = found.filter(pa.array(masks, pa.bool_()))
    return found


def _below(keys: pa.Array, root: Root, selection: Selection) -> pa.Array:
    """Return for each key whether a listing of `root` would have found its file."""
    fixed = root.base if root.is_glob else root.path
    before, behind = root.store.origin(fixed), root.store.suffix
    before = before.removesuffix(behind).rstrip("/")
    mask = pc.starts_with(keys, f"{before}/")
    if behind:
        mask = pc.and_(mask, pc.ends_with(keys, behind))
    if not root.is_glob:
        mask = pc.or_(mask, pc.equal(keys, before + behind))
    if not selection and not root.is_glob:
        return mask
    only = match_or_below(root.path.split("/")) if root.is_glob else None
    cut = len(root.base.rstrip("/")) + 1 if root.base else 0
    kept = []
    for key in keys.filter(mask).to_pylist():
        path = _path_of(key, root)
        kept.append(
            path is not None
            and (only is None or only.fullmatch(path) is not None)
            and (not selection or selection.keeps(path[cut:]))
        )
    return pc.replace_with_mask(mask, mask, pa.array(kept, pa.bool_()))


def _path_of(origin: str, root: Root) -> str | None:
    try:
        ((_, path),) = resolve_origins([origin], [root.store])
    except StorageFault:
        return None
    return path


def _is_below(origin: str, folders: frozenset[str]) -> bool:
    while origin:
        if origin in folders:
            return True
        origin = origin.rpartition("/")[0]
    return False
