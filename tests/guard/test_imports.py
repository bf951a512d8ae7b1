"""The import policy and the module proxies, as guest code meets them."""

from __future__ import annotations

import asyncio
import collections
import datetime
import decimal
import json
import random

import pytest

from pinjra.core.limits import Limits
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.guard.interpreter import Interpreter
from pinjra.guard.policy import Policy


class Guest:
    """A session with the default modules and some more."""

    def __init__(self, *imports: str, in_process: bool = True, only: bool = False) -> None:
        names = imports if only else (*DEFAULT_AUTHORIZED, *imports)
        self.interpreter = Interpreter(
            Policy(names, in_process=in_process),
            limits=Limits(operations=20_000_000),
            write=lambda stream, text: None,
        )

    def value(self, source: str) -> object:
        outcome = self.interpreter.run(source)
        assert outcome.error is None, outcome.error
        return outcome.value

    def refusal(self, source: str) -> str:
        error = self.interpreter.run(source).error
        assert error is not None
        return f"{error.type}: {error.message}"


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import sys",
        "import os.path",
        "from os import path",
        "import numpy",
        "import random._os",
        "import xml.etree.ElementTree",
        "import json.tool",
        "import concurrent.futures",
        "import _io",
    ],
)
def test_only_what_is_authorised_is_imported(source: str) -> None:
    assert "is not authorised; authorised: abc, asyncio" in Guest().refusal(source)


@pytest.mark.parametrize(
    "source",
    [
        "import random; random._os",
        "import datetime; datetime.sys",
        "import queue; queue.threading",
        "import statistics; statistics.sys",
        "import json; json.codecs",
        "from collections import _sys",
        "import asyncio; asyncio.subprocess",
        "import asyncio; asyncio.open_connection",
        "import io; io.open",
        "import io; io.FileIO",
        "import typing; typing.sys",
        "import uuid; uuid.getnode",
        "import time; time.tzset",
        "import contextlib; contextlib.chdir",
        "import numpy as np; np.f2py.os",
        "import numpy.f2py",
        "import pandas as pd; pd.io.common.os",
    ],
)
def test_what_lies_behind_a_module_is_not_given(source: str) -> None:
    error = Guest("numpy", "pandas").interpreter.run(source).error
    assert error is not None
    # Where this Python's module has no such name there is nothing to refuse.
    assert error.type.startswith("Refused") or "has no attribute" in error.message


def test_a_dotted_import_binds_a_holder_of_the_authorised_part_only() -> None:
    guest = Guest("os.path")
    assert guest.value("import os.path\nos.path.join('a', 'b')") == "a/b"
    assert "os.environ is not authorised" in guest.refusal("os.environ")
    assert "is not authorised" in guest.refusal("import os")
    assert "expandvars" in guest.refusal("os.path.expandvars('$HOME')")


def test_entries_are_names_submodules_and_stars() -> None:
    assert (
        Guest("xml.etree.ElementTree", only=True).value(
            "import xml.etree.ElementTree as E\nE.fromstring('<a>1</a>').text"
        )
        == "1"
    )
    assert Guest("email.*", only=True).value("import email.utils\nemail.utils.quote('x')") == "x"
    assert "not authorised" in Guest("email", only=True).refusal("import email.utils")
    assert Guest("*", only=True).value("import keyword\nkeyword.iskeyword('if')") is True
    assert "import of math is not authorised" in Guest(only=True).refusal("import math")


@pytest.mark.parametrize(
    "name", ["ctypes", "gc", "signal", "threading", "multiprocessing", "pickle", "logging", "atexit"]
)
def test_some_modules_are_never_given_in_the_hosts_process(name: str) -> None:
    assert "refused in the host's process" in Guest(name).refusal(f"import {name}")
    assert "refused in the host's process" in Guest("*").refusal(f"import {name}")


