"""The options of HaloITSM's API applications: API keys, client secrets, key pairs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import msgspec

from rotator.providers.oauth.config import ClientOptions, unfit_in_transit

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # RFC 9110, section 5.6.2
_PREFIX = re.compile(r"(?:[!-~]+ ?)?")
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,64}")
SECRET, PUBLIC_KEY, API_KEYS = "clientSecret", "public_key", ("new_apikey1", "new_apikey2")  # Halo's own names

API_KEY_USE_STEP = timedelta(days=1)  # HaloITSM shows a `last_use_date`; that it is finer than a date, nobody has said


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for one value: a property of an application. `application` is its id there, `client_id` who it is."""

    application: str
    client_id: str
    field: str


class ApplicationOptions(ClientOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One API application, or two that take turns."""

    application: str = ""  # its id in the Application API; without that API, what a person finds it by
    second_application: str = ""  # blue/green: the other one, with the same rights ...
    second_client_id: str = ""  # ... so that the old value lives on for a while

    def __post_init__(self) -> None:
        super().__post_init__()
        for number in filter(None, (self.application, self.second_application)):
            if not _NUMBER.fullmatch(number):
                raise ValueError('application is the id of an API application, such as "12"; it is not its client id')
        if bool(self.second_application) is not bool(self.second_client_id):
            raise ValueError("second_application and second_client_id go together")
        if self.second_application and self.second_application == self.application:
            raise ValueError("second_application must be another one")
        if self.second_client_id and self.second_client_id == self.client_id:
            raise ValueError("second_client_id must be another one")

    def _foreign(self) -> str:
        option = "auth_method client_secret_jwt" if self.signs_by_secret else self.certificate_option
        return f"{option} is no way into a HaloITSM: leave it out" if option else ""

    def places(self, *fields: str) -> tuple[Slot, ...]:
        """Every slot that these fields make."""
        pairs = [(self.application, self.client_id), (self.second_application, self.second_client_id)]
        return tuple(Slot(*pair, field) for pair in pairs if pair[1] for field in fields)

    def known_as(self, client_id: str) -> ClientOptions:
        """The same keys, for the application that bears this client id."""
        alone = {"application": "", "second_application": "", "second_client_id": ""}
        return msgspec.structs.replace(self, client_id=client_id, **alone)


class ApiKeyOptions(ApplicationOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key. Halo does not publish in which header it goes."""

    header: str = "Authorization"
    prefix: str = "Bearer "
    idle: timedelta = timedelta(days=30)  # a key that is not ours is given up when it was unused for so long

    def __post_init__(self) -> None:
        super().__post_init__()
        _without(self, "client_secret", "signing_key", "transit_key", "second_application", why="an API key needs none")
        if not _HEADER.fullmatch(self.header):
            raise ValueError("header is the name of a header, such as x-api-key")
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError('prefix is a word and a blank, such as "Bearer ", or empty')
        if not self.probe:
            raise ValueError("probe must not be empty: there is no other proof of an API key")
        if self.idle < timedelta(hours=1):
            raise ValueError("idle must be an hour or more")


class ClientSecretOptions(ApplicationOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client secret. With a key, an assertion goes with it into the proof."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _without(self, "client_secret", why="it is what is made here")


class HaloAssertionKeyOptions(ApplicationOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key pair of a client that signs assertions. With `client_secret`, both go into the proof.

    With `transit_key`, pairs are versions of a Transit key of the credential's own: see `AssertionKeyOptions`.
    """

    makes_key: ClassVar[bool] = True
    bits: int = 3072  # of an RSA key; in Transit 2048, 3072 or 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        _without(self, "signing_key", why="the key pair is made, not given")
        if self.kid not in ("thumbprint", "none") or self.x5t != "none":
            raise ValueError('kid is "thumbprint" or "none", and x5t stays as it is: a new key needs a name of its own')
        if not 2048 <= self.bits <= 4096:
            raise ValueError("bits is from 2048 to 4096: Halo keeps 2000 characters of a public key")
        if trouble := unfit_in_transit(self.transit_key, self.bits):
            raise ValueError(trouble)


def _without(keys: ApplicationOptions, *names: str, why: str) -> None:
    if given := [name for name in names if getattr(keys, name)]:
        raise ValueError(f"{given[0]} does not belong here: {why}")


NON_ROTATING_OPTIONS = frozenset(  # what changes no value
    {"probe", "identity", "client_secret", "signing_key", "transit_key", "header", "prefix", "idle", "scopes"}
    | {"auth_method"}
    | {"second_application", "second_client_id", "send_client_id", "send_assertion_type", "backdate", "typ"}
)
