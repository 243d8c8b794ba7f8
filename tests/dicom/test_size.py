"""The parser stays small: its lines of code are counted."""

from __future__ import annotations

import ast
import tokenize
from pathlib import Path

import dicomframe.dicom

FOLDER = Path(dicomframe.dicom.__file__).parent
MOST_LINES = 1999
MOST_LINES_OF_A_MODULE = 400
_NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
        tokenize.INDENT,
        tokenize.NEWLINE,
        tokenize.NL,
    }
)


def count_code(path: Path) -> int:
    """Return the lines of a module that are no comment, no docstring and not empty."""
    lines: set[int] = set()
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type not in _NO_CODE:
                lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(path.read_bytes())):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_docstrings_comments_and_empty_lines_are_no_code(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""One.\n\nTwo.\n"""\n\n# a comment\nx = (\n    1,\n)\n')
    assert count_code(module) == 3


def test_parser_stays_small() -> None:
    modules = sorted(FOLDER.glob("*.py"))
    assert sum(map(count_code, modules)) <= MOST_LINES
    lengths = {path.name: len(path.read_text().splitlines()) for path in modules}
    assert {name: count for name, count in lengths.items() if count > MOST_LINES_OF_A_MODULE} == {}
