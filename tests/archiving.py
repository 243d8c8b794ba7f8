"""Make archives in memory, for the tests that read them."""

from __future__ import annotations

import io
import tarfile
import zipfile


def make_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of `files`, by their names."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def make_tar(files: dict[str, bytes], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar of `files`, by their names."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as archive:
        for name, data in files.items():
            add_file(archive, name, data)
    return stream.getvalue()


def add_file(archive: tarfile.TarFile, name: str, data: bytes, **fields: object) -> None:
    """Add a file to a tar, with other fields of its header."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(data))
