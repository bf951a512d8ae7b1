"""What the settings name and this machine has not: refused when the service starts, and named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.server.http.machine import check_machine
from pinjra.server.http.settings import load_settings

TENANT = '[tenants.team]\ntoken = "0123456789abcdef"\n'


def checked(folder, text):
    (folder / "settings.toml").write_text(text.replace("HERE", str(folder)))
    check_machine(load_settings([str(folder / "settings.toml")], {}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('audit_log = "HERE/none/a.jsonl"', "audit_log: .*none/a.jsonl' cannot be written: .*No such file"),
        ('audit_log = "HERE"', "audit_log: .* cannot be written: .*Is a directory"),
        ('runs_folder = "HERE/settings.toml/runs"', "runs_folder: .* cannot be made: .*Not a directory"),
        (f'{TENANT}mounts = {{data = "HERE/none"}}', "tenants.team: mounts= for 'data': there is no .*none"),
        (f'{TENANT}mounts = {{"../up" = "HERE"}}', "tenants.team: mounts= wants a plain name"),
        (f'{TENANT}network = ["https://a.example"]', "tenants.team: network= wants hosts like"),
        (
            '[agents.a]\nagent = "nocolon"',
            'agents.a.agent: what stands in Python is "module:name", not \'noc',
        ),
        ('[agents.a]\nagent = "no_such_module:agent"', "agents.a.agent: .* No module named 'no_such_module'"),
        ('[agents.a]\nagent = "string:nothing"', "agents.a.agent: .* has no attribute 'nothing'"),
        ('[agents.a]\nmodel = "python:no_such_module:m"', "agents.a.model: .* No module named"),
        ('[models]\nm = "python:nomodule"', "models.m: what stands in Python is"),
        ('warm_imports = ["json", "no_such_module"]', "warm_imports: there is no module 'no_such_module'"),
        ('warm_imports = ["json.nothing"]', "warm_imports: there is no module 'json.nothing'"),
        ('warm_imports = [""]', "warm_imports: there is no module ''"),
    ],
)
def test_what_is_not_there_is_refused_with_its_setting(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said):
        checked(tmp_path, text)


def test_an_agents_module_that_fails_is_refused_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "agents_that_fail.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"agents\.a\.agent: .*ZeroDivisionError"):
        checked(tmp_path, '[agents.a]\nagent = "agents_that_fail:agent"')


def test_what_is_there_is_taken_and_the_runs_have_their_folder(tmp_path):
    text = f'audit_log = "HERE/a.jsonl"\nruns_folder = "HERE/all/runs"\nwarm_imports = ["json.decoder"]\n{TENANT}'
    checked(tmp_path, f'{text}mounts = {{data = "HERE"}}\nnetwork = ["*"]\n')
    assert (tmp_path / "all" / "runs").is_dir()
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_command_says_it_in_one_line_and_does_not_start(tmp_path):
    (tmp_path / "settings.toml").write_text('warm_imports = ["no_such_module"]')
    command = [
        sys.executable,
        "-m",
        "pinjra",
        "serve",
        "--port",
        "0",
        "--config",
        str(tmp_path / "settings.toml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    said = "pinjra: warm_imports: there is no module 'no_such_module' here\n"
    assert (done.returncode, done.stderr) == (2, said)
