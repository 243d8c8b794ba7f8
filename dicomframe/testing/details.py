"""The forms that the detail of a corrupt file can have: none has room for a value."""

from __future__ import annotations

import re
from dataclasses import fields

from dicomframe.dicom.limits import Limits

_TAG = r"\([0-9A-F]{4},[0-9A-F]{4}\)"
_VR = r"[A-Z]{2}"
_LIMIT = "|".join(field.name for field in fields(Limits))
_LIKENESS = r"an? \w+ (?:image|file|page|stream|document|archive|program)"
_EARLY = r"the file ends \d+ bytes too early"
_FORMS = (
    r"the file has 0 bytes",
    rf"no DICM at byte 128 and no data element at byte 0(?:; it begins like {_LIKENESS})?",
    r"the file ends after the magic word DICM",
    r"the file ends with group 0002 and holds no data set",
    r"the file ends inside its first data element",
    r"the file ends inside the header of an element",
    rf"the file ends inside (?:the fragments of )?{_TAG}",
    r"the file ends inside the deflate stream",
    r"the deflate stream is damaged",
    r"the transfer syntax (?:holds no data elements to walk|is not known)",
    r"the data set does not begin with a data element",
    rf"the data set passes the limit (?:{_LIMIT}) of \d+",
    rf"(?:an item of {_TAG}|{_TAG} of VR {_VR}) declares \d+ bytes and so leaves its sequence",
    rf"(?:an item of {_TAG}|{_TAG} of VR {_VR}) declares \d+ bytes and {_EARLY}",
    r"an item ends inside the header of an element",
    rf"{_TAG} of VR {_VR} has an undefined length",
    rf"{_TAG} has no valid VR(?: and no length that fits)?",
    rf"{_TAG} has no delimiter",
    rf"{_TAG} comes a second time",
    rf"{_TAG} holds {_TAG} where an item must begin",
    rf"{_TAG} stands where an element must begin",
    rf"the sequence delimiter of {_TAG} has a length",
    rf"among the fragments of {_TAG} there is no item and no delimiter",
    rf"the fragments of {_TAG} leave their item",
    r"a second file begins inside this one",
    r"zeros stand where an element must begin",
)
_DETAIL = re.compile("|".join(f"(?:{form})" for form in _FORMS), re.ASCII)


def is_free_of_values(detail: str) -> bool:
    """Tell whether a detail has one of the fixed forms: words, tags, VRs and numbers alone.

    Examples
    --------
    >>> is_free_of_values("(0010,0010) of VR PN has an undefined length")
    True
    >>> is_free_of_values("(0010,0010) is 'Doe^Jane'")
    False
    """
    return _DETAIL.fullmatch(detail) is not None
