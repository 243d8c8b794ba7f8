"""Give the parser the bytes that it asks for, wherever they come from."""

from __future__ import annotations

from dicomframe.dicom.header import Header, Parser
from dicomframe.dicom.window import feed
from dicomframe.scan.ranges import FileReader

__all__ = ["read_file_header"]


def read_file_header(parser: Parser, origin: str, file: FileReader) -> Header:
    """Read the header of an open file.

    Raises
    ------
    Damage
        The file is no sound DICOM file.
    StorageFault
        Its bytes cannot be had.
    """
    head = file.read(*parser.first_range(file.size))
    begun = parser.begin(head, file.size, origin)
    return begun if isinstance(begun, Header) else feed(begun, file.read)
