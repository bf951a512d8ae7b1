"""Parameters as a user writes them -> what the box is to have, or one line that says which parameter is wrong."""

from __future__ import annotations

import pytest

from pinjra.core.access import Access, Mount, parse_access
from pinjra.core.errors import ConfigurationError


def test_nothing_asked_is_nothing_given():
    assert parse_access({}) == Access()
    assert Access().asked == ()


def test_what_is_asked_is_named_by_its_parameter(tmp_path):
    asked = parse_access(
        {
            "programs": ["git", "bash", "git"],
            "network": ["API.github.com", "*.wikipedia.org:443"],
            "secrets": {"api.github.com": {"Authorization": "Bearer x"}},
            "packages": ["polars==1.35.2"],
            "mounts": {"data": tmp_path, "out": Mount(str(tmp_path), writable=True)},
            "env": {"TZ": "Asia/Kolkata"},
        }
    )
    assert asked.programs == ("bash", "git")
    assert asked.hosts == ("api.github.com:", "*.wikipedia.org:443")
    assert asked.env == ("TZ=Asia/Kolkata",)
    assert dict(asked.mounts)["out"].writable
    assert asked.asked == ("programs", "network", "secrets", "packages", "mounts", "env")
    assert hash(asked) == hash(asked)


def test_any_program_is_one_word():
    assert parse_access({"programs": ["git", "*"]}).programs == ("*",)


def test_a_secret_is_not_in_what_is_printed():
    asked = parse_access({"network": ["a.example"], "secrets": {"a.example": {"X-Key": "hush"}}})
    assert "hush" not in repr(asked)


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"programs": ["/bin/sh"]}, "programs="),
        ({"programs": ["../sh"]}, "programs="),
        ({"programs": [""]}, "programs="),
        ({"network": ["http://a.example"]}, "network="),
        ({"network": ["a.example:0"]}, "network="),
        ({"network": ["*"]}, "network="),
        ({"network": ["a b"]}, "network="),
        ({"network": 3}, "network="),
        ({"secrets": {"a.example": {"X-Key": "hush"}}}, "secrets="),
        ({"network": ["a.example"], "secrets": {"a.example": {"X-Key": "a\r\nHost: b"}}}, "secrets="),
        ({"network": ["a.example"], "secrets": {"a.example": {"X Key": "a"}}}, "secrets="),
        ({"mounts": {"../up": "/srv"}}, "mounts="),
        ({"mounts": {"data": "/there/is/no/such/folder"}}, "mounts="),
        ({"mounts": {"data": 1}}, "mounts="),
        ({"env": {"A=B": "x"}}, "env="),
        ({"env": {"A": 1}}, "env="),
        ({"packages": [None]}, "packages="),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_parameter(given, parameter):
    with pytest.raises(ConfigurationError, match=parameter) as caught:
        parse_access(given)
    assert "hush" not in str(caught.value)
