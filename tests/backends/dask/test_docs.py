"""Examples in docstrings and documents do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import dicomframe

ROOT = Path(__file__).parents[3]
MODULES = [
    info.name
    for info in pkgutil.walk_packages(dicomframe.__path__, "dicomframe.")
    if not info.name.endswith("__main__")
]
DOCUMENTS = sorted(path for path in (ROOT / "docs").glob("*.md") if "```python" in path.read_text())


def run_snippets(path: Path) -> dict[str, Any]:
    """Run the snippets of a document one after another; return the names that they leave."""
    snippets = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "__main__"}  # some are guarded, as scripts are
    for snippet in snippets:
        exec(compile(snippet, str(path), "exec"), names)
    return names


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    failed, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0


def test_every_public_function_has_an_example() -> None:
    for name in ("read_dicom", "scan_dicom", "read_bulk_data"):
        assert ">>>" in (getattr(dicomframe, name).__doc__ or "")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_snippets_of_a_document_run_one_after_another(path: Path) -> None:
    run_snippets(path)


def test_guide_to_the_catalogue_answers_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    names = run_snippets(ROOT / "docs" / "catalogue.md")
    assert capsys.readouterr().out.split()[1].isdigit()
    assert names["table"].column_names == ["origin", "Modality", "PatientAge"]
    found = names["answer"].num_rows
    assert len(names["images"]) + len(names["unread"]) == found > 0


def test_guide_to_backends_shows_the_example_as_it_is() -> None:
    guide = (ROOT / "docs" / "writing-a-backend.md").read_text()
    example = ROOT / "examples" / "dicomframe-pandas"
    assert (example / "dicomframe_pandas.py").read_text() in guide
    assert 'pandas = "dicomframe_pandas"' in (example / "pyproject.toml").read_text()
