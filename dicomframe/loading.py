"""Find and load the plugins of one entry-point group."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, entry_points, version
from typing import Generic, TypeVar

import pluggy

from dicomframe.errors import DicomFrameError
from dicomframe.scan.options import did_you_mean

__all__ = ["Group", "PluginInfo", "PluginLoader", "kind_of", "quoted"]

Plugin = TypeVar("Plugin")


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """Tell of one plugin that an installed distribution offers.

    Attributes
    ----------
    name
        That of its entry point.
    distribution, version
        The installed distribution that offers it.
    ready
        Whether it loads.
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


@dataclass(frozen=True, slots=True)
class Group(Generic[Plugin]):
    """Tell what the plugins of one group are.

    Attributes
    ----------
    entry_points
        The name of the group.
    noun, contract
        What its messages call a plugin, and the contract it may break.
    specification
        The class with the one hook.
    hook
        The name of that hook.
    product
        What the hook returns.
    unknown, missing, conflict, breach
        The errors: no distribution offers it, what it imports is not installed, several
        distributions offer it, it does not do what its contract says.
    """

    entry_points: str
    noun: str
    contract: str
    specification: type
    hook: str
    product: type[Plugin]
    unknown: type[DicomFrameError]
    missing: type[ImportError]
    conflict: type[DicomFrameError]
    breach: type[DicomFrameError]


class PluginLoader(Generic[Plugin]):
    """Load plugins by name, each once, and none that is not asked for.

    Parameters
    ----------
    group
        What they are.
    check
        Returns what is wrong with a product, None if nothing is.
    """

    def __init__(
        self, group: Group[Plugin], check: Callable[[Plugin], str | None] = lambda _: None
    ) -> None:
        self._group = group
        self._check = check
        self._manager = pluggy.PluginManager("dicomframe")
        self._manager.add_hookspecs(group.specification)
        self._loaded: dict[tuple[str, str, str], Plugin] = {}
        self._lock = threading.RLock()

    def get(self, name: str) -> Plugin:
        """Return what the hook of the plugin `name` returned; import that one and no other.

        Raises
        ------
        DicomFrameError
            One of those of the group.
        """
        entry = self._find(name)
        key = (entry.name, entry.value, _distribution_name(entry))
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = self._register(entry, self._import(entry))
            return self._loaded[key]

    def names(self) -> list[str]:
        """Return the names that are offered; this imports nothing."""
        return list(self._offers())

    def describe_all(self) -> list[PluginInfo]:
        """Return all plugins that are offered, by name; this imports each of them."""
        return [self._describe(entry) for offers in self._offers().values() for entry in offers]

    def breach(self, name: str, cause: str) -> DicomFrameError:
        """Return the error that says how the plugin `name` breaks its contract."""
        return self._breach(self._find(name), cause)

    def _find(self, name: str) -> EntryPoint:
        noun, offers = self._group.noun, self._offers()
        found = offers.get(name, ()) if isinstance(name, str) else ()
        if not found:
            names = list(offers)
            have = f"installed ones: {quoted(names)}" if names else f"no {noun} is installed"
            raise self._group.unknown(
                f"no installed distribution offers the {noun} {name!r}, {have}"
                f"{did_you_mean(str(name), names)}"
            )
        if len(found) > 1:
            raise self._group.conflict(
                f"{noun} {name!r} is offered by {' and by '.join(map(_signature, found))}, "
                f"uninstall all but one: pip uninstall {_distribution_name(found[-1])}"
            )
        return found[0]

    def _offers(self) -> dict[str, tuple[EntryPoint, ...]]:
        """Return the entry points by name, one for each distribution that offers it.

        One distribution may be met twice, as an editable install and as its source tree.
        """
        offers: dict[str, dict[str, EntryPoint]] = {}
        for entry in entry_points(group=self._group.entry_points):
            key = _canonical(_distribution_name(entry))
            offers.setdefault(entry.name, {}).setdefault(key, entry)
        return {
            name: tuple(found[key] for key in sorted(found))
            for name, found in sorted(offers.items())
        }

    def _import(self, entry: EntryPoint) -> object:
        try:
            return entry.load()
        except ImportError as error:
            missing = error.name or ""
            own = missing.partition(".")[0] in {entry.module.partition(".")[0], "dicomframe"}
            if own or not missing:
                cause = f"importing {entry.value!r} raised {_cause(error)}"
                raise self._breach(entry, cause) from error
            raise self._group.missing(
                f"{self._group.noun} {entry.name!r} of {_signature(entry)} "
                f"{_lack(error, missing)}; to install it: {_install_command(entry)}",
                name=missing,
            ) from error
        except Exception as error:
            cause = f"importing {entry.value!r} raised {_cause(error)}"
            raise self._breach(entry, cause) from error

    def _register(self, entry: EntryPoint, plugin: object) -> Plugin:
        """Register `plugin`, call its hook and return what the hook returned."""
        hook_name = self._group.hook
        try:
            self._manager.register(plugin, f"{_distribution_name(entry)}:{entry.name}")
            self._manager.check_pending()
        except Exception as error:
            self._forget(plugin)
            raise self._breach(entry, f"its hooks do not fit: {_cause(error)}") from error
        hook = getattr(self._manager.hook, hook_name)
        if not any(implementation.plugin is plugin for implementation in hook.get_hookimpls()):
            self._forget(plugin)
            raise self._breach(entry, f"{entry.value!r} has no hookimpl named {hook_name!r}")
        others = [other for other in self._manager.get_plugins() if other is not plugin]
        try:
            answers = self._manager.subset_hook_caller(hook_name, others)()
        except Exception as error:
            self._forget(plugin)
            raise self._breach(entry, f"its hook raised {_cause(error)}") from error
        product = answers[0] if answers else None
        if not isinstance(product, self._group.product):
            self._forget(plugin)
            wanted = self._group.product.__name__
            raise self._breach(entry, f"its hook returned {kind_of(product)}, not a {wanted}")
        fault = self._check(product)
        if fault:
            raise self._breach(entry, fault)
        return product

    def _forget(self, plugin: object) -> None:
        if self._manager.is_registered(plugin):
            self._manager.unregister(plugin)

    def _describe(self, entry: EntryPoint) -> PluginInfo:
        problem, install = "", ""
        try:
            self.get(entry.name)
        except self._group.missing as error:
            problem, install = str(error), _install_command(entry)
        except DicomFrameError as error:
            problem = str(error)
        return PluginInfo(
            name=entry.name,
            distribution=_distribution_name(entry),
            version=entry.dist.version if entry.dist else "",
            ready=not problem,
            install=install,
            problem=problem,
        )

    def _breach(self, entry: EntryPoint, cause: str) -> DicomFrameError:
        return self._group.breach(
            f"{self._group.noun} {entry.name!r} of {_signature(entry)} breaks the "
            f"{self._group.contract} contract: {cause}; report it to the authors of that "
            "distribution"
        )


def kind_of(value: object) -> str:
    """Return what an object is, for a message."""
    if isinstance(value, type):
        return f"the class {value.__name__!r}"
    return "None" if value is None else f"an object of {type(value).__name__!r}"


def quoted(names: Iterable[str]) -> str:
    """Return names as a message lists them."""
    return ", ".join(map(repr, names))


def _install_command(entry: EntryPoint) -> str:
    """Return the pip command for what the plugin of `entry` needs.

    The distribution's own extra of the plugin's name is meant, where it has one.
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


def _signature(entry: EntryPoint) -> str:
    return f"{_distribution_name(entry)} {entry.dist.version}" if entry.dist else "no distribution"


def _distribution_name(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module.partition(".")[0]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
