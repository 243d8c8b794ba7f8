"""Hand out the backend of an engine."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, entry_points, version

import pluggy

from dicomframe.errors import (
    BackendContractError,
    DicomFrameError,
    EngineConflictError,
    EngineNotInstalledError,
    UnknownEngineError,
)
from dicomframe.plugin import ENTRY_POINT_GROUP, Backend, BackendSpec, DicomFrames, ReadPlan
from dicomframe.scan.options import did_you_mean


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Tell of one engine that an installed distribution offers.

    Attributes
    ----------
    name
        What `read_dicom` takes as its ``engine``.
    distribution, version
        The installed distribution that offers it.
    ready
        Whether its backend loads.
    install
        The exact command that installs what is missing; empty when nothing is, or when
        no installation would help.
    problem
        Why it is not ready, one sentence; empty when it is.
    """

    name: str
    distribution: str
    version: str
    ready: bool
    install: str
    problem: str


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
    entry = _find(engine)
    key = (entry.name, entry.value, _distribution_name(entry))
    with _lock:
        if key not in _loaded:
            _loaded[key] = _register(entry, _import(entry))
        return _loaded[key]


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
    takes = f"it takes {_quoted(valid)}" if valid else "it takes none of its own"
    for name in options:
        if name not in valid:
            others = list(also_valid)
            besides = f", besides {_quoted(others)}" if others else ""
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
        raise _breach(_find(engine), f"its build returned {_kind(frames)}, not DicomFrames")
    return frames._bind(backend, plan)


def list_engines() -> list[EngineInfo]:
    """Return all engines that are offered, by name; this imports every backend."""
    return [_describe(entry) for _, offers in sorted(_offers().items()) for entry in offers]


def _make_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("dicomframe")
    manager.add_hookspecs(BackendSpec)
    return manager


_manager = _make_manager()
_loaded: dict[tuple[str, str, str], Backend] = {}
_lock = threading.RLock()


def _find(engine: str) -> EntryPoint:
    offers = _offers()
    found = offers.get(engine, ()) if isinstance(engine, str) else ()
    if not found:
        names = sorted(offers)
        have = f"installed ones: {_quoted(names)}" if names else "no engine is installed"
        raise UnknownEngineError(
            f"no installed distribution offers the engine {engine!r}, {have}"
            f"{did_you_mean(str(engine), names)}"
        )
    if len(found) > 1:
        raise EngineConflictError(_conflict(found))
    return found[0]


def _offers() -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points by engine, one for each distribution that offers it.

    One distribution may be met twice, as an editable install and as its source tree.
    """
    offers: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        key = _canonical(_distribution_name(entry))
        offers.setdefault(entry.name, {}).setdefault(key, entry)
    return {
        name: tuple(found[key] for key in sorted(found)) for name, found in sorted(offers.items())
    }


def _import(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except ImportError as error:
        missing = error.name or ""
        own = missing.partition(".")[0] in {entry.module.partition(".")[0], "dicomframe"}
        if own or not missing:
            raise _breach(entry, f"importing {entry.value!r} raised {_cause(error)}") from error
        raise EngineNotInstalledError(
            f"engine {entry.name!r} of {_signature(entry)} {_lack(error, missing)}; "
            f"to install it: {_install_command(entry)}",
            name=missing,
        ) from error
    except Exception as error:
        raise _breach(entry, f"importing {entry.value!r} raised {_cause(error)}") from error


def _register(entry: EntryPoint, plugin: object) -> Backend:
    """Register `plugin`, call its hook and return what the hook returned."""
    name = f"{_distribution_name(entry)}:{entry.name}"
    try:
        _manager.register(plugin, name)
        _manager.check_pending()
    except Exception as error:
        _forget(plugin)
        raise _breach(entry, f"its hooks do not fit: {_cause(error)}") from error
    hook = _manager.hook.dicomframe_register_backend
    if not any(implementation.plugin is plugin for implementation in hook.get_hookimpls()):
        _forget(plugin)
        raise _breach(entry, f"{entry.value!r} has no hookimpl named 'dicomframe_register_backend'")
    others = [other for other in _manager.get_plugins() if other is not plugin]
    try:
        answers = _manager.subset_hook_caller("dicomframe_register_backend", others)()
    except Exception as error:
        _forget(plugin)
        raise _breach(entry, f"its hook raised {_cause(error)}") from error
    backend = answers[0] if answers else None
    if not isinstance(backend, Backend):
        _forget(plugin)
        raise _breach(entry, f"its hook returned {_kind(backend)}, not a Backend")
    _check_build(entry, backend)
    return backend


def _forget(plugin: object) -> None:
    if _manager.is_registered(plugin):
        _manager.unregister(plugin)


def _check_build(entry: EntryPoint, backend: Backend) -> None:
    signature = inspect.signature(backend.build)
    others = [p for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if len(others) != 1 or others[0].kind in {others[0].VAR_POSITIONAL, others[0].VAR_KEYWORD}:
        raise _breach(
            entry,
            "its build must take the plan and keyword-only options, each by name, "
            f"found build{signature}",
        )


def _describe(entry: EntryPoint) -> EngineInfo:
    problem, install = "", ""
    try:
        get_backend(entry.name)
    except EngineNotInstalledError as error:
        problem, install = str(error), _install_command(entry)
    except DicomFrameError as error:
        problem = str(error)
    return EngineInfo(
        name=entry.name,
        distribution=_distribution_name(entry),
        version=entry.dist.version if entry.dist else "",
        ready=not problem,
        install=install,
        problem=problem,
    )


def _install_command(entry: EntryPoint) -> str:
    """Return the pip command for what the plugin of `entry` needs.

    The distribution's own extra of the engine's name is meant, where it has one.
    """
    name = _distribution_name(entry)
    for extra in _extras(entry.dist):
        if _canonical(extra) == _canonical(entry.name):
            return f"pip install '{name}[{extra}]'"
    return f"pip install '{name}'"


def _extras(distribution: Distribution | None) -> list[str]:
    if distribution is None:
        return []
    return list(distribution.metadata.get_all("Provides-Extra") or [])


def _lack(error: ImportError, missing: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"needs the module {missing!r}, which is not installed"
    package = missing.partition(".")[0]
    try:
        installed = f"{package!r} {version(package)}"
    except PackageNotFoundError:
        installed = repr(package)
    return f"cannot use the installed {installed} ({error})"


def _conflict(entries: Iterable[EntryPoint]) -> str:
    found = list(entries)
    return (
        f"engine {found[0].name!r} is offered by {' and by '.join(map(_signature, found))}, "
        f"uninstall all but one: pip uninstall {_distribution_name(found[-1])}"
    )


def _breach(entry: EntryPoint, cause: str) -> BackendContractError:
    return BackendContractError(
        f"engine {entry.name!r} of {_signature(entry)} breaks the backend contract: {cause}; "
        "report it to the authors of that distribution"
    )


def _signature(entry: EntryPoint) -> str:
    return f"{_distribution_name(entry)} {entry.dist.version}" if entry.dist else "no distribution"


def _distribution_name(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module.partition(".")[0]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__!r}"
    return "None" if value is None else f"an object of {type(value).__name__!r}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
