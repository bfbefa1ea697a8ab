"""Settings as a cluster has them, all the way into a real OpenBao: TLS, a namespace, every login of a workload."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from rotator.app.factories import connection, vault_login
from rotator.app.vault_policy import policy
from rotator.host.cron import SystemClock
from rotator.ports import StoreRefused
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import Secret
from rotator.settings import Settings, load
from rotator.vault.fitness import FindingLevel
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.preflight import preflight
from rotator.vault.session import Session
from tests.kit.certificates import Authority
from tests.sandbox.environment import to_toml
from tests.sandbox.openbao_binary import is_openbao
from tests.system.cluster.conftest import TlsOpenBao
from tests.system.cluster.token_review import ISSUER, Cluster
from tests.unit.vault.worlds import enable_auth, only_openbao

pytestmark = [pytest.mark.anyio, pytest.mark.system]
BOT = {
    "targets": {"blog": {"kind": "halo-cms", "url": "http://127.0.0.1:9", "minter": {"self": True}}},
    "credentials": {"bot": {"target": "blog", "path": "apps/bot", "every": "1d", "lifetime": "30d"}},
}
POLICY = 'path "secret/data/*" { capabilities = ["create", "update", "read"] }'
OWN = 'path "auth/token/revoke-self" { capabilities = ["update"] }'
WRONG = [
    {"account": "other", "namespace": "rotator"},
    {"account": "rotator", "namespace": "other"},
    {"account": "rotator", "namespace": "rotator", "audience": "somebody-else"},
    {"account": "rotator", "namespace": "rotator", "age": timedelta(hours=1)},
]
WRONG_IDS = ["account", "namespace", "audience", "expired"]
GRANTED = {"token_policies": ["rotator"], "token_no_default_policy": True, "token_ttl": "30m"}


class Tenant:
    """A namespace of Vault with an engine, a policy and one login method; and the settings of a daemon for it.

    HashiCorp Vault's free edition has the root namespace alone: there each tenant takes the place of the one before.
    """

    def __init__(self, bao: TlsOpenBao, folder: Path, method: str) -> None:
        self.bao, self.method = bao, method
        self.name = f"team-{uuid4().hex[:8]}"
        self.folder = folder
        self.namespace = self.name if is_openbao() else ""
        if self.namespace:
            self.bao.call("POST", f"sys/namespaces/{self.name}", {})
        else:
            for path in ("sys/mounts/secret", f"sys/auth/{method}"):
                self.bao.call("DELETE", path)
        self.call("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        self.bao.await_kv(f"{self.namespace}/secret".strip("/"))
        self.call("sys/policies/acl/rotator", {"policy": f"{POLICY}\n{OWN}"})
        enable_auth(self.bao, method, self.namespace)

    def call(self, path: str, body: dict[str, Any]) -> None:
        """A request as the operator, in the namespace."""
        self.bao.call("POST", f"{self.namespace}/{path}".strip("/"), body)

    def keep(self, secret: Secret, name: str = "token") -> Path:
        """A secret in a file, as the kubelet or a CI system leaves it."""
        path = self.folder / f"{self.name}-{name}"
        path.write_text(secret.reveal())
        path.chmod(0o600)
        return path

    def settings(self, secrets: str, **auth: Any) -> Settings:
        """Of a daemon whose secrets are in this namespace."""
        vault = {"address": self.bao.tls_address, "ca_file": str(self.bao.ca_file)}
        vault |= {"namespace": secrets} if secrets else {}
        path = self.folder / f"{self.name}.toml"
        path.write_text(to_toml({"vault": vault | {"auth": {"method": self.method, **auth}}, **BOT}))
        return load(path)

    def session(self, **auth: Any) -> Session:
        """What a daemon with these settings would talk to Vault through."""
        return opened(self.settings(self.namespace, **auth))

    def apart(self, **auth: Any) -> Settings:
        """Settings whose secrets are in a namespace below that of the login, where the policy is what they print."""
        inner = f"{self.name}/inner"
        self.call("sys/namespaces/inner", {})
        self.bao.call("POST", f"{inner}/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        self.bao.await_kv(f"{inner}/secret")
        settings = self.settings(inner, namespace=self.name, **auth)
        self.call("sys/policies/acl/rotator", {"policy": policy(settings)})
        return settings


def opened(settings: Settings) -> Session:
    return Session(connection(settings.vault, "host-a"), vault_login(settings), SystemClock())


async def works(session: Session) -> None:
    """Log in, write and read; raises StoreRefused when that is refused."""
    try:
        await session.open()
        place = VaultPath("secret", f"apps/{uuid4().hex}")
        assert await Kv(session).write(place, {"said": "hello"}, cas=0) == 1
        assert (await Kv(session).read(place)).version == 1
    finally:
        await session.close()


async def works_apart(settings: Settings) -> None:
    """What a daemon does, with the login in one namespace and the secrets in another."""
    session = opened(settings)
    kv, place = Kv(session), VaultPath("secret", "apps/bot")
    try:
        found = await preflight(kv, [place], timedelta(days=1))
        assert [each for each in found if each.level is not FindingLevel.OK] == []
        journal = VaultJournal(kv, "secret", "rotator")
        await journal.meta()
        assert await journal.names() == ()
        assert await kv.write(place, {"said": "hello"}, cas=0) == 1
        assert (await kv.read(place, strong=True)).version == 1
        with pytest.raises(StoreRefused, match="policy denies"):
            await kv.read(VaultPath("secret", "apps/of-others"))
        await session.ask(lambda client: client.adapter.get("/v1/secret/config"))
        await session._prolong(await session._logged_in())  # renewed where it was made
        assert (await session.look_up()).section("data")["policies"] == ["rotator"]
    finally:
        await session.close()


# --- kubernetes -----------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(servers: Authority) -> Any:
    with Cluster(servers.issue(f"cluster-{uuid4().hex[:8]}")) as running:
        yield running


@pytest.fixture
def pods(bao: TlsOpenBao, folder: Path, servers: Authority, cluster: Cluster) -> Tenant:
    """Vault set up as config/operations.md says, "In a cluster"."""
    tenant = Tenant(bao, folder, "kubernetes")
    ca = Path(servers.ca_file).read_text()
    reviewer = cluster.token("vault", "vault", audience=ISSUER)
    config = {"kubernetes_host": cluster.address, "kubernetes_ca_cert": ca, "disable_local_ca_jwt": True}
    tenant.call("auth/kubernetes/config", config | {"token_reviewer_jwt": reviewer})
    bound = {"bound_service_account_names": ["rotator"], "bound_service_account_namespaces": ["rotator"]}
    tenant.call("auth/kubernetes/role/rotator", {**GRANTED, **bound, "audience": "vault"})
    return tenant


async def test_a_pod_logs_in_with_its_projected_token(pods: Tenant, cluster: Cluster) -> None:
    path = pods.keep(cluster.token("rotator", "rotator"))
    await works(pods.session(role="rotator", token={"file": str(path)}))
    assert cluster.reviewed == ["authenticated"]


@pytest.mark.parametrize("wrong", WRONG, ids=WRONG_IDS)
async def test_any_other_pods_token_is_refused_in_words(pods: Tenant, cluster: Cluster, wrong: dict[str, Any]) -> None:
    path = pods.keep(cluster.token(**wrong))
    with pytest.raises(StoreRefused, match="kubernetes login"):
        await works(pods.session(role="rotator", token={"file": str(path)}))


async def test_a_pod_whose_account_was_deleted_is_refused(pods: Tenant, cluster: Cluster) -> None:
    path = pods.keep(cluster.token("rotator", "rotator"))
    cluster.deleted.add("system:serviceaccount:rotator:rotator")
    with pytest.raises(StoreRefused, match="kubernetes login"):
        await works(pods.session(role="rotator", token={"file": str(path)}))
    assert cluster.reviewed == ["the service account is gone"]


async def test_a_token_that_the_kubelet_replaced_is_read_anew(pods: Tenant, cluster: Cluster) -> None:
    path = pods.keep(cluster.token("rotator", "rotator", age=timedelta(hours=1)))
    with pytest.raises(StoreRefused):
        await works(pods.session(role="rotator", token={"file": str(path)}))
    session = pods.session(role="rotator", token={"file": str(path)})
    pods.keep(cluster.token("rotator", "rotator"))
    await works(session)


# --- jwt ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def workloads(bao: TlsOpenBao, folder: Path, servers: Authority, cluster: Cluster) -> Tenant:
    """Vault trusts the key set that the cluster publishes; it does not ask for reviews."""
    tenant = Tenant(bao, folder, "jwt")
    config = {"jwks_url": f"{cluster.address}/openid/v1/jwks", "jwks_ca_pem": Path(servers.ca_file).read_text()}
    tenant.call("auth/jwt/config", config | {"bound_issuer": ISSUER})
    subject = "system:serviceaccount:rotator:rotator"
    bound = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_subject": subject}
    tenant.call("auth/jwt/role/rotator", {**GRANTED, **bound})
    return tenant


async def test_a_workload_logs_in_with_a_jwt_of_a_local_key_set(workloads: Tenant, cluster: Cluster) -> None:
    path = workloads.keep(cluster.token("rotator", "rotator"))
    await works(workloads.session(role="rotator", token={"file": str(path)}))
    assert cluster.reviewed == []


@pytest.mark.parametrize("wrong", WRONG, ids=WRONG_IDS)
async def test_any_other_jwt_is_refused_in_words(workloads: Tenant, cluster: Cluster, wrong: dict[str, Any]) -> None:
    path = workloads.keep(cluster.token(**wrong))
    with pytest.raises(StoreRefused, match="jwt login"):
        await works(workloads.session(role="rotator", token={"file": str(path)}))


async def test_a_replaced_key_of_the_set_is_found_and_the_old_one_is_over(workloads: Tenant, cluster: Cluster) -> None:
    before = workloads.keep(cluster.token("rotator", "rotator"), "before")
    cluster.replace_key()
    after = workloads.keep(cluster.token("rotator", "rotator"), "after")
    await works(workloads.session(role="rotator", token={"file": str(after)}))
    with pytest.raises(StoreRefused, match="jwt login"):
        await works(workloads.session(role="rotator", token={"file": str(before)}))


# --- cert -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def machines(bao: TlsOpenBao, folder: Path, clients: Authority) -> Tenant:
    """Vault trusts certificates of the clients' authority that are called `rotator`."""
    tenant = Tenant(bao, folder, "cert")
    trusted = {"certificate": Path(clients.ca_file).read_text(), "allowed_common_names": ["rotator"]}
    tenant.call("auth/cert/certs/rotator", {**GRANTED, **trusted})
    return tenant


