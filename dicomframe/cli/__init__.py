"""The command line, for people without a Python prompt at hand; it needs the extra ``cli``."""

from dicomframe.cli.commands import app, main

__all__ = ["app", "main"]
