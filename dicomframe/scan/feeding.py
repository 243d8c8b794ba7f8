"""Give the parser the bytes that it asks for, wherever they come from."""

from __future__ import annotations

from dicomframe.dicom.header import Header, Parser
from dicomframe.dicom.window import feed
from dicomframe.scan.ranges import FileReader

__all__ = ["parse_head", "read_file_header"]


def read_file_header(parser: Parser, origin: str, file: FileReader) -> Header:
    """Read the header of an open file.

    Raises
    ------
    Damage
        The file is no sound DICOM file.
    StorageFault
        Its bytes cannot be had.
    """
    return parse_head(parser, origin, file, file.read(*parser.first_range(file.size)))


def parse_head(parser: Parser, origin: str, file: FileReader, head: bytes) -> Header:
    """Read the header of an open file whose `head` was read; raises as `read_file_header` does.

    If files before have taught since then that headers reach further, more of it is read first.
    """
    if parser.learned is not None and len(head) < parser.learned.first_read_bytes:
        _, stop = parser.first_range(file.size)
        if len(head) < stop:
            head += file.read(len(head), stop)
    begun = parser.begin(head, file.size, origin)
    return begun if isinstance(begun, Header) else feed(begun, file.read)
