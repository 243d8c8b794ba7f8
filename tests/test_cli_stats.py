"""The command ``dicomframe stats`` as a user meets it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from commands import CONTROL, Run, assert_one_sentence, run_on_terminal, run_process

from dicomframe import index_dicom
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import element, make_file

VOID = {"meta", "path", "br"}


class Counted(NamedTuple):
    catalog: Path
    truth: pa.Table


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    folder = tmp_path_factory.mktemp("counted")
    truth = write_archive(folder / "archive", 1000)
    index_dicom(folder / "archive", folder / "catalog")
    return Counted(folder / "catalog", truth)


def test_tables_tell_what_is_there(run: Run, counted: Counted) -> None:
    ran = run("stats", counted.catalog)
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^files +1,000$", ran.out, re.MULTILINE)
    sound = counted.truth.filter(pc.is_null(counted.truth["reason"]))
    mr = pc.sum(pc.equal(sound["Modality"], "MR")).as_py()
    assert re.search(rf"^MR +{mr} +{mr / sound.num_rows:.1%}$", ran.out, re.MULTILINE)
    assert max(map(len, ran.out.splitlines())) <= 60
    for title in ("modality", "manufacturer", "year of study", "transfer syntax", "reason"):
        assert re.search(rf"^{title} ", ran.out, re.MULTILINE)


def test_json_tells_the_same(run: Run, counted: Counted) -> None:
    told = json.loads(run("stats", counted.catalog, "--json", "--top", 3).out)
    assert told["totals"]["files"] == 1000
    by = {each["title"]: each for each in told["breakdowns"]}
    assert len(by["modality"]["values"]) == 3
    others = sum(count for _, count in by["modality"]["values"]) + by["modality"]["others"]
    assert others == told["totals"]["instances"]


class Page(HTMLParser):
    """Collect what a page holds, and see that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_is_whole_and_fetches_nothing(run: Run, counted: Counted, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    ran = run("stats", counted.catalog, "--html", out)
    assert ran.code == 0
    assert f"wrote {out}: " in ran.out
    text = out.read_text()
    page = Page(text)
    assert page.open == []
    assert text.startswith("<!DOCTYPE html>")
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name in {"src", "href", "onclick"}]
    assert set(re.findall(r"https?://[^\"'< ]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in text
    assert "url(" not in text


def test_page_is_accessible(run: Run, counted: Counted, tmp_path: Path) -> None:
    run("stats", counted.catalog, "--html", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert ("html", "lang", "en") in page.attributes
    assert page.tags.count("h1") == page.tags.count("title") == page.tags.count("main") == 1
    charts = page.tags.count("svg")
    assert charts == 5
    for tag in ("figure", "figcaption", "table", "caption"):
        assert page.tags.count(tag) == charts
    assert sum(pair == ("svg", "role", "img") for pair in page.attributes) == charts
    labels = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(set(labels)) == charts
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert "prefers-color-scheme: dark" in text
    for colour in ("var(--bar)", "var(--ink)"):
        assert colour in text
    drawn = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert not re.findall("(?:fill|stroke): #[0-9a-f]{6}", "".join(drawn))


def test_page_is_the_same_again_and_replaces_what_is_there(
    run: Run, counted: Counted, tmp_path: Path
) -> None:
    for name in ("a.html", "b.html", "b.html"):
        assert run("stats", counted.catalog, "--html", tmp_path / name).code == 0
    assert (tmp_path / "a.html").read_text() == (tmp_path / "b.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_names_of_the_files_are_text_and_nothing_else(run: Run, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for number, name in enumerate(
        ["<script>alert(1)</script>", "$\\frac{1}$ & \x1b[31m", "N" * 60]
    ):
        maker = element(0x00080070, "LO", name)
        (tmp_path / "files" / f"{number}.dcm").write_bytes(make_file(maker))
    index_dicom(tmp_path / "files", tmp_path / "<b>&catalog")
    out = tmp_path / "page.html"
    ran = run("stats", tmp_path / "<b>&catalog", "--html", out)
    assert (ran.code, ran.err) == (0, "")
    assert not CONTROL.search(ran.out + out.read_text())
    page = Page(out.read_text())
    assert page.open == []
    assert not {"script", "b"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.text
    assert "N" * 60 in page.text


def test_empty_catalogue_is_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    index_dicom(tmp_path / "empty", tmp_path / "catalog")
    ran = run("stats", tmp_path / "catalog", "--html", tmp_path / "page.html")
    assert ran.code == 0
    assert re.search(r"^instances +0$", ran.out, re.MULTILINE)
    assert Page((tmp_path / "page.html").read_text()).open == []


def test_instances_without_any_date_are_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(make_file(element(0x00080070, "LO", "Maker")))
    index_dicom(tmp_path / "x.dcm", tmp_path / "catalog")
    assert run("stats", tmp_path / "catalog", "--html", tmp_path / "page.html").code == 0


def test_pipe_is_quiet_and_terminal_is_told_what_is_being_done(counted: Counted) -> None:
    done = run_process("stats", counted.catalog)
    assert (done.returncode, done.stderr) == (0, "")
    assert not CONTROL.search(done.stdout)
    shown, code, _ = run_on_terminal("stats", counted.catalog, columns=80)
    assert code == 0
    assert "counting" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere/at/all"], "dicomframe index"),
        (["CATALOG", "--top", "0"], "--top"),
        (["CATALOG", "--html", "/proc/nowhere/x.html"], "--html"),
        ([], "CATALOG"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(
    run: Run, counted: Counted, arguments: list[str], says: str
) -> None:
    ran = run("stats", *[str(counted.catalog) if a == "CATALOG" else a for a in arguments])
    assert (ran.code, ran.out) == (2, "")
    assert_one_sentence(ran)
    assert says in ran.err


@pytest.mark.parametrize("package", ["duckdb", "matplotlib"])
def test_missing_package_is_one_sentence_with_the_install_command(
    counted: Counted, tmp_path: Path, package: str
) -> None:
    code = f"import sys; sys.modules[{package!r}] = None"
    done = run_process("stats", counted.catalog, "--html", tmp_path / "x.html", code=code)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'dicomframe[catalog]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
