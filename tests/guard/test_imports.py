"""Import statements: what each mode gives, and what a refusal says."""

from __future__ import annotations

import os
import sys
import types

import pytest
from tests.guard.support import Session

from pinjra.core.execution import ErrorKind
from pinjra.guard.policy import DEFAULT_AUTHORIZED, IMPORT_MODES, Policy
from pinjra.guard.policy.modules import UNFIT

_ALLOW = "authorized_imports=[{!r}] allows it (agents: additional_authorized_imports)"


@pytest.mark.parametrize("mode", IMPORT_MODES)
def test_the_reviewed_list_can_be_imported_in_every_mode(mode) -> None:
    session = Session(imports=mode)
    for name in DEFAULT_AUTHORIZED:
        if name != "string.templatelib" or sys.version_info >= (3, 14):
            session.value(f"import {name}")


@pytest.mark.parametrize("name", ["os", "sys", "subprocess", "pickle", "asyncio.subprocess", "json.tool"])
def test_what_is_not_on_the_list_is_refused_and_the_parameter_named(name: str) -> None:
    error = Session().error(f"x = 1\nimport {name}")
    assert (error.kind, error.message, error.line) == (
        ErrorKind.REFUSED,
        f"import of {name} is not authorised",
        2,
    )
    assert error.hint == _ALLOW.format(name)


@pytest.mark.parametrize(
    "name",
    ["os", "sys", "pathlib", "warnings", "logging", "traceback", "unittest", "weakref", "pickle", "os.path"],
)
def test_the_standard_library_is_open_where_imports_are_standard(name: str) -> None:
    assert Session(imports="standard").value(f"import {name} as found\nfound") is sys.modules[name]


def test_a_program_can_import_itself_where_imports_are_standard() -> None:
    session = Session(imports="standard")
    session.run("import __main__, timeit\nfrom __main__ import __name__ as own")
    assert session.value("own, timeit.timeit('pass', 'import __main__', number=1) >= 0") == ("__main__", True)


@pytest.mark.parametrize("name", sorted(UNFIT))
def test_what_cannot_work_in_a_box_says_why(name: str) -> None:
    error = Session(imports="standard").error(f"import {name}")
    assert error.message == f"import of {name} is not authorised: {UNFIT[name]}"
    assert error.hint == _ALLOW.format(name)


@pytest.mark.parametrize(
    "made", ["types.ModuleType('made')", "types.SimpleNamespace(x=1)", "mock.MagicMock()"]
)
def test_a_module_that_a_program_has_made_can_be_imported(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made", None)  # type: ignore[arg-type]  # it is away behind the test
    session = Session(imports="standard")
    assert session.error("import made").message.startswith("import of made halted")
    source = f"import sys, types\nfrom unittest import mock\nsys.modules['made'] = {made}\nsys.modules['made'].x = 5\n"
    assert session.value(f"{source}import made\nfrom made import x\nmade is sys.modules['made'] and x") == 5


def test_no_name_at_all_is_an_error_as_in_python() -> None:
    assert Session(imports="standard").error("__import__('')").type == "ValueError"


def test_what_cannot_work_in_a_box_is_given_to_who_asks_for_it() -> None:
    assert Session("ctypes", imports="standard").value("import ctypes\nctypes.sizeof(ctypes.c_int8)") == 1


@pytest.mark.parametrize("mode", ["listed", "standard"])
def test_an_installed_package_is_refused_with_the_parameter_that_allows_it(mode) -> None:
    error = Session(imports=mode).error("import numpy.linalg")
    assert error.message == "import of numpy.linalg is not authorised"
    assert error.hint == "numpy is installed; " + _ALLOW.format("numpy.linalg")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("numppy", "did you mean numpy?"),
        ("beautifulsoup4", "did you mean bs4?"),
        ("pd", "did you mean pandas?"),
        ("qqqqqqqq", "only what the executor was given can be imported"),
    ],
)
def test_a_package_that_is_not_there_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    error = Session(imports="standard").error(f"import {name}")
    assert error.message == f"import of {name} is not authorised, and {name} is not installed"
    assert error.hint == hint


def test_a_program_that_probes_for_a_package_goes_on() -> None:
    for kind in ("ImportError", "ModuleNotFoundError"):
        assert (
            Session().value(f"try:\n    import numpy\nexcept {kind} as e:\n    found = e.name\nfound")
            == "numpy"
        )


