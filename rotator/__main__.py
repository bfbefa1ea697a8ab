"""`python -m rotator`; the commands are in cli/."""

from __future__ import annotations

from rotator.cli import main

if __name__ == "__main__":
    main()
