"""A small Django site with django-oauth-toolkit, run by the Python that has both: `python django_site.py FOLDER`.

Reads its clients and the password of its user ada from stdin as JSON, prints one line of JSON with its address. A POST
to /browser/CLIENT brings a refresh token, as a consent in a browser would. Tokens live for LIFE seconds.
"""

import json
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

LIFE = 600
folder, given = Path(sys.argv[1]), json.load(sys.stdin)
settings.configure(
    SECRET_KEY=secrets.token_hex(32),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "site.db", "OPTIONS": {"timeout": 30}}
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"],
    OAUTH2_PROVIDER={
        "SCOPES": {"read": "read"},
        "ACCESS_TOKEN_EXPIRE_SECONDS": LIFE,
        "REFRESH_TOKEN_EXPIRE_SECONDS": 86400,
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 (Django has to be set up first)
from django.core.management import call_command  # noqa: E402 (Django has to be set up first)
from django.http import JsonResponse  # noqa: E402 (Django has to be set up first)
from django.urls import include, path  # noqa: E402 (Django has to be set up first)
from django.utils import timezone  # noqa: E402 (Django has to be set up first)
from django.views.decorators.csrf import csrf_exempt  # noqa: E402 (Django has to be set up first)
from oauth2_provider.decorators import protected_resource  # noqa: E402 (Django has to be set up first)
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402 (Django has to be set up first)


@protected_resource(scopes=["read"])
def me(request):
    owner = request.resource_owner
    return JsonResponse({"name": owner.username if owner else ""})


@csrf_exempt
def browser(_request, client):
    return JsonResponse({"refresh_token": consented(applications[client], ada)})


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("me", me),
    path("browser/<client>", browser),
]


def consented(application, user):
    """What an authorisation code would have been exchanged for."""
    until = timezone.now() + timedelta(seconds=LIFE)
    access = AccessToken.objects.create(
        user=user, application=application, token=secrets.token_hex(20), expires=until, scope="read"
    )
    made = RefreshToken.objects.create(
        user=user, application=application, token=secrets.token_hex(20), access_token=access
    )
    return made.token


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


call_command("migrate", verbosity=0)
ada = User.objects.create_user("ada", password=given["password"])
applications = {
    each["name"]: Application.objects.create(
        client_id=each["name"],
        client_secret=each["secret"],
        client_type="public" if each["method"] == "none" else "confidential",
        authorization_grant_type=each["grant"].replace("_", "-").replace("refresh-token", "authorization-code"),
        redirect_uris="https://shop.example/back",
        user=ada,
        name=each["name"],
    )
    for each in given["clients"]
}
from django.core.wsgi import get_wsgi_application  # noqa: E402 (Django has to be set up first)

server = make_server("127.0.0.1", 0, get_wsgi_application(), Server, Quiet)
sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}) + "\n")
sys.stdout.flush()
server.serve_forever()
