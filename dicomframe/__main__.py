"""Start the command line: ``dicomframe`` and ``python -m dicomframe``."""

from __future__ import annotations

import sys

_PACKAGES = {"click", "rich", "typer"}


def main() -> None:
    """Run the command line and exit with its code; 2 where the extra ``cli`` is not installed."""
    try:
        from dicomframe.cli import main as run  # noqa: PLC0415  (optional packages)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        sys.stderr.write(
            f"dicomframe: the command line needs {package!r}, which is not installed; "
            "to install it: pip install 'dicomframe[cli]'\n"
        )
        sys.exit(2)
    sys.exit(run())


if __name__ == "__main__":
    main()
