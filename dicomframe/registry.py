"""Hand out the backend of an engine."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from dicomframe.errors import (
    BackendContractError,
    EngineConflictError,
    EngineNotInstalledError,
    UnknownEngineError,
)
from dicomframe.loading import Group, PluginInfo, PluginLoader, kind_of, quoted
from dicomframe.plugin import ENTRY_POINT_GROUP, Backend, BackendSpec, DicomFrames, ReadPlan
from dicomframe.scan.options import did_you_mean

__all__ = [
    "PluginInfo",
    "build_frames",
    "check_engine_options",
    "find_backend",
    "get_backend",
    "list_engines",
]


def get_backend(engine: str) -> Backend:
    """Return the backend of `engine`; import that one plugin and no other.

    Raises
    ------
    UnknownEngineError
        No installed distribution offers `engine`.
    EngineConflictError
        More than one does.
    EngineNotInstalledError
        The plugin is there and what it imports is not.
    BackendContractError
        The plugin does not do what the backend contract says.
    """
    return _loader.get(engine)


def find_backend(frame: Any) -> tuple[Backend, pa.Schema] | None:
    """Return the backend that knows `frame` and the columns of `frame`, None if none does.

    An engine that does not load knows nothing: nobody can hold a frame of it.
    """
    for info in _loader.describe_all():
        schema = get_backend(info.name).schema_of(frame) if info.ready else None
        if schema is not None:
            return get_backend(info.name), schema
    return None


def check_engine_options(
    engine: str, options: Mapping[str, object], *, also_valid: Iterable[str] = ()
) -> None:
    """Check `options` against the keyword-only parameters of the backend's ``build``.

    `also_valid` are names that the caller itself takes: the message offers them too.

    Raises
    ------
    DicomFrameError
        As `get_backend` says.
    TypeError
        An option that the backend does not have, or one that it must be given and was not.
    """
    parameters = inspect.signature(get_backend(engine).build).parameters.values()
    valid = {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}
    takes = f"it takes {quoted(valid)}" if valid else "it takes none of its own"
    for name in options:
        if name not in valid:
            others = list(also_valid)
            besides = f", besides {quoted(others)}" if others else ""
            raise TypeError(
                f"engine {engine!r} has no option {name!r}, {takes}{besides}"
                f"{did_you_mean(name, [*valid, *others])}"
            )
    for name, required in valid.items():
        if required and name not in options:
            raise TypeError(f"engine {engine!r} must be given its option {name!r}, {takes}")


def build_frames(engine: str, plan: ReadPlan, options: Mapping[str, object]) -> DicomFrames:
    """Return the two lazy frames that `engine` makes of `plan`, with options that were checked.

    Raises
    ------
    BackendContractError
        The backend returned something other than `DicomFrames`.
    """
    backend = get_backend(engine)
    frames = backend.build(plan, **options)
    if not isinstance(frames, DicomFrames):
        raise _loader.breach(engine, f"its build returned {kind_of(frames)}, not DicomFrames")
    return frames._bind(backend, plan)


def list_engines() -> list[PluginInfo]:
    """Return all engines that are offered, by name; this imports every backend."""
    return _loader.describe_all()


def _make_loader() -> PluginLoader[Backend]:
    group = Group(
        entry_points=ENTRY_POINT_GROUP,
        noun="engine",
        contract="backend",
        specification=BackendSpec,
        hook="dicomframe_register_backend",
        product=Backend,  # type: ignore[type-abstract]
        unknown=UnknownEngineError,
        missing=EngineNotInstalledError,
        conflict=EngineConflictError,
        breach=BackendContractError,
    )
    return PluginLoader(group, _check_build)


def _check_build(backend: Backend) -> str | None:
    signature = inspect.signature(backend.build)
    others = [p for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if len(others) != 1 or others[0].kind in {others[0].VAR_POSITIONAL, others[0].VAR_KEYWORD}:
        return (
            "its build must take the plan and keyword-only options, each by name, "
            f"found build{signature}"
        )
    return None


_loader = _make_loader()
