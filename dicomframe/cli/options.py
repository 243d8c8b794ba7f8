"""Read the options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dicomframe.cli.failures import CommandError

__all__ = ["StorageOptions", "parse_storage_options", "split_names"]

StorageOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-option",
        metavar="KEY=VALUE",
        help="What fsspec needs to connect; KEY.KEY to nest, KEY:=JSON for numbers; may be "
        "repeated; shown nowhere.",
    ),
]
"""How ``--storage-option`` is declared."""


def parse_storage_options(given: Sequence[str], name: str = "--storage-option") -> dict[str, Any]:
    """Return the options that ``KEY=VALUE`` and ``KEY:=JSON`` mean.

    A dot in a key leads into a dictionary; ``true`` and ``false`` are booleans, every other
    value of the first form is text.

    Raises
    ------
    CommandError
        One has neither form; the message shows no part of it.

    Examples
    --------
    >>> parse_storage_options(["anon=true", "client_kwargs.region_name=eu-1", "retries:=3"])
    {'anon': True, 'client_kwargs': {'region_name': 'eu-1'}, 'retries': 3}
    """
    options: dict[str, Any] = {}
    for number, each in enumerate(given, 1):
        key, sign, text = each.partition("=")
        *path, last = key.removesuffix(":").split(".")
        if not sign or not last or not all(path):
            raise CommandError(
                f"{name} number {number} must read KEY=VALUE or KEY:=JSON, "
                "found neither (it is not shown, it could hold a credential)"
            )
        place = options
        for step in path:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise CommandError(f"{name} number {number} leads into a plain value")
        place[last] = _parse_value(text, f"{name} number {number}", is_json=key.endswith(":"))
    return options


def split_names(given: Sequence[str]) -> list[str]:
    """Return the names of options that may be repeated and hold several, with commas.

    Examples
    --------
    >>> split_names(["PatientID, Modality", "StudyDate"])
    ['PatientID', 'Modality', 'StudyDate']
    """
    names = [name.strip() for each in given for name in each.split(",")]
    return [name for name in names if name]


def _parse_value(text: str, place: str, *, is_json: bool) -> Any:
    if not is_json:
        return {"true": True, "false": False}.get(text, text)
    try:
        return json.loads(text)
    except ValueError:
        raise CommandError(
            f"{place} has no valid JSON behind its := (it is not shown, it could hold a credential)"
        ) from None
