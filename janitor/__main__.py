"""``python -m janitor``: as the command ``janitor``."""

from __future__ import annotations

from janitor.cli import main

if __name__ == "__main__":
    main()
