"""What gets in and out of a box, in the real jail: effects only."""

from __future__ import annotations

import sys

import pytest

from pinjra import ConfigurationError, sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")


def value(box, code):
    done = box.run(code)
    assert done.error is None, done.error
    return done.value


def test_variables_are_in_the_environment_and_the_time_zone_is_in_force():
    with sandbox("jail", env={"TZ": "Asia/Kolkata", "GREETING": "namaste = ok"}, guard=False) as box:
        code = (
            "import os, time\n(os.environ['GREETING'], time.localtime(0).tm_hour, time.localtime(0).tm_min)"
        )
        assert value(box, code) == ("namaste = ok", 5, 30)
        box.reset()
        assert value(box, code) == ("namaste = ok", 5, 30)


def test_what_an_executor_has_not_is_an_error_that_names_one_that_has():
    from pinjra.executors.pipes import SubprocessExecutor

    with pytest.raises(ConfigurationError, match=r"SubprocessExecutor has no programs=; .*jail"):
        SubprocessExecutor([sys.executable], programs=["git"])


def test_a_backend_that_opens_all_or_nothing_refuses_single_hosts():
    from pinjra.executors.session.capabilities import open_network

    with pytest.raises(ConfigurationError, match=r"True or False only.*api\.github\.com.*jail"):
        open_network("docker", ["api.github.com"])