@pytest.mark.parametrize("entry", ["numpy", "numpy.*", "*"])
@pytest.mark.parametrize("mode", ["listed", "standard"])
def test_authorising_a_package_authorises_what_lies_below_it(mode, entry: str) -> None:
    session = Session(entry, imports=mode)
    assert session.value("import numpy as np, numpy.linalg\nfloat(np.linalg.norm([3.0, 4.0]))") == 5.0
    assert session.value("from numpy.polynomial import polynomial as p\nfloat(p.polyval(2, [1, 2]))") == 5.0


@pytest.mark.parametrize("statement", ["import numpy.linalg as l", "from numpy import linalg as l"])
@pytest.mark.parametrize("mode", ["listed", "standard"])
def test_a_module_below_a_package_can_be_authorised_alone(mode, statement: str) -> None:
    session = Session("numpy.linalg", imports=mode)
    assert session.value(f"{statement}\nfloat(l.norm([3.0, 4.0]))") == 5.0
    assert session.error("import numpy").type == "RefusedOperation"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import random\nrandom._os", "random._os is private"),
        ("from random import _os", "random._os is private"),
        ("import queue\nqueue.threading", "queue.threading is the module threading, which is not authorised"),
        ("from queue import threading", "queue.threading is the module threading, which is not authorised"),
        (
            "import asyncio\nasyncio.events",
            "asyncio.events is the module asyncio.events, which is not authorised",
        ),
        ("import random\nrandom.__loader__", "line 2: attribute '__loader__' is not available"),
        ("import random\ngetattr(random, '__builtins__')", "random.__builtins__ is private"),
    ],
)
def test_a_list_does_not_show_what_its_modules_hold(source: str, message: str) -> None:
    error = Session().error(source)
    assert (error.kind, error.message) == (ErrorKind.REFUSED, message)
    assert error.hint is not None and error.hint.partition(" (")[0].endswith("allows it")


def test_a_view_of_a_module_shows_its_public_names_and_takes_new_ones() -> None:
    session = Session("sys")
    assert session.value("import math\nmath.sqrt(4), 'sqrt' in dir(math), math.__name__") == (
        2.0,
        True,
        "math",
    )
    assert session.value("import json.decoder, json\njson.decoder.JSONDecoder is json.JSONDecoder") is True
    assert session.value("from math import *\nfloor(2.5)") == 2
    assert session.error("import math\nmath.nothing").message == "module 'math' has no attribute 'nothing'"
    assert session.error("from math import nothing").type == "ImportError"
    session.run(
        "import io, sys\nbefore = sys.stdout\nsys.stdout = out = io.StringIO()\nprint(1)\nsys.stdout = before"
    )
    assert session.value("out.getvalue(), sys.stdout is before") == ("1\n", True)


def test_a_view_tells_the_functions_of_its_module_and_what_is_bound_anew_in_it() -> None:
    session = Session("tempfile")
    assert session.value(
        "import math\n'sqrt' in vars(math), all(name.isidentifier() for name in vars(math))"
    ) == (True, True)
    source = (
        "import tempfile\nbefore, tempfile.tempdir = tempfile.tempdir, None\nfound = tempfile.gettempdir()\n"
    )
    assert session.value(source + "same = tempfile.tempdir == found\ntempfile.tempdir = before\nsame") is True


def test_a_view_tells_what_a_module_counts_and_which_function_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = types.ModuleType("own_counter")
    exec(
        "count, call = 0, None\ndef step(new):\n    global count, call\n    count, call = count + 1, new",
        vars(own),
    )
    monkeypatch.setitem(sys.modules, "own_counter", own)
    source = """
import own_counter as own
seen = []
for n in range(3):
    seen.append((own.count, own.call and own.call()))
    own.step(lambda n=n: n)
seen
"""
    assert Session("own_counter").value(source) == [(0, None), (1, 0), (2, 1)]


@pytest.mark.parametrize("before", ["import json, os\njson.loads, os.getcwd", ""])
def test_a_view_tells_what_a_library_has_put_into_its_module(before: str) -> None:
    session = Session("unittest", "os")
    session.run(before)
    source = (
        "from unittest import mock\n"
        "with mock.patch('json.loads', return_value=9), mock.patch('os.getcwd', lambda: 'here'), mock.patch('math.pi', 3):\n"
        "    import json, os, math\n    inside = json.loads('1'), os.getcwd(), math.pi\n"
        "inside, json.loads('1'), os.getcwd() == 'here', math.pi > 3"
    )
    assert session.value(source) == ((9, "here", 3), 1, False, True)


