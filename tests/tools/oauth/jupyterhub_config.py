"""Settings of a JupyterHub without servers and without a proxy: its API is all that is wanted."""

import os

from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """Nobody is routed anywhere."""

    should_start = False

    async def add_route(self, routespec, target, data):
        return None

    async def delete_route(self, routespec):
        return None

    async def get_all_routes(self):
        return {}


home, port = os.environ["HUB_HOME"], int(os.environ["HUB_PORT"])
c = get_config()  # noqa: F821 (JupyterHub's own)
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = port
c.JupyterHub.bind_url = f"http://127.0.0.1:{port}/"
c.JupyterHub.db_url = f"sqlite:///{home}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{home}/cookie-secret"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {"ada"}
c.JupyterHub.services = [{"name": "person", "api_token": os.environ["HUB_ADMIN"]}]
c.JupyterHub.load_roles = [
    {"name": "person", "scopes": ["admin:users", "tokens", "list:users"], "services": ["person"]}
]
