"""The sections [credentials.NAME] and [defaults], with their tables `retire` and `limits`.

timing_checks.py says whether the times can hold together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from rotator.host.time_zones import check_timezone
from rotator.rotation.change_calendar import ALWAYS, Calendar, Freeze
from rotator.rotation.credential import AtDeadline, Credential, Limits, OnForeign, Retirement, VaultPath
from rotator.rotation.schedule import Every, FractionOfLife, Schedule
from rotator.settings.model import Target
from rotator.settings.parsers import (
    Reader,
    WrongValueError,
    duration,
    flag,
    one_of,
    quoted,
    real,
    span,
    spell,
    suggest,
    text,
    vault_path,
    whole,
)
from rotator.settings.table_reader import Section
from rotator.settings.targets import KindDescription, changed, own_options, read_options
from rotator.settings.timing_checks import fitting_grace, quickened
from rotator.settings.windows import EVERY_HOUR, read_labels, window

T = TypeVar("T")
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_SCHEDULES = ("every", "cron", "fraction")
_DESCRIPTION = ("rotation", "provider_id", "issued_at", "expires_at")  # published beside the value
_DEFAULTABLE = (
    *("target", "kind", "mount", "key", *_SCHEDULES, "timezone", "jitter", "lifetime", "retire", "on_foreign"),
    *("describe", "labels", "limits", "window"),
)
_NEVER = "none"


class Known:
    """The targets (faulty ones included) and the kinds that credentials may refer to, by name."""

    def __init__(
        self,
        targets: Mapping[str, Target | None],
        families: Mapping[str, str],
        kinds: Mapping[str, KindDescription],
        mount: str,
        troubles: Mapping[str, str],
        freezes: Iterable[Freeze] = (),
    ) -> None:
        """`troubles`: why a kind that exists cannot be used."""
        self.freezes = tuple(freezes)
        self.targets = targets
        self.families = families
        self.kinds = kinds
        self.mount = mount
        self.troubles = troubles

    def of_family(self, family: str) -> dict[str, KindDescription]:
        """The kinds of credentials on this family of targets."""
        return {name: kind for name, kind in self.kinds.items() if kind.family == family}


def check_defaults(section: Section, kinds: Mapping[str, KindDescription]) -> None:
    """Report options that cannot have a default. The values are read, and reported, with each credential."""
    section.known.update(_DEFAULTABLE, *(own_options(kind.options) for kind in kinds.values()))
    if section.has("path"):
        section.known.add("path")
        section.fault("path", "cannot be a default: every credential has its own path")
    if sum(map(section.has, _SCHEDULES)) > 1:
        section.fault("", "name only one of `every`, `cron` and `fraction`")
    elif section.has("jitter") and any(map(section.has, _SCHEDULES)) and _fits_cron(section) is not section.has("cron"):
        section.fault("jitter", "must be a length of time with `cron`, a share such as 0.1 with the others")
    section.finish()


def read_credential(section: Section, name: str, known: Known, defaults: Section | None) -> Credential | None:
    """One credential; None when it is faulty."""
    target = section.need("target", text, "", '"NAME" of a [targets.NAME] section')
    if target and target not in known.targets and not section.source.fault_list.partial:
        section.fault("target", f"there is no target {quoted(target)}; {suggest(target, known.targets)}")
    home = known.targets.get(target)
    kind = _kind(section, known, known.families.get(target))
    lifetime = _life(section, kind)
    schedule = _schedule(section, defaults)
    options = read_options(section, kind.options) if kind else None
    labels = section.take("labels", read_labels, {})
    credential = Credential(
        name=name,
        kind=kind.name if kind else "",
        target=target,
        place=VaultPath(
            section.take("mount", vault_path, known.mount), section.need("path", vault_path, "", '"apps/…"')
        ),
        key=section.take("key", _key, _usual_key(kind, options)),
        schedule=schedule,
        lifetime=lifetime,
        retire=read_retirement(section, home, kind, options),
        limits=read_limits(section, home, kind, options),
        on_foreign=section.take("on_foreign", one_of(OnForeign), OnForeign.HOLD),
        describe=section.take("describe", flag, True),
        labels=labels,
        calendar=_calendar(section, home, known.freezes, labels),
        options=options,
        identified=kind is not None and kind.identifies,
        rotating_options=changed(options, kind.non_rotating_options) if kind and options else {},
    )
    if kind is not None and kind.only_expires:
        credential = replace(credential, limits=quickened(credential))
        if credential.retire.gives_way and not section.has("retire"):
            credential = replace(credential, retire=replace(credential.retire, after=fitting_grace(credential)))
    if credential.describe and credential.key in _DESCRIPTION:
        section.fault("key", f"`{credential.key}` is written beside the value; choose another key, or describe = false")
    if kind is not None:
        section.finish()
    return credential if section.sound and home is not None and kind is not None else None


def _kind(section: Section, known: Known, family: str | None) -> KindDescription | None:
    asked = section.take("kind", text, "")
    if asked and asked not in known.kinds:
        absent = f"there is no kind of credential {quoted(asked)}, built in or installed; {suggest(asked, known.kinds)}"
        section.fault("kind", known.troubles.get(asked, absent))
        return None
    if family is None:
        return known.kinds.get(asked)
    fitting = known.of_family(family)
    if asked and asked not in fitting:
        section.fault("kind", f"`{asked}` does not live on a `{family}` target; {suggest(asked, fitting)}")
    elif not asked and len(fitting) != 1:
        section.fault("", f"`kind` is missing: a `{family}` target has several, {', '.join(sorted(fitting))}")
    return fitting.get(asked) if asked else next(iter(fitting.values())) if len(fitting) == 1 else None


def _usual_key(kind: KindDescription | None, options: object) -> str:
    """The usual `key`: nothing secret is published where the private key stays in Transit."""
    if kind and kind.document_field_in_transit and getattr(options, "transit_key", ""):
        return kind.document_field_in_transit
    return kind.document_field if kind else "token"


def _life(section: Section, kind: KindDescription | None) -> timedelta | None:
    """How long a value lives. A default applies only to kinds whose values expire."""
    usual = kind.default_lifetime if kind else timedelta(days=90)
    if usual is None and not section.has("lifetime"):
        section.known.add("lifetime")
        return None
    return section.take("lifetime", _lifetime, usual)


def _lifetime(value: object) -> timedelta | None:
    return None if value == _NEVER else span(_MINUTE)(value)


def _key(value: object) -> str:
    if not _KEY.fullmatch(text(value)):
        raise WrongValueError("must be up to 63 letters, digits, `.`, `_` and `-`, and start with a letter")
    return str(value)


def _calendar(section: Section, home: Target | None, freezes: Iterable[Freeze], labels: Mapping[str, str]) -> Calendar:
    """The nearest window counts: the credential's own, else that of its target, else that of [defaults]."""
    section.known.add("window")
    inherited = home.window if home and not section.has("window") else None
    found = inherited or section.take("window", window, EVERY_HOUR)
    covering = tuple(each for each in freezes if each.covers(labels))
    hours = None if found == EVERY_HOUR else found
    return Calendar(hours, covering) if hours or covering else ALWAYS


