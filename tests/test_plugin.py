"""The door for authors of backends."""

from __future__ import annotations

import inspect
from typing import Any

import pluggy
import pytest

from dicomframe import plugin


def test_every_public_name_is_there_and_documented() -> None:
    for name in plugin.__all__:
        assert hasattr(plugin, name)
        if inspect.isclass(getattr(plugin, name)):
            assert inspect.getdoc(getattr(plugin, name))


def test_frames_unpack_as_dicom_then_corrupt() -> None:
    dicom, corrupt = frames = plugin.DicomFrames("sound", "broken")
    assert (dicom, corrupt) == (frames.dicom, frames.corrupt) == ("sound", "broken")


def test_backend_must_have_both_methods() -> None:
    class Half(plugin.Backend):
        def build(self, plan: plugin.ReadPlan) -> plugin.DicomFrames:
            return plugin.DicomFrames(None, None)

    half: Any = Half
    with pytest.raises(TypeError, match="to_arrow"):
        half()


def test_specification_has_one_hook() -> None:
    manager = pluggy.PluginManager("dicomframe")
    manager.add_hookspecs(plugin.BackendSpec)
    hooks = [name for name in vars(manager.hook) if not name.startswith("_")]
    assert hooks == ["dicomframe_register_backend"]
