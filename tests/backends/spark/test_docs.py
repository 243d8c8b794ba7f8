"""The README's example and the guide do what they say, on files that a test can have."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from dicomframe.testing.samples import make_ct
from dicomframe.testing.trees import make_tree
from dicomframe_spark import SparkBackend
from dicomframe_spark.source_options import MODES, OPTIONS, STREAM_OPTIONS

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
GUIDE = (ROOT / "docs" / "spark.md").read_text()


def test_example_of_the_readme_finds_the_women_between_20_and_25(
    tmp_path: Path, spark: Any
) -> None:
    for series in range(1, 20):  # of age 20 + series, women where the number is odd
        (tmp_path / f"{series}.dcm").write_bytes(make_ct(series=series))
    snippet = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)[0]
    assert "s3://archive/2026/" in snippet
    namespace: dict[str, Any] = {}
    exec(snippet.replace("s3://archive/2026/", str(tmp_path)), namespace)
    found = namespace["women"].select("PatientAge").collect()
    assert sorted(row[0] for row in found) == [21.0, 23.0, 25.0]
    assert namespace["corrupt"].count() == 0


def test_snippets_of_the_guide_run_one_after_another(tmp_path: Path, spark: Any) -> None:
    archive, work = tmp_path / "archive", tmp_path / "work"
    work.mkdir()
    make_tree(archive)
    namespace = {"spark": spark, "archive": str(archive), "work": str(work)}
    snippets = re.findall(r"^```py\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(snippets) >= 8
    for snippet in snippets:
        exec(compile(snippet, "docs/spark.md", "exec"), namespace)


def test_every_option_is_in_the_guide() -> None:
    words = {
        word for code in re.findall(r"`([^`\n]+)`", GUIDE) for word in re.findall(r"\w+", code)
    }
    engine = set(inspect.signature(SparkBackend.build).parameters) - {"self", "plan"}
    assert engine | set(OPTIONS) | set(STREAM_OPTIONS) | set(MODES) <= words