@pytest.mark.parametrize("mode", ["listed", "standard"])
def test_a_dataclass_knows_its_annotations_in_texts(mode, process_kept: None) -> None:
    session = Session(imports=mode)
    session.interpreter.own_process()
    source = """
from __future__ import annotations
import dataclasses as d, typing
@d.dataclass
class C:
    x: typing.ClassVar[int]
    i: d.InitVar[int]
    y: typing.List[int]
    _: d.KW_ONLY
    z: int = 3
    def __post_init__(self, i):
        self.y = i
[f.name for f in d.fields(C)], repr(C(1, 2))
"""
    assert session.value(source) == (["y", "z"], "C(y=1, z=3)")


def test_private_names_of_a_module_that_is_authorised_by_name_are_shown_and_other_modules_are_not() -> None:
    session = Session("collections", "re", "random")
    assert session.value("from collections import _count_elements\nd = {}\n_count_elements(d, 'aab')\nd") == {
        "a": 2,
        "b": 1,
    }
    assert session.value("import re\nre._compiler.MAXREPEAT > 1, '_compile' in dir(re)") == (True, True)
    assert (
        session.error("import random\nrandom._os").message
        == "random._os is the module os, which is not authorised"
    )
    assert (
        session.error("import random\ngetattr(random, '__builtins__')").message
        == "random.__builtins__ is private"
    )


def test_a_class_of_modules_of_ones_own_does_what_it_does_in_python() -> None:
    source = """
import math
log = []
class Module(type(math)):
    def __setattr__(self, name, value):
        log.append(("set", name))
        super().__setattr__(name, value)
    def __getattribute__(self, name):
        log.append(("get", name))
        return super().__getattribute__(name)
    def __delattr__(self, name):
        log.append(("delete", name))
        super().__delattr__(name)
own = Module("own")
own.x = 1
own.x
del own.x
log
"""
    assert Session().value(source) == [("set", "x"), ("get", "x"), ("delete", "x")]


def test_a_package_shows_its_own_modules_under_other_names() -> None:
    pytest.importorskip("matplotlib")
    session = Session("matplotlib.pyplot")
    assert session.value("import matplotlib.pyplot as plt\n'ggplot' in plt.style.available") is True


def test_what_a_library_imports_is_its_own_business() -> None:
    pytest.importorskip("requests")
    assert Session("requests").value("import requests\nrequests.exceptions.Timeout.__name__") == "Timeout"


def test_import_module_gives_what_a_statement_gives(process_kept: None) -> None:
    session = Session("importlib", imports="standard")
    session.interpreter.own_process()
    assert session.value("import importlib\nimportlib.import_module('os.path')") is os.path
    assert session.error("importlib.import_module('numpy')").message == "import of numpy is not authorised"


def test_a_star_authorises_everything() -> None:
    assert Policy(("*",), "listed").mode == "all"
    session = Session("*")
    assert session.value("import subprocess, numpy\nnumpy.__name__") == "numpy"
    assert session.error("import numppy").type == "ModuleNotFoundError"


def test_a_view_has_the_dunder_functions_of_its_module() -> None:
    assert Session().value("import operator\noperator.__lt__(1, 2), operator.__doc__[:8]") == (
        True,
        "Operator",
    )


def test_a_module_of_ones_own_is_made_of_the_class_that_a_view_has() -> None:
    assert Session().value("import math\nm = type(math)('mine')\nm.x = 5\nm.x, m.__name__") == (5, "mine")


def test_a_view_asks_its_module_only_for_what_it_is_asked_for(tmp_path, monkeypatch) -> None:
    (tmp_path / "lazy_package_of_a_test.py").write_text(
        "asked = []\nhere = 1\ndef __dir__(): return ['here', 'heavy']\n"
        "def __getattr__(name):\n    asked.append(name)\n    raise AttributeError(name)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    session = Session("lazy_package_of_a_test")
    assert session.value("import lazy_package_of_a_test as lazy\nlazy.here") == 1
    assert "heavy" not in session.value("from lazy_package_of_a_test import *\nlazy.asked")


def test_an_authorised_distribution_brings_all_its_modules(tmp_path, monkeypatch) -> None:
    for name in ("alpha_plots", "alpha_kits", "other_kits"):
        (tmp_path / f"{name}.py").write_text("x = 1")
    information = tmp_path / "alpha_plots-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: alpha_plots\nVersion: 1.0\n")
    (information / "RECORD").write_text(
        "alpha_plots.py,,\nalpha_kits.py,,\nwave/x.py,,\npytest/__init__.py,,\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    session = Session("alpha_plots")
    assert session.value("import alpha_kits\nalpha_kits.x") == 1
    assert session.value("from alpha_kits import x\nx") == 1
    for name in ("other_kits", "wave", "pytest"):  # the last two lie elsewhere, whatever the list says
        assert session.error(f"import {name}").kind is ErrorKind.REFUSED
