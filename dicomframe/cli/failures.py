"""Turn what went wrong into one sentence on stderr and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from enum import IntEnum

import typer

from dicomframe.cli.tables import make_printable
from dicomframe.errors import DicomFrameError
from dicomframe.scan.urls import hide_credentials

__all__ = ["CommandError", "ExitCode", "explain"]


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    CORRUPT = 1
    REFUSED = 1
    USAGE = 2
    UNBALANCED = 3
    FAILED = 4
    STOPPED = 130


class CommandError(Exception):
    """A command cannot go on; the message is the sentence that the user reads."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


# The base of all usage errors, of click or of the copy of it that newer versions of Typer hold.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]


def explain(error: Exception, arguments: Sequence[str]) -> ExitCode:
    """Print `error` on stderr, without any credential of `arguments`; return the exit code."""
    if isinstance(error, CommandError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, DicomFrameError):
        _say(str(error))
        return ExitCode.USAGE
    if isinstance(error, typer.Abort):
        _say("stopped")
        return ExitCode.STOPPED
    if isinstance(error, _ClickException):
        _say(_hide(_usage_sentence(error), arguments))
        return ExitCode.USAGE
    # A fault of ours or of an engine: whoever mends it needs the place where it happened.
    sys.stderr.writelines(traceback.format_tb(error.__traceback__))
    secret = any("-option" in each or each != hide_credentials(each) for each in arguments)
    message = "its message is not shown, it could hold a credential" if secret else str(error)
    _say(f"failed with {type(error).__name__}: {message}")
    return ExitCode.FAILED


def _say(sentence: str) -> None:
    lines = "\n".join(make_printable(line) for line in sentence.splitlines())
    sys.stderr.write(f"dicomframe: {lines}\n")


def _usage_sentence(error: Exception) -> str:
    message = str(getattr(error, "format_message", error.__str__)()).strip().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "dicomframe"
    message = message.replace(". Did you mean", "; did you mean")
    return f"{message[:1].lower()}{message[1:]} (see {command} --help)"


def _hide(sentence: str, arguments: Sequence[str]) -> str:
    for argument in sorted(arguments, key=len, reverse=True):
        shown = hide_credentials(argument)
        if shown != argument:
            sentence = sentence.replace(argument, shown)
    return sentence