async def test_a_machine_logs_in_with_its_tls_certificate(machines: Tenant, clients: Authority) -> None:
    pem = clients.issue("rotator")
    for role in ({}, {"role": "rotator"}):
        await works(machines.session(cert_file=pem, key_file=pem, **role))


async def test_a_certificate_of_another_name_or_authority_is_refused(
    machines: Tenant, clients: Authority, servers: Authority
) -> None:
    for pem in (clients.issue("somebody"), servers.issue("rotator")):
        with pytest.raises(StoreRefused, match="cert login"):
            await works(machines.session(cert_file=pem, key_file=pem))


# --- namespaces and TLS ---------------------------------------------------------------------------------------------


@only_openbao  # namespaces
async def test_a_login_of_one_namespace_is_worth_nothing_in_another(bao: TlsOpenBao, folder: Path) -> None:
    tenant, other = Tenant(bao, folder, "approle"), Tenant(bao, folder, "approle")
    tenant.call("auth/approle/role/rotator", GRANTED)
    role_id = bao.call("GET", f"{tenant.name}/auth/approle/role/rotator/role-id")["data"]["role_id"]
    secret_id = bao.call("POST", f"{tenant.name}/auth/approle/role/rotator/secret-id")["data"]["secret_id"]
    login = {"role_id": role_id, "secret_id": {"file": str(tenant.keep(Secret(secret_id)))}}
    await works(tenant.session(**login))
    with pytest.raises(StoreRefused, match="approle login"):
        await works(other.session(**login))


