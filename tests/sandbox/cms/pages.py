"""The rest of the site: health, info, the login page and the lists that prove a role.

Nothing here has an effect.
"""

from __future__ import annotations

from tests.sandbox.cms import roles
from tests.sandbox.cms.auth import Caller
from tests.sandbox.cms.documents import Document, page, role_list
from tests.sandbox.cms.model import HaloModel
from tests.sandbox.cms.refusals import Refused
from tests.sandbox.cms.times import stamp
from tests.sandbox.messages import HTML, Request, Response

_CONTENT = "content.halo.run"
_TEXT = "This post was written by the sandbox."
_POST = "b7f0b1c4-5f3e-4c39-9a41-1f1f6d8a2c10"
_SNAPSHOT = "0c8f1a52-6f4b-4d0e-8a70-5b7f8e0f9d21"
_CATEGORY = "6a1de7b0-93a4-4c5f-b1ab-2f0b6c1de532"
_TAG = "94b6f3d5-2c1e-47f8-8d0b-7a3e5c9f1b43"


class Pages:
    """What a probe may look at."""

    def __init__(self, model: HaloModel) -> None:
        """Reads the model."""
        self._model = model
        self._since = model.clock()

    def health(self, caller: Caller, request: Request) -> Response:
        """For anybody."""
        return Response.document({"status": "UP"})

    def site_facts(self, caller: Caller, request: Request) -> Response:
        """For anybody; it does not tell the version."""
        about = self._model.about
        shown: Document = {
            "allowAnonymousComments": False,
            "allowRegistration": False,
            "externalUrl": about.external_url,
            "locale": "en",
            "mustVerifyEmailOnRegistration": about.requires_verified_email,
            "postSlugGenerationStrategy": "generateByTitle",
            "siteTitle": about.title,
            "timeZone": "Etc/UTC",
        }
        if not self._model.traits.short_site_facts:
            shown.update(
                allowComments=True,
                dataInitialized=False,
                socialAuthProviders=[],
                useAbsolutePermalink=False,
                userInitialized=about.initialised,
            )
        return Response.document(shown)

    def roles(self, caller: Caller, request: Request) -> Response:
        """A page with every role of the catalogue."""
        found = role_list(list(roles.CATALOGUE), self._since)
        return Response.document(page(found, 1, 1000))

    def role(self, caller: Caller, request: Request, name: str) -> Response:
        """One role by its name."""
        for found in role_list([name], self._since):
            return Response.document(found)
        raise Refused(404, "Not Found", f"No role is called {name}.", "extension-not-found")

    def build_facts(self, caller: Caller, request: Request) -> Response:
        """Tells the version, to those with the role."""
        version = self._model.traits.version
        vendor = {"name": "sandbox"} | ({"version": "sandbox"} if self._model.traits.short_site_facts else {})
        build = {"artifact": "halo", "group": "run.halo.app", "name": "halo", "time": stamp(self._since)}
        return Response.document(
            {
                "git": {"branch": "sandbox", "commit": {"id": "0000000", "time": stamp(self._since)}},
                "build": {**build, "version": version},
                "java": {
                    "jvm": {"name": "none", "vendor": "none", "version": "0"},
                    "runtime": {"name": "none", "version": "0"},
                    "vendor": vendor,
                    "version": "0",
                },
                "os": {"arch": "none", "name": "none", "version": "0"},
                "database": {"name": "memory", "version": "0"},
            }
        )

    def login(self, caller: Caller, request: Request) -> Response:
        """Where a client ends up, with a 200, that follows redirects."""
        return Response(200, (("Content-Type", HTML),), b"<!doctype html><title>Login</title>")

    def posts(self, caller: Caller, request: Request) -> Response:
        """The sample post that the set-up writes since 2.20.0."""
        return Response.document(page([_sample_post(stamp(self._since))] if self._has_sample() else [], 1, 1))

    def plugins(self, caller: Caller, request: Request) -> Response:
        """None are installed."""
        return Response.document(page([], 1, 1))

    def _has_sample(self) -> bool:
        return self._model.about.initialised and self._model.traits.setup_form


def _sample_post(moment: str) -> Document:
    """A published post, with the keys of the one that the set-up of 2.20.2 to 2.26.0 writes."""
    return {
        "apiVersion": f"{_CONTENT}/v1alpha1",
        "kind": "Post",
        "metadata": _post_metadata(moment),
        "spec": {
            "allowComment": True,
            "baseSnapshot": _SNAPSHOT,
            "categories": [_CATEGORY],
            "cover": "",
            "deleted": False,
            "excerpt": {"autoGenerate": False, "raw": _TEXT},
            "headSnapshot": _SNAPSHOT,
            "htmlMetas": [],
            "owner": "admin",
            "pinned": False,
            "priority": 0,
            "publish": True,
            "publishTime": moment,
            "releaseSnapshot": _SNAPSHOT,
            "slug": "sandbox",
            "tags": [_TAG],
            "template": "",
            "title": "Sandbox",
            "visible": "PUBLIC",
        },
        "status": _post_status(moment),
    }


def _post_metadata(moment: str) -> Document:
    return {
        "annotations": {
            f"{_CONTENT}/permalink-pattern": "/archives/{slug}",
            f"{_CONTENT}/last-released-snapshot": _SNAPSHOT,
            "checksum/config": "0" * 64,
            f"{_CONTENT}/last-associated-categories": f'["{_CATEGORY}"]',
            f"{_CONTENT}/last-associated-tags": f'["{_TAG}"]',
        },
        "creationTimestamp": moment,
        "finalizers": ["post-protection"],
        "labels": {
            f"{_CONTENT}/archive-year": moment[:4],
            f"{_CONTENT}/archive-day": moment[8:10],
            f"{_CONTENT}/archive-month": moment[5:7],
            f"{_CONTENT}/published": "true",
            f"{_CONTENT}/deleted": "false",
            f"{_CONTENT}/owner": "admin",
            f"{_CONTENT}/visible": "PUBLIC",
        },
        "name": _POST,
        "version": 5,
    }


def _post_status(moment: str) -> Document:
    condition = {"lastTransitionTime": moment, "message": "", "reason": "Published", "status": "TRUE"}
    return {
        "conditions": [{**condition, "type": "PUBLISHED"}],
        "contributors": ["admin"],
        "excerpt": _TEXT,
        "hideFromList": False,
        "inProgress": False,
        "lastModifyTime": moment,
        "observedVersion": 5,
        "permalink": "/archives/sandbox",
        "phase": "PUBLISHED",
    }
