"""What differs between Halo CMS releases, as far as personal access tokens can tell.

Every line was measured on servers built from unmodified source (2.19.3, 2.20.2, 2.20.18, 2.26.0) or read in the
release between them that made the change. What follows from a trait is left to the files that ask for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Junk(StrEnum):
    """What happens to a Bearer value without the `pat_` prefix."""

    EMPTY = "empty"  # 200 without a body, on protected paths too
    IGNORED = "ignored"  # the call is anonymous
    REFUSED = "refused"  # 401


@dataclass(frozen=True, slots=True)
class Traits:
    """The behaviour of one release."""

    version: str
    pat_mints: bool  # a PAT may mint and restore (since 2.20.3); else 403
    keeps_metadata: bool  # chosen names, labels, annotations survive a mint (since 2.20.19)
    shows_deleting: bool  # a deleted record is readable until collected (since 2.20.19)
    redirects_anonymous: bool  # 302 instead of 401 without the XHR header (since 2.20.0)
    basic_always: bool  # Basic Auth cannot be switched off (before 2.20.0)
    setup_form: bool  # POST /system/setup with sample content (since 2.20.0)
    can_disable_users: bool  # an endpoint for it (absent in 2.20.2, there in 2.20.18)
    lax_cookie: bool  # SameSite=Lax on cookies (in 2.20.18, no longer in 2.26.0)
    shows_blank_type: bool  # problems say "type": "about:blank" (in 2.20.18, no longer in 2.26.0)
    quiet_creation: bool  # creating a user answers without a body (2.26.0)
    short_site_facts: bool  # fewer keys in /actuator/globalinfo (2.26.0)
    own_profile: bool  # uc.api.halo.run users/- exists (since 2.26.0)
    tokens_die_with_user: bool  # deleting a user deletes its PATs (since 2.26.0)
    profile_completion: bool  # 403 while a required e-mail is missing (since 2.26.0)
    junk: Junk

    @classmethod
    def of(cls, version: str) -> Traits:
        """The traits of a release such as "2.20.18". Raises ValueError for anything older than 2.17.0."""
        if not re.fullmatch(r"\d+\.\d+\.\d+", version):
            raise ValueError(f"not a Halo version: {version!r}")
        major, minor, patch = (int(part) for part in version.split("."))
        at = (major, minor, patch)
        if at < (2, 17, 0):
            raise ValueError("before 2.17.0 the PAT endpoints had another address; the sandbox does not know them")
        return cls(
            version=version,
            pat_mints=at >= (2, 20, 3),
            keeps_metadata=at >= (2, 20, 19),
            shows_deleting=at >= (2, 20, 19),
            redirects_anonymous=at >= (2, 20, 0),
            basic_always=at < (2, 20, 0),
            setup_form=at >= (2, 20, 0),
            can_disable_users=at >= (2, 20, 3),
            lax_cookie=at < (2, 24, 0),
            shows_blank_type=at < (2, 24, 0),
            quiet_creation=at >= (2, 24, 0),
            short_site_facts=at >= (2, 24, 0),
            own_profile=at >= (2, 26, 0),
            tokens_die_with_user=at >= (2, 26, 0),
            profile_completion=at >= (2, 26, 0),
            junk=Junk.EMPTY if at < (2, 20, 4) else Junk.IGNORED if at < (2, 24, 0) else Junk.REFUSED,
        )
