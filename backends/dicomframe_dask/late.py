"""Read pixels for the rows of a frame, unless they are not used."""

from __future__ import annotations

import functools
from typing import Any

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from dask.dataframe.dask_expr._expr import (
    Blockwise,
    Expr,
    Index,
    Projection,
    determine_column_projection,
)

from dicomframe.plugin import InvalidOptionError, PixelFinder

_KEYS = ("origin", "metadata")


def add_pixels(frame: Any, finder: PixelFinder) -> dd.DataFrame:
    """Return `frame` with a last column ``pixel_data``.

    Raises
    ------
    InvalidOptionError
        It is no Dask DataFrame with ``origin`` and without ``pixel_data``.
    """
    columns = list(frame.columns) if isinstance(frame, dd.DataFrame) else []
    if "origin" not in columns or "pixel_data" in columns:
        found = ", ".join(map(repr, columns)) or f"an object of {type(frame).__name__!r}"
        raise InvalidOptionError(
            "with_pixels needs a Dask DataFrame with the column 'origin' and without "
            f"'pixel_data', found {found}; select its columns before"
        )
    return dd.DataFrame(_WithPixels(frame.expr, finder))


def with_pixels(frame: pd.DataFrame, finder: PixelFinder) -> pd.DataFrame:
    """Return a partition with its pixels; this is the task."""
    columns = [
        pa.concat_arrays(_chunks(frame[name])) if name in frame.columns else None for name in _KEYS
    ]
    return frame.assign(pixel_data=_to_column(list(finder(*columns))))


class _WithPixels(Blockwise):  # type: ignore[misc]
    """A step that is left out where its column is not used."""

    _parameters = ["frame", "finder"]  # noqa: RUF012
    operation = staticmethod(with_pixels)

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.frame._meta.assign(pixel_data=_to_column([]))

    def _simplify_up(self, parent: Expr, dependents: Any) -> Expr | None:
        if isinstance(parent, Index):
            return Index(self.frame)
        if not isinstance(parent, Projection):
            return None
        used = determine_column_projection(self, parent, dependents)
        names = set(used) if isinstance(used, list) else {used}
        if "pixel_data" not in names:
            return Projection(self.frame, parent.operand("columns"))
        columns = [name for name in self.frame.columns if name in names or name in _KEYS]
        if columns == list(self.frame.columns):
            return None
        step = _WithPixels(self.frame[columns], self.finder)
        return Projection(step, parent.operand("columns"))


def _chunks(column: pd.Series) -> list[pa.Array]:
    found = pa.chunked_array(pa.array(column), pa.string())
    return found.chunks or [pa.array([], pa.string())]


def _to_column(pieces: list[pa.Array]) -> Any:
    return pd.arrays.ArrowExtensionArray(pa.chunked_array(pieces, pa.large_binary()))
