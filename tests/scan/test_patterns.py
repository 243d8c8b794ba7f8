"""What a glob pattern fits, and which files are chosen."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.patterns import Selection, check_patterns, match_or_below, segment_pattern

PATHS = [
    ".git/config",
    "CT/.hidden/a.dcm",
    "CT/1/a.dcm",
    "CT/1/b.txt",
    "CT/a.dcm",
    "MR/1/CT/c.dcm",
    "a.dcm",
    "tmp",
]


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ([], [], PATHS),
        (["*.dcm"], [], [path for path in PATHS if path.endswith(".dcm")]),
        (["CT/*.dcm"], [], ["CT/a.dcm"]),
        (["/a.dcm"], [], ["a.dcm"]),
        (["CT/**"], [], ["CT/.hidden/a.dcm", "CT/1/a.dcm", "CT/1/b.txt", "CT/a.dcm"]),
        (["CT/**/*.dcm"], [], ["CT/.hidden/a.dcm", "CT/1/a.dcm", "CT/a.dcm"]),
        (["CT/"], [], [path for path in PATHS if "CT/" in path]),
        (["/CT/"], [], [path for path in PATHS if path.startswith("CT/")]),
        (["**/1/*.dcm"], [], ["CT/1/a.dcm"]),
        (["CT"], [], []),
        (["?.dcm", "b.*"], [], [*PATHS[1:7]]),
        ([], [".*"], [path for path in PATHS if "/." not in f"/{path}"]),
        ([], ["CT"], [path for path in PATHS if "CT" not in path.split("/")]),
        ([], ["CT/1"], [path for path in PATHS if not path.startswith("CT/1")]),
        ([], ["tmp/"], PATHS),
        ([], ["**/.git/**"], PATHS[1:]),
        ([], ["[!C]*"], ["CT/1/a.dcm"][:0]),
        (["*.dcm"], ["CT/", "a.dcm"], []),
        (["*.dcm"], ["1/"], ["CT/.hidden/a.dcm", "CT/a.dcm", "a.dcm"]),
    ],
)
def test_a_selection_keeps(include: list[str], exclude: list[str], wanted: list[str]) -> None:
    selection = Selection(include, exclude)
    assert [path for path in PATHS if selection.keeps(path)] == wanted
    for path in wanted:
        folders = path.split("/")[:-1]
        assert all(
            selection.enters("/".join(folders[: depth + 1])) for depth in range(len(folders))
        )


@pytest.mark.parametrize(
    ("exclude", "folder"),
    [
        (".*", ".git"),
        (".*", "a/.git"),
        (".*", ".git/a"),
        ("**/.git/**", "a/.git"),
        ("tmp/", "tmp"),
        ("a/b", "a/b"),
        ("a/**", "a"),
    ],
)
def test_an_excluded_folder_is_not_entered(exclude: str, folder: str) -> None:
    assert not Selection([], [exclude]).enters(folder)
    assert Selection([], [exclude]).enters("else")
    assert not Selection([], [exclude]).keeps(f"{folder}/x.dcm")


@pytest.mark.parametrize("path", ["a/b/c.dcm", "a//b/c.dcm", "/c.dcm", "a///c.dcm", "c.dcm"])
def test_two_stars_pass_folders_without_a_name(path: str) -> None:
    assert match_or_below(["**", "*"]).fullmatch(path)
    assert match_or_below(["**", "*.dcm"]).fullmatch(path)
    assert Selection(["**/*.dcm"]).keeps(path)


def test_the_expression_of_a_glob_fits_what_is_below_a_match_too() -> None:
    fits = match_or_below(["**", "[1]"]).fullmatch
    assert all(map(fits, ["1", "[1]", "a/1/x", "a/[1]/x/y"]))
    assert not any(map(fits, ["11", "a/11/x", "x1"]))


NAMES = st.text("ab[]!-^*?.\\/\n", max_size=6)


@given(pattern=NAMES, name=NAMES)
def test_a_pattern_of_one_name_fits_what_fnmatch_fits_and_no_slash(pattern: str, name: str) -> None:
    fits = re.compile(segment_pattern(pattern), re.DOTALL).fullmatch(name) is not None
    if "/" not in name and "/" not in pattern:
        assert fits == fnmatch.fnmatchcase(name, pattern)
    if "/" not in pattern:
        assert not (fits and "/" in name)


@pytest.mark.parametrize("value", [3, b"*.dcm", ["*.dcm", 3], {"*.dcm"}, True])
def test_what_is_no_pattern_is_an_invalid_option(value: Any) -> None:
    with pytest.raises(InvalidOptionError, match="include must be a glob pattern or a list"):
        check_patterns("include", value)


@pytest.mark.parametrize("value", ["", [""], "/", ["*.dcm", "//"]])
def test_an_empty_pattern_is_an_invalid_option(value: Any) -> None:
    with pytest.raises(InvalidOptionError, match="exclude must hold no empty pattern"):
        check_patterns("exclude", value)