@only_openbao  # namespaces
async def test_a_pods_login_may_be_in_another_namespace(pods: Tenant, cluster: Cluster) -> None:
    path = pods.keep(cluster.token("rotator", "rotator"))
    await works_apart(pods.apart(role="rotator", token={"file": str(path)}))


@only_openbao  # namespaces
async def test_a_jwt_login_may_be_in_another_namespace(workloads: Tenant, cluster: Cluster) -> None:
    path = workloads.keep(cluster.token("rotator", "rotator"))
    await works_apart(workloads.apart(role="rotator", token={"file": str(path)}))


@only_openbao  # namespaces
async def test_a_certificates_login_may_be_in_another_namespace(machines: Tenant, clients: Authority) -> None:
    pem = clients.issue("rotator")
    await works_apart(machines.apart(cert_file=pem, key_file=pem))


@only_openbao  # namespaces
async def test_an_approle_login_may_be_in_another_namespace(bao: TlsOpenBao, folder: Path) -> None:
    tenant = Tenant(bao, folder, "approle")
    tenant.call("auth/approle/role/rotator", GRANTED)
    role_id = bao.call("GET", f"{tenant.name}/auth/approle/role/rotator/role-id")["data"]["role_id"]
    secret_id = bao.call("POST", f"{tenant.name}/auth/approle/role/rotator/secret-id")["data"]["secret_id"]
    file = str(tenant.keep(Secret(secret_id)))
    await works_apart(tenant.apart(role_id=role_id, secret_id={"file": file}))


@only_openbao  # namespaces
async def test_a_token_of_another_namespace_may_be_given(bao: TlsOpenBao, folder: Path) -> None:
    tenant = Tenant(bao, folder, "approle")
    tenant.method = "token"
    wishes = {"policies": ["rotator"], "no_default_policy": True, "ttl": "1h"}
    made = bao.call("POST", f"{tenant.name}/auth/token/create", wishes)["auth"]["client_token"]
    await works_apart(tenant.apart(token={"file": str(tenant.keep(Secret(made)))}))


async def test_a_server_of_an_unknown_authority_is_not_talked_to(
    bao: TlsOpenBao, folder: Path, clients: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = Tenant(bao, folder, "cert")
    monkeypatch.setattr(bao, "ca_file", clients.ca_file)
    pem = clients.issue("rotator")
    with pytest.raises(Exception, match=r"(?i)certificate|tls"):
        await works(tenant.session(cert_file=pem, key_file=pem))
