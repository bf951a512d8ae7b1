"""A real sshd on loopback: the contract over ssh, the jail at the far end, and what it says when it cannot be had.

As root the server is fetched and started by `scripts/sshd-for-tests`; elsewhere, and where that fails, these tests skip.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from remote_standins.chosen import chosen, keep_contract, named
from remote_standins.shared import check_full_scratch_folder, check_row

from pinjra.cli.agent_checks import AGENT_CHECKS
from pinjra.core.errors import ConfigurationError, SessionLost, StartupFailed
from pinjra.executors.conformance.suite import Check

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="an ssh server of our own needs root here"),
]


@pytest.mark.parametrize("wanted", [*chosen(), *AGENT_CHECKS], ids=named)
def test_a_far_machine_keeps_the_contract(ssh: Any, wanted: Check):
    keep_contract(ssh, wanted)


def test_the_table_says_what_a_far_machine_says(ssh: Any):
    with ssh() as executor:
        lacking = [m for m in executor.guarantees.missing if m.startswith(("landlock", "seccomp"))]
        if lacking:
            pytest.skip(f"the kernel here offers less than the table says: {lacking}")
        check_row("ssh", executor.guarantees)


def test_a_full_scratch_folder_at_the_far_end_is_an_error_of_the_guest(ssh: Any):
    check_full_scratch_folder(ssh)


def test_the_worker_confines_itself_at_the_far_end(ssh: Any):
    with ssh(guard=False) as executor:
        isolation = executor.guarantees.isolation
        assert {"landlock files", "seccomp", "rlimits", "capabilities dropped"} <= set(isolation)
        assert executor.guarantees.network
        for code in (
            "open('/etc/passwd').read()",
            "import os; os.listdir('/home')",
            "open('/tmp/new', 'w')",
            "import socket; socket.create_connection(('127.0.0.1', 22), 1)",
            "import socket; socket.socket(socket.AF_UNIX)",
            "import os; os.execv('/bin/sh', ['sh', '-c', 'true'])",
            "import os; os.kill(os.getppid(), 0) or os.kill(1, 0)",
        ):
            assert executor.run(code).error is not None, code
        status = executor.run("open('here', 'w').write('x'); open('here').read()").value
        assert status == "x"
        assert executor.run("import os; os.getuid()").value == 4242
        foreign = "[k for k in os.environ if k.startswith(('SSH', 'PATH', 'SHELL'))]"
        assert executor.run(foreign).value == []


def test_without_confinement_the_guarantees_say_so(ssh: Any):
    with ssh(confine="none", guard=False) as executor:
        assert executor.guarantees.network == ""
        assert executor.guarantees.missing == ("confinement at the far end: not asked for",)
        assert executor.run("len(open('/etc/passwd').read()) > 0").value is True


def test_a_connection_that_ends_is_a_loss(ssh: Any):
    with ssh() as executor:
        executor.run("x = 1")
        transport = executor._connection.messages.transport
        executor.send_tools({"hang_up": transport.kill})
        with pytest.raises(SessionLost):
            executor.run("hang_up()\nx")
        executor.reset()
        assert executor.run("1 + 1").value == 2


def test_a_login_that_is_refused_is_told_with_sshs_words(ssh: Any):
    with pytest.raises(StartupFailed, match="Permission denied"):
        ssh(host="nobody@127.0.0.1")


def test_a_far_end_without_that_python_is_told(ssh: Any):
    with pytest.raises(StartupFailed, match=r"exit status 127.*no-such-python"):
        ssh(python="/no-such-python")


def test_a_host_that_could_be_an_option_is_refused(ssh: Any):
    with pytest.raises(ConfigurationError, match="needs a host"):
        ssh(host="-oProxyCommand=id")
