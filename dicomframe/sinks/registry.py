"""Hand out the sink of a name."""

from __future__ import annotations

from dicomframe.errors import (
    SinkConflictError,
    SinkContractError,
    SinkNotInstalledError,
    UnknownSinkError,
)
from dicomframe.loading import Group, PluginInfo, PluginLoader
from dicomframe.sinks.plugin import ENTRY_POINT_GROUP, Sink, SinkSpec

__all__ = ["get_sink", "list_sinks"]


def get_sink(name: str) -> Sink:
    """Return the sink `name`; import that one plugin and no other.

    Raises
    ------
    UnknownSinkError
        No installed distribution offers it.
    SinkConflictError
        More than one does.
    SinkNotInstalledError
        The plugin is there and its client is not.
    SinkContractError
        The plugin does not do what the sink contract says.
    """
    return _loader.get(name)


def list_sinks() -> list[PluginInfo]:
    """Return all sinks that are offered, by name; this imports every one."""
    return _loader.describe_all()


def _make_loader() -> PluginLoader[Sink]:
    group = Group(
        entry_points=ENTRY_POINT_GROUP,
        noun="sink",
        contract="sink",
        specification=SinkSpec,
        hook="dicomframe_register_sink",
        product=Sink,  # type: ignore[type-abstract]
        unknown=UnknownSinkError,
        missing=SinkNotInstalledError,
        conflict=SinkConflictError,
        breach=SinkContractError,
    )
    return PluginLoader(group)


_loader = _make_loader()