def test_behind_a_kernel_boundary_authorised_modules_are_given_in_full() -> None:
    guest = Guest("os", "pickle", "threading", in_process=False)
    assert guest.value("import os\nos.getcwd()")
    assert guest.value("import pickle\npickle.loads(pickle.dumps([1]))") == [1]


def test_relative_imports_are_refused() -> None:
    assert "relative" in Guest().refusal("from . import os")


def test_a_module_that_does_not_exist_is_an_import_error() -> None:
    assert Guest("no_such_module").value(
        "try:\n    import no_such_module\nexcept ModuleNotFoundError as e:\n    r = str(e)\nr"
    ) == ("No module named 'no_such_module'")
    assert "cannot import name 'nothing'" in Guest().refusal("from math import nothing")


def test_classes_are_the_real_ones() -> None:
    guest = Guest()
    assert guest.value("import datetime\ndatetime.date") is datetime.date
    assert guest.value("from collections import OrderedDict\nOrderedDict") is collections.OrderedDict
    assert (
        guest.value(
            "try:\n    import json\n    json.loads('{')\nexcept json.decoder.JSONDecodeError as e:\n    r = e\nr.pos"
        )
        == 1
    )


def test_star_imports_bind_public_names() -> None:
    assert Guest().value("from math import *\nsqrt(4) + floor(pi)") == 5.0
    assert "not defined" in Guest().refusal("from random import *\n_os")


@pytest.mark.parametrize(
    "source", ["json.dumps = 1", "del json.dumps", "setattr(json, 'dumps', 1)", "json.new = 1"]
)
def test_modules_are_read_only(source: str) -> None:
    before = json.dumps
    assert "cannot be changed" in Guest().refusal(f"import json\n{source}")
    assert json.dumps is before


def test_sessions_do_not_see_each_others_modules() -> None:
    one, two = Guest(), Guest()
    one.value("import random\nrandom.seed(1)")
    two.value("import random\nrandom.seed(1)\nrandom.random()")
    assert one.value("random.random()") == random.Random(1).random()
    assert one.value("import hashlib\nhashlib.algorithms_available.clear()") is None
    assert two.value("import hashlib\nlen(hashlib.algorithms_available) > 5") is True


def test_the_hosts_generator_is_not_seeded() -> None:
    random.seed(7)
    expected = random.Random(7).random()
    Guest().value("import random\nrandom.seed(1)\nrandom.random()")
    assert random.random() == expected


def test_a_decimal_context_lives_on_in_its_session_only() -> None:
    guest, before = Guest(), decimal.getcontext().prec
    guest.value("import decimal\ndecimal.getcontext().prec = 5")
    assert decimal.getcontext().prec == before
    assert str(guest.value("decimal.Decimal(1) / 3")) == "0.33333"
    assert "may be at most" in guest.refusal("decimal.getcontext().prec = 10**9")


def test_numpy_and_pandas_settings_live_on_in_their_session_only() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    guest = Guest("numpy", "pandas")
    width, print_options = pandas.get_option("display.width"), numpy.get_printoptions()
    guest.value(
        "import numpy as np, pandas as pd\npd.set_option('display.width', 33)\nnp.set_printoptions(precision=2)"
    )
    assert pandas.get_option("display.width") == width
    assert numpy.get_printoptions() == print_options
    assert guest.value("pd.get_option('display.width')") == 33
    assert guest.value("str(np.array([1 / 3]))") == "[0.33]"


def test_numpys_global_generator_is_the_sessions_own() -> None:
    numpy = pytest.importorskip("numpy")
    numpy.random.seed(3)
    expected = numpy.random.RandomState(3).rand()
    assert (
        Guest("numpy").value("import numpy as np\nnp.random.seed(1)\nfloat(np.random.rand())")
        == numpy.random.RandomState(1).rand()
    )
    assert numpy.random.rand() == expected


