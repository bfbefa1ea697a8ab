"""A real django-oauth-toolkit on loopback. Its site is django_site.py; it knows secrets and passwords, and no keys."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools.oauth.packages import from_pypi, installed

VERSIONS = ("django-oauth-toolkit==3.4.1", "django>=5.2,<5.3")


def install() -> Path:
    """A virtual environment."""
    return installed("django-oauth-toolkit", ", ".join(VERSIONS), lambda folder: from_pypi(folder, *VERSIONS))


@contextmanager
def run(folder: Path, given: dict[str, str]) -> Iterator[dict[str, Any]]:
    """`given`: the secrets of its clients. Its address, and a refresh token."""
    command = [str(install() / "bin" / "python"), str(Path(__file__).with_name("django_site.py")), str(folder)]
    with (
        (folder / "site.log").open("w") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as site,
    ):
        try:
            assert site.stdin
            assert site.stdout
            json.dump(given, site.stdin)
            site.stdin.close()
            line = site.stdout.readline()
            assert line, f"the site did not start: {(folder / 'site.log').read_text()[-1500:]}"
            yield json.loads(line)
        finally:
            site.kill()