def _schedule(section: Section, defaults: Section | None) -> Schedule:
    section.known.update((*_SCHEDULES, "timezone", "jitter"))
    own = [key for key in _SCHEDULES if section.has(key)]
    if len(own) > 1:
        section.fault(own[1], f"name only one of `every`, `cron` and `fraction`, not {' and '.join(own)}")
    # A credential's own schedule replaces the default one: else `every` here and `cron` there would clash.
    origin = section if own or defaults is None else defaults
    chosen = next((key for key in _SCHEDULES if origin.has(key)), "every")
    if chosen != "cron" and section.has("timezone"):
        section.fault("timezone", "only goes with `cron`")
    if chosen == "cron":
        return _cron(section)
    jitter = _jitter(section, _share, 0.1)
    if chosen == "fraction":
        return FractionOfLife(section.take("fraction", real(0.05, 0.95), 0.66), jitter)
    return Every(section.take("every", span(_MINUTE), 30 * _DAY), jitter)


def _jitter(section: Section, read: Reader[T], default: T) -> T:
    """The jitter. A default meant for the other sort of schedule (a duration or a share) is ignored."""
    lent = section.under.table.get("jitter") if section.under is not None else None
    if not section.has("jitter") and isinstance(lent, str) is isinstance(default, float):
        return default
    return section.take("jitter", read, default)


def _fits_cron(section: Section) -> bool:
    return isinstance(section.table["jitter"], str)


