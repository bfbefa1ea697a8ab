"""What a person is told to do in HaloITSM when only they can; the way there is that of Halo's own guides."""

from __future__ import annotations

from rotator.providers.halo_itsm.config import Slot

_WAY = "in HaloITSM open Configuration > Integrations > Halo API > View Applications > {name} > Edit"


def paste(slot: Slot, pem: str) -> str:
    """Put our public key there."""
    tick = "tick the JWT assertion, replace its public key by the one below, leave all else as it is, press Save"
    return f"{_way(slot)}; {tick}; the new key is noticed by itself.\n{pem.strip()}"


def generate(slot: Slot, what: str) -> str:
    """Make a value there and bring it here."""
    press = f"press Generate for {what}, copy the value (it is shown once), leave all else as it is, press Save"
    return f"{_way(slot)}; {press}; then hand the value over with `rotate supply` and the name of this credential"


def overwrite(slot: Slot) -> str:
    """End a value there."""
    return f"the old value is still accepted: {_way(slot)}; generate the key that was in use before anew, press Save"


def put_back(slot: Slot, what: str) -> str:
    """An old value cannot be told to Halo by anybody but a person."""
    return f"{what} of {_name(slot)} is not the published one any more: {_way(slot)}; set it again, press Save"


def _way(slot: Slot) -> str:
    return _WAY.format(name=_name(slot))


def _name(slot: Slot) -> str:
    told = f"the application with client id {slot.client_id}"
    return f"{told} (id {slot.application})" if slot.application else told
