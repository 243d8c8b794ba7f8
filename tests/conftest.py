"""What all tests share."""

from __future__ import annotations

import pytest
from commands import Ran, Run
from hypothesis import settings

# How long an example takes tells of the machine, not of the code.
settings.register_profile("dicomframe", deadline=None)
settings.load_profile("dicomframe")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    from dicomframe.cli import main  # where the extra is not installed no test asks for it

    def run_main(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run_main
