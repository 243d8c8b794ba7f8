"""Show the engines that are installed, and how to install what others need."""

from __future__ import annotations

from dicomframe.cli.tables import make_console, make_printable, make_table
from dicomframe.registry import PluginInfo, list_engines

__all__ = ["show_engines"]


def show_engines() -> None:
    """Print a table of all engines, then what is wrong with those that no command mends."""
    engines = list_engines()
    console = make_console()
    rows = [(each.name, each.distribution, each.version, _state(each)) for each in engines]
    console.print(make_table(["engine", "distribution", "version", "state"], rows, wide="state"))
    for each in engines:
        if each.problem and not each.install:
            console.print()
            console.print(make_printable(f"{each.name}: {each.problem}"))
    if not engines:
        console.print("no engine is installed; to install one: pip install 'dicomframe[dask]'")


def _state(engine: PluginInfo) -> str:
    if engine.ready:
        return "ready"
    return engine.install or "broken, see below"
