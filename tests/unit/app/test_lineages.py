"""Lineages are drawn so wide that no two records share a stem, though a stem cuts long names."""

from __future__ import annotations

import pytest

from rotator.app.composition import Actor
from rotator.app.factories import connection
from rotator.ports import Installation
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import stem
from rotator.settings import load
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.login import token
from rotator.vault.session import Session
from tests.kit.clock import HandClock
from tests.unit.settings.files import SOUND, write

pytestmark = pytest.mark.anyio

FLEET = 100_000
FIRST, SECOND = (f"payments/production/kubernetes/eu-west-1/service-{number}" for number in (1, 2))


def test_a_stem_tells_two_long_names_apart_by_their_lineage_alone():
    assert stem("rotator", "home", FIRST, "l1") == stem("rotator", "home", SECOND, "l1")


async def test_no_two_of_a_hundred_thousand_credentials_whose_names_begin_alike_draw_one_lineage(tmp_path):
    settings, clock = load(write(tmp_path, SOUND)), HandClock()
    session = Session(connection(settings.vault, "test"), token(lambda: Secret("canary-lineages")), clock)
    kv = Kv(session)
    journal = VaultJournal(kv, settings.vault.mount, settings.vault.prefix)
    app = Actor(settings, journal, kv, Installation("abc123", b"a key of this test's own"), clock)
    drawn = app.worker_pool.guard.reconciler.lineage()
    assert FLEET**2 / 2 / 16 ** len(drawn) < 1e-4  # pairs of them that are to be expected
    assert app.worker_pool.guard.reconciler.lineage() != drawn
