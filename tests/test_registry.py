"""The registry, met by distributions that are written to disk as pip would install them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicomframe import errors, registry

Install = Callable[..., None]

GOOD = """
from dicomframe.plugin import Backend, DicomFrames, hookimpl

class ToyBackend(Backend):
    def build(self, plan, *, colour="red", size=None):
        return DicomFrames(colour, size)

    def to_arrow(self, frame):
        return frame

@hookimpl
def dicomframe_register_backend():
    return ToyBackend()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution of one module on the path, as its files stand when installed."""
    # What a process has loaded once, it keeps; each test is to be a process of its own.
    monkeypatch.setattr(registry, "_loader", registry._make_loader())

    def write(
        distribution: str,
        *,
        engine: str = "toy",
        module: str = "toy_engine",
        source: str | None = GOOD,
        version: str = "1.2",
        extras: tuple[str, ...] = (),
        folder: str = "site",
    ) -> None:
        site = tmp_path / folder
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Provides-Extra: {extra}" for extra in extras]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[dicomframe.backends]\n{engine} = {module}\n")
        if source is not None:
            (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return write


def build(engine: str, options: dict[str, object]) -> Any:
    """Do what `read_dicom` does with a plan, which a toy backend does not look at."""
    plan: Any = object()
    registry.check_engine_options(engine, options)
    return registry.build_frames(engine, plan, options)


def check(options: dict[str, object], **others: Any) -> None:
    """Check the options of the toy engine."""
    registry.check_engine_options("toy", options, **others)


def test_backend_of_an_installed_distribution_is_found_by_its_entry_point(install: Install) -> None:
    install("toy-dist")
    assert type(registry.get_backend("toy")).__name__ == "ToyBackend"


def test_backend_is_made_once(install: Install) -> None:
    install("toy-dist")
    assert registry.get_backend("toy") is registry.get_backend("toy")


def test_only_the_named_entry_point_is_loaded(install: Install) -> None:
    install("bad-dist", engine="bad", module="bad_engine", source="raise RuntimeError('imported')")
    install("toy-dist")
    registry.get_backend("toy")
    assert "bad_engine" not in sys.modules


def test_unknown_engine_lists_the_installed_and_the_closest(install: Install) -> None:
    install("toy-dist")
    with pytest.raises(errors.UnknownEngineError, match="'toyy'") as caught:
        registry.get_backend("toyy")
    assert "'dask', 'spark', 'toy'" in str(caught.value)
    assert "did you mean 'toy'?" in str(caught.value)


def test_engine_that_is_no_string_is_unknown() -> None:
    with pytest.raises(errors.UnknownEngineError, match="None"):
        registry.get_backend(None)  # type: ignore[arg-type]


def test_missing_module_gives_the_command_with_the_distributions_own_extra(
    install: Install,
) -> None:
    install("Their.Dist", engine="toy", source="import no_such_module.part", extras=("test", "Toy"))
    with pytest.raises(errors.EngineNotInstalledError) as caught:
        registry.get_backend("toy")
    assert "pip install 'Their.Dist[Toy]'" in str(caught.value)
    assert "needs the module 'no_such_module', which is not installed" in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert caught.value.name == "no_such_module"


@pytest.mark.parametrize("engine", ["dask", "spark"])
def test_engine_of_ours_that_is_not_installed_gives_the_exact_command(
    install: Install, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    for module in ("dask", "pyspark", "dicomframe_dask", "dicomframe_spark"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for module in ("dask", "pyspark"):
        monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    with pytest.raises(errors.EngineNotInstalledError) as caught:
        registry.get_backend(engine)
    assert str(caught.value).endswith(f"to install it: pip install 'dicomframe[{engine}]'")


def test_missing_module_without_an_extra_gives_the_distribution(install: Install) -> None:
    install("their-dist", source="import no_such_module", extras=("test",))
    with pytest.raises(errors.EngineNotInstalledError, match=r"pip install 'their-dist'$"):
        registry.get_backend("toy")


def test_engine_too_old_to_import_from_gives_its_version(install: Install) -> None:
    install("their-dist", source="from pydicom import no_such_name", extras=("toy",))
    with pytest.raises(errors.EngineNotInstalledError) as caught:
        registry.get_backend("toy")
    assert "cannot use the installed 'pydicom' 3." in str(caught.value)
    assert "no_such_name" in str(caught.value)
    assert "pip install 'their-dist[toy]'" in str(caught.value)


def test_engine_can_be_used_once_what_was_missing_is_there(
    install: Install, tmp_path: Path
) -> None:
    install("toy-dist", source="import late_module\n" + GOOD)
    with pytest.raises(errors.EngineNotInstalledError):
        registry.get_backend("toy")
    (tmp_path / "site" / "late_module.py").write_text("")
    sys.path_importer_cache.clear()
    assert registry.get_backend("toy")


def test_two_distributions_of_one_engine_are_both_named(install: Install) -> None:
    install("first-dist", version="1.0")
    install("second-dist", module="other_engine", version="2.0")
    with pytest.raises(errors.EngineConflictError) as caught:
        registry.get_backend("toy")
    assert "first-dist 1.0" in str(caught.value)
    assert "second-dist 2.0" in str(caught.value)
    assert "pip uninstall second-dist" in str(caught.value)


def test_one_distribution_met_twice_is_no_conflict(install: Install) -> None:
    install("toy-dist")
    install("toy_dist", folder="checkout", version="1.3")
    assert registry.get_backend("toy")


IMPORT = "from dicomframe.plugin import hookimpl\n"
BREACHES = {
    "entry point of a module that is not there": (None, "ModuleNotFoundError"),
    "module that raises": ("1 / 0", "ZeroDivisionError: division by zero"),
    "module that imports what dicomframe has not": (
        "from dicomframe.plugin import no_such_name",
        "no_such_name",
    ),
    "module without a hook": ("x = 1", "has no hookimpl named 'dicomframe_register_backend'"),
    "hook without its marker": (
        "def dicomframe_register_backend(): ...",
        "has no hookimpl named 'dicomframe_register_backend'",
    ),
    "hook of a name that does not exist": (
        GOOD + "\n@hookimpl\ndef dicomframe_register_engine(): ...\n",
        "dicomframe_register_engine",
    ),
    "hook with an argument": (
        IMPORT + "@hookimpl\ndef dicomframe_register_backend(session): ...\n",
        "session",
    ),
    "hook that raises": (
        IMPORT + "@hookimpl\ndef dicomframe_register_backend(): raise OSError('no licence')\n",
        "its hook raised OSError: no licence",
    ),
    "hook that returns nothing": (
        IMPORT + "@hookimpl\ndef dicomframe_register_backend(): return None\n",
        "its hook returned None, not a Backend",
    ),
    "hook that returns a class": (
        GOOD.replace("return ToyBackend()", "return ToyBackend"),
        "its hook returned the class 'ToyBackend', not a Backend",
    ),
    "hook that returns something else": (
        GOOD.replace("return ToyBackend()", "return {}"),
        "its hook returned an object of 'dict', not a Backend",
    ),
    "backend without to_arrow": (
        GOOD.replace("def to_arrow", "def to_parquet"),
        "its hook raised TypeError: Can't instantiate abstract class ToyBackend",
    ),
    "build that takes any option": (
        GOOD.replace('*, colour="red", size=None', "**options"),
        "keyword-only options, each by name",
    ),
    "build whose options are not keyword-only": (
        GOOD.replace("plan, *, ", "plan, "),
        "keyword-only options, each by name",
    ),
}


@pytest.mark.parametrize(("source", "cause"), BREACHES.values(), ids=BREACHES)
def test_breach_of_the_contract_names_distribution_version_and_cause(
    install: Install, source: str | None, cause: str
) -> None:
    install("their-dist", version="4.5", source=source)
    with pytest.raises(errors.BackendContractError) as caught:
        registry.get_backend("toy")
    assert "engine 'toy' of their-dist 4.5 breaks the backend contract: " in str(caught.value)
    assert cause in str(caught.value)


def test_breach_does_not_spoil_the_other_engines(install: Install) -> None:
    install(
        "bad-dist",
        engine="bad",
        module="bad_engine",
        source="from dicomframe.plugin import hookimpl\n@hookimpl\ndef dicomframe_x(): ...\n",
    )
    install("toy-dist")
    with pytest.raises(errors.BackendContractError):
        registry.get_backend("bad")
    assert registry.get_backend("toy")


def test_options_reach_the_backend(install: Install) -> None:
    install("toy-dist")
    assert build("toy", {"colour": "blue"}) == ("blue", None)


def test_misspelt_option_lists_the_real_ones_and_the_closest(install: Install) -> None:
    install("toy-dist")
    with pytest.raises(TypeError) as caught:
        build("toy", {"color": "blue"})
    assert str(caught.value) == (
        "engine 'toy' has no option 'color', it takes 'colour', 'size'; did you mean 'colour'?"
    )


def test_option_of_an_engine_without_any_is_told_so(install: Install) -> None:
    install("toy-dist", source=GOOD.replace(', *, colour="red", size=None', "", 1))
    with pytest.raises(TypeError, match="it takes none of its own"):
        check({"colour": "blue"})


def test_misspelt_option_may_be_one_of_the_caller(install: Install) -> None:
    install("toy-dist")
    with pytest.raises(TypeError) as caught:
        check({"pixel": "none"}, also_valid=("pixels", "tags"))
    assert str(caught.value).endswith(
        "it takes 'colour', 'size', besides 'pixels', 'tags'; did you mean 'pixels'?"
    )


def test_option_that_has_no_default_is_asked_for(install: Install) -> None:
    install("toy-dist", source=GOOD.replace("size=None", "size"))
    with pytest.raises(TypeError, match="must be given its option 'size'"):
        build("toy", {})


def test_build_that_returns_something_else_breaks_the_contract(install: Install) -> None:
    install("toy-dist", source=GOOD.replace("DicomFrames(colour, size)", "(colour, size)"))
    with pytest.raises(errors.BackendContractError, match=r"toy-dist 1\.2.*object of 'tuple'"):
        build("toy", {})


def test_error_of_a_build_comes_through_as_it_is(install: Install) -> None:
    install("toy-dist", source=GOOD.replace("return DicomFrames(colour, size)", "raise OSError(7)"))
    with pytest.raises(OSError, match="7"):
        build("toy", {})


def test_list_of_engines_tells_which_are_ready_and_how_to_get_the_others(install: Install) -> None:
    install("toy-dist", version="3.0")
    install("far-dist", engine="far", module="far_engine", source="import far", extras=("far",))
    install("bad-dist", engine="bad", module="bad_engine", source="1 / 0")
    engines = {info.name: info for info in registry.list_engines()}
    assert list(engines) == sorted(engines)
    assert {"dask", "spark"} < set(engines)
    toy = engines["toy"]
    assert (toy.distribution, toy.version, toy.ready, toy.install) == ("toy-dist", "3.0", True, "")
    assert not engines["far"].ready
    assert engines["far"].install == "pip install 'far-dist[far]'"
    assert "needs the module 'far'" in engines["far"].problem
    assert (engines["bad"].ready, engines["bad"].install) == (False, "")
    assert "division by zero" in engines["bad"].problem


def test_list_of_engines_shows_both_sides_of_a_conflict(install: Install) -> None:
    install("first-dist")
    install("second-dist", module="other_engine")
    sides = [info for info in registry.list_engines() if info.name == "toy"]
    assert [side.distribution for side in sides] == ["first-dist", "second-dist"]
    assert not any(side.ready for side in sides)
    assert all("second-dist" in side.problem for side in sides)
