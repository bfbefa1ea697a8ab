"""The tables `retire` and `limits` of a credential: how long a predecessor stays, how often a mint is tried."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec

from rotator.rotation.credential import AtDeadline, Limits, Retirement
from rotator.settings.kind_options import KindDescription
from rotator.settings.model import Target
from rotator.settings.parsers import duration, one_of, span, spell, whole
from rotator.settings.table_reader import Section

_MINUTE = timedelta(minutes=1)


def read_retirement(section: Section, kind: KindDescription | None, options: msgspec.Struct | None) -> Retirement:
    """When a predecessor may go: never before consumers can do without it, which the kind may know."""
    section.known.add("retire")  # known, even where it does nothing: one mistake, one fault
    if kind is not None and kind.only_expires:
        if section.has("retire"):
            section.fault("retire", f"does nothing for `{kind.name}`: each value ends at its own expiry")
        return Retirement(after=timedelta(0))
    if kind is not None and options is not None and kind.has_cutover(options):
        if section.has("retire"):
            section.fault("retire", f"does nothing for `{kind.name}` with one slot: the new value ends the old one")
        return Retirement(after=timedelta(0))
    least = kind.minimum_grace(options) if kind and options else timedelta(0)
    given, usual = section.inner("retire"), max(least, Retirement().after)
    if given is None:
        return Retirement(after=usual)
    retirement = Retirement(
        after=given.take("after", duration, usual),
        quiet=given.take("quiet", span(_MINUTE), None),
        deadline=given.take("deadline", span(_MINUTE), None),
        at_deadline=given.take("at_deadline", one_of(AtDeadline), AtDeadline.REVOKE),
    )
    if kind is not None and kind.last_use_resolution is None and not section.has("retire"):
        retirement = replace(retirement, quiet=None, deadline=None)  # a default, meant for those that can be quiet
    _check_quiet(given, kind, retirement)
    if retirement.after < least:
        words = f"{spell(retirement.after)} is too short: what was made with the old value lives for {spell(least)}"
        given.fault("after", words)
    section.close(given)
    return retirement


def _check_quiet(given: Section, kind: KindDescription | None, wanted: Retirement) -> None:
    """Whether `quiet` can be known before the deadline, with what the target says and how late it may say it."""
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


def read_limits(
    section: Section, home: Target | None, kind: KindDescription | None, options: msgspec.Struct | None
) -> Limits:
    """Bounds on minting, with the patience that the target and the kind ask for."""
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
