"""Entry point of `python -m pytorch_designer`."""

from __future__ import annotations

import sys

from pytorch_designer.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