@pytest.mark.parametrize(
    "source",
    [
        "import math; math.factorial(10**9)",
        "import math; math.comb(10**9, 10**8)",
        "import math; math.perm(10**8)",
        "import math; math.prod([10**100000] * 10**6)",
        "import itertools; list(itertools.repeat(1))",
        "import itertools, collections; collections.deque(itertools.count(), maxlen=0)",
        "import itertools; next(itertools.islice(range(10**15), 10**14, None))",
        "import itertools; next(itertools.dropwhile(float.is_integer, map(float, range(10**15))))",
        "import itertools; itertools.product('ab', repeat=10**10)",
        "import collections; collections.deque(range(10**12))",
        "import collections; collections.Counter(range(10**12))",
        "import collections; collections.deque([1]) * 10**12",
        "import functools, operator; functools.reduce(operator.add, range(10**13))",
        "import operator; operator.mul('a', 10**13)",
        "import operator; operator.pow(9, 10**12)",
        "import operator; operator.lshift(1, 10**13)",
        "import struct; struct.pack('9999999999x')",
        "import hashlib; hashlib.pbkdf2_hmac('sha1', b'', b'', 10**10)",
        "import hashlib; hashlib.shake_128(b'').hexdigest(10**12)",
        "import random; random.getrandbits(10**14)",
        "import random; random.Random().randbytes(10**12)",
        "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
        "import numpy; numpy.zeros(10**12)",
        "import numpy; numpy.arange(1e13)",
        "import numpy; numpy.random.rand(10**6, 10**6)",
        "import PIL.Image; PIL.Image.new('RGB', (10**6, 10**6))",
    ],
)
def test_what_would_explode_in_c_is_refused_before_it_runs(source: str) -> None:
    error = Guest("numpy", "PIL").interpreter.run(source).error
    assert error is not None
    assert (
        error.type in ("RefusedOperation", "MemoryError", "GuestStop", "OperationsExceeded")
        or error.cause is not None
    )


@pytest.mark.parametrize(
    "pattern",
    [
        r"(\w+,)*",
        r"^[\w.-]+@[\w-]+(\.[\w-]+)+$",
        r"\d{1,3}(,\d{3})*",
        r"([A-Z][a-z]+\s?)+",
        r'"(?:[^"\\]|\\.)*"',
        r"(ab)*",
        r"(?:a|b)+",
    ],
)
def test_ordinary_patterns_are_taken(pattern: str) -> None:
    assert Guest().value(f"import re\nre.compile({pattern!r}).pattern") == pattern


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a*)*", r"(\w+\s?)+$", r"([a-z]+)*\d", r"(x+x+)+y", r"(a|aa)+$"]
)
def test_patterns_that_explode_are_refused(pattern: str) -> None:
    assert "exponential" in Guest().refusal(f"import re\nre.compile({pattern!r})")


def test_asyncio_runs_while_the_host_runs_a_loop() -> None:
    async def host() -> object:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        value = Guest().value(
            "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 3\nasyncio.run(f())"
        )
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        return value

    assert asyncio.run(host()) == 3


def test_the_hosts_loop_is_out_of_reach() -> None:
    async def host() -> str:
        guest = Guest()
        guest.refusal("import asyncio\nasync def f(): pass\nasyncio.create_task(f())")
        return guest.refusal("asyncio.Future().get_loop()")

    assert "RefusedOperation" in asyncio.run(host()) or "no current event loop" in asyncio.run(host())


def test_query_texts_see_the_guests_variables() -> None:
    pytest.importorskip("pandas")
    source = """
import pandas as pd
df = pd.DataFrame({"age": [10, 20]})
k = 15
def over():
    limit = 12
    return df.query("age > @limit")
[len(df.query("age > @k")), len(over()), list(pd.eval("double = df.age * 2", target=df).double), list(df.eval("age + @k"))]
"""
    assert Guest("pandas").value(source) == [1, 1, [20, 40], [25, 35]]