def _share(value: object) -> float:
    if isinstance(value, str):
        raise WrongValueError("must be a number from 0 to 0.5, a share of the interval; only `cron` takes a duration")
    return real(0.0, 0.5)(value)


def _cron(section: Section) -> Schedule:
    from rotator.host.cron import Cron  # only here: it imports apscheduler

    def read_zone(value: object) -> str:
        try:
            return check_timezone(text(value))
        except ValueError as fault:
            raise WrongValueError(str(fault)) from None

    splay = _jitter(section, _splay, timedelta(0))
    zone = section.take("timezone", read_zone, "UTC")

    def read(value: object) -> Schedule:
        try:
            return Cron(text(value), zone, splay)
        except ValueError as fault:
            raise WrongValueError(str(fault)) from None

    return section.take("cron", read, Every(30 * _DAY))


def _splay(value: object) -> timedelta:
    if isinstance(value, int | float):
        raise WrongValueError(
            'must be a duration such as "2h" with `cron`; a share of the interval only goes with the others'
        )
    return span(timedelta(0), 7 * _DAY)(value)


def read_retirement(
    section: Section, home: Target | None, kind: KindDescription | None, options: object | None
) -> Retirement:
    """When a predecessor may be revoked: not before the least grace that the kind asks for."""
    section.known.add("retire")  # known even where it has no effect: one mistake, one fault
    by_value = bool(kind and home and options is not None and kind.revokes_by_value(home.config, options))
    if kind is not None and kind.only_expires and not (by_value and section.has("retire")):
        if section.has("retire"):
            section.fault("retire", f"does nothing for `{kind.name}`: each value ends at its own expiry")
        return Retirement(after=timedelta(0), gives_way=by_value)
    if kind is not None and options is not None and kind.has_cutover(options):
        if section.has("retire"):
            section.fault("retire", f"does nothing for `{kind.name}` with one slot: the new value ends the old one")
        return Retirement(after=timedelta(0))
    least = kind.minimum_grace(options) if kind and options else timedelta(0)
    given, usual = section.inner("retire"), max(least, Retirement().after)
    if given is None:
        return Retirement(after=usual)
    retirement = Retirement(
        gives_way=by_value,
        after=given.take("after", duration, usual),
        quiet=given.take("quiet", span(_MINUTE), None),
        deadline=given.take("deadline", span(_MINUTE), None),
        at_deadline=given.take("at_deadline", one_of(AtDeadline), AtDeadline.REVOKE),
    )
    if kind is not None and kind.last_use_resolution is None and not section.has("retire"):
        retirement = replace(retirement, quiet=None, deadline=None)  # a default for kinds that report their last use
    _check_quiet(given, kind, retirement)
    if retirement.after < least:
        words = f"{spell(retirement.after)} is too short: what was made with the old value lives for {spell(least)}"
        given.fault("after", words)
    section.close(given)
    return retirement


def _check_quiet(given: Section, kind: KindDescription | None, wanted: Retirement) -> None:
    """Report a `quiet` that the target cannot confirm before the deadline."""
    if kind is None or wanted.quiet is None:
        return
    if kind.last_use_resolution is None:
        given.fault("quiet", f"does nothing for `{kind.name}`: its target does not say when a value was last used")
    elif wanted.deadline is not None and wanted.deadline <= wanted.quiet + kind.last_use_resolution:
        given.fault(
            "deadline",
            f"{spell(wanted.deadline)} comes before quiet can be known: a use may be noted"
            f" {spell(kind.last_use_resolution)} late by the target of `{kind.name}`, and quiet is"
            f" {spell(wanted.quiet)}, together {spell(wanted.quiet + kind.last_use_resolution)}; lengthen deadline,"
            " or shorten quiet",
        )


def read_limits(section: Section, home: Target | None, kind: KindDescription | None, options: object | None) -> Limits:
    """The limits on minting, with the settle time of the target and the propagation delay of the kind."""
    usual = Limits()
    settle = home.settle if home else usual.settle
    spread = kind.propagation_delay(options) if kind and options else usual.spread
    given = section.inner("limits")
    if given is None:
        return Limits(settle=settle, spread=spread)
    limits = Limits(
        mints_per_rotation=given.take("mints_per_rotation", whole(1, 10), 3),
        mints_per_day=given.take("mints_per_day", whole(1, 10_000), 6),
        settle=settle,
        spread=spread,
    )
    section.close(given)
    return limits
