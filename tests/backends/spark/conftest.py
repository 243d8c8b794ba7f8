"""Make ``format("dicom")`` found where the checkout is installed as editable."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _discoverable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let Spark's workers find ``pyspark_dicom``: they look at the folders of the path.

    A wheel puts it there; an editable install maps it in a way that they do not see.
    """
    if any(module.name == "pyspark_dicom" for module in pkgutil.iter_modules()):
        yield
        return
    import pyspark_dicom

    folder = tmp_path_factory.mktemp("path")
    (folder / "pyspark_dicom").symlink_to(Path(pyspark_dicom.__path__[0]))
    with pytest.MonkeyPatch.context() as patch:
        others = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), others])))
        yield
