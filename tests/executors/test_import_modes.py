"""`imports=` is a parameter of every executor: what can be imported without being authorised."""

from __future__ import annotations

import pytest

from pinjra import ConfigurationError, ErrorKind, sandbox

_EXECUTORS = ("jail", "local")


@pytest.mark.parametrize("name", _EXECUTORS)
def test_each_mode_gives_what_it_says(name: str) -> None:
    for mode, gives, refuses in (
        ("listed", ("json", "random"), ("os", "numpy")),
        ("standard", ("os", "subprocess", "pathlib"), ("ctypes", "numpy")),
        ("all", ("os", "ctypes", "numpy"), ()),
    ):
        with sandbox(name, imports=mode) as box:
            assert box.imports == mode
            for module in gives:
                assert box.run(f"import {module}").error is None, (mode, module)
            for module in refuses:
                assert box.run(f"import {module}").error.kind is ErrorKind.REFUSED, (mode, module)


def test_a_local_box_is_listed_and_a_walled_one_has_the_standard_library() -> None:
    with sandbox("local") as box:
        assert box.imports == "listed"
        assert box.run("open('note.txt', 'w').write('kept')").value == 4
    with sandbox("jail") as box:
        assert box.imports == "standard"


def test_a_mode_that_does_not_exist_is_the_callers_fault() -> None:
    with pytest.raises(ConfigurationError, match="imports= takes one of 'listed', 'standard', 'all'"):
        sandbox("jail", imports="some")
