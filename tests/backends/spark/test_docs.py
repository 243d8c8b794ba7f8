"""The README's example does what it says, on files that a test can have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dicomframe.testing.samples import make_ct

README = Path(__file__).parents[3] / "README.md"


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
