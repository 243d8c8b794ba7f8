"""The tester's door: the conformance suites of backends and sinks, and sample files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicomframe.testing.conformance import BackendConformance
    from dicomframe.testing.sinks import SinkConformance

__all__ = ["BackendConformance", "SinkConformance"]

_MODULES = {"BackendConformance": "conformance", "SinkConformance": "sinks"}


def __getattr__(name: str) -> Any:
    """Import a suite when it is asked for: it needs pytest, the samples do not."""
    if name in _MODULES:
        import pytest  # noqa: PLC0415

        module = f"{__name__}.{_MODULES[name]}"
        pytest.register_assert_rewrite(module)
        return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
