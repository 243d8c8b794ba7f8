"""The tester's door: the conformance suite of backends, and sample files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicomframe.testing.conformance import BackendConformance

__all__ = ["BackendConformance"]


def __getattr__(name: str) -> Any:
    """Import the suite when it is asked for: it needs pytest, the samples do not."""
    if name == "BackendConformance":
        import pytest  # noqa: PLC0415

        pytest.register_assert_rewrite("dicomframe.testing.conformance")
        from dicomframe.testing.conformance import BackendConformance  # noqa: PLC0415

        return BackendConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
