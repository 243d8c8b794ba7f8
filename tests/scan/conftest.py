"""What the tests of listing and storage share."""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

_NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A new folder that every user can enter, as `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp(prefix="dicomframe-"))
    folder.chmod(0o755)
    yield folder
    for path, names, _ in os.walk(folder):
        for name in names:
            (Path(path) / name).chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def as_user() -> Callable[[], AbstractContextManager[None]]:
    """A context in which permissions count, also where the tests run as root."""

    @contextmanager
    def enter() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(_NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return enter


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """The memory file system, empty before and after."""
    file_system = fsspec.filesystem("memory")
    file_system.store.clear()
    file_system.pseudo_dirs[:] = [""]
    yield file_system
    file_system.store.clear()
    file_system.pseudo_dirs[:] = [""]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL of a real HTTP server on loopback that shows `tmp_path` and knows no ranges."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()
