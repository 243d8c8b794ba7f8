"""What a walk tells on its way to those who want to know what is strange in a file."""

from __future__ import annotations

from dicomframe.dicom.elements import Entry
from dicomframe.dicom.text import Charset
from dicomframe.dicom.values import ByteOrder


class Observer:
    """Be told of one file; this one takes no notice of anything.

    Attributes
    ----------
    is_on : bool
        If not, headers, values and Pixel Data are not shown to it.
    warnings : list of str
        What is strange.
    """

    is_on = False

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def begin_data_set(self) -> None:
        """Be told that group 0002 is over."""

    def add(self, code: str, subject: int, form: str = "08X") -> None:
        """Be told of something strange about an element, by its tag, or of so many bytes."""

    def see_header(self, entry: Entry, length: int, at: int, *, is_root: bool) -> None:
        """Look at the header of an element that begins at byte `at` of the file."""

    def see_end(self, at: int) -> None:
        """Look at where a group or the data set ends."""

    def see_group_length(self, tag: int, raw: bytes, stop: int, order: ByteOrder) -> None:
        """Look at a group length, whose value ends at byte `stop`."""

    def see_value(self, tag: int, vr: str, raw: bytes, charset: Charset) -> None:
        """Look at a value."""

    def see_pixels(self, members: list[bytes], length: int | None, *, encapsulated: bool) -> None:
        """Look at the length of Pixel Data, None without any, and at what describes it."""

    def see_offset_table(self, table: bytes, starts: list[int]) -> None:
        """Look at a Basic Offset Table, and at where fragments start."""


NO_OBSERVER = Observer()
"""For those who want no warnings."""
