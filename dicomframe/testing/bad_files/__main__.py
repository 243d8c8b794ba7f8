"""Print the table of named bad files, as it stands in ``docs/corrupt.md``."""

from __future__ import annotations

import sys

from dicomframe.testing.bad_files import make_table

sys.stdout.write(make_table())
