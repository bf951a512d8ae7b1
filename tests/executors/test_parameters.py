"""Arguments of the wrong kind are said by name, before anything is sent; the session lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pinjra import Limits, sandbox
from pinjra.core.access import PARAMETERS as ACCESS
from pinjra.core.errors import ConfigurationError
from pinjra.executors.base import PythonExecutor
from pinjra.executors.parameters import constructor_parameters
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.registry import BUILTIN, create_executor, executor_class
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

TEXTS = 'takes several texts, such as ["one", "two"], not'
DICT = 'takes a dict with texts as keys, such as {"name": value}, not a'
MODES = "takes one of 'listed', 'standard', 'all' (modules are named in authorized_imports), or None, not"
SECONDS = "takes a number of seconds above 0, or None, not"
INPUT = "takes a text that UTF-8 can write, bytes, or a file that is open for reading, or None, not"
Box = Any  # the calls below are wrong, and so do not have the right types

WRONG_CALLS: list[tuple[Callable[[Box], object], str]] = [
    (lambda box: box.run(5), "Plain.run: code= takes a text, not 5"),
    (lambda box: box.run(b"1"), "Plain.run: code= takes a text, not a bytes"),
    (lambda box: box.run(None), "Plain.run: code= takes a text, not None"),
    (lambda box: box.run(), "Plain.run needs code="),
    (lambda box: box.run("1", 5), "Plain.run takes code by position, not 2 values"),
    (lambda box: box.run("1", timeout=5), "Plain.run has no parameter 'timeout'; did you mean wall_seconds=…?"),
    (lambda box: box.run("1", wal_seconds=5), "Plain.run has no parameter 'wal_seconds'; did you mean wall_seconds=?"),
    (lambda box: box.run("1", wall_seconds="5"), f"Plain.run: wall_seconds= {SECONDS} the text '5'"),
    (lambda box: box.run("1", wall_seconds=0), f"Plain.run: wall_seconds= {SECONDS} 0"),
    (lambda box: box.run("1", wall_seconds=float("nan")), f"Plain.run: wall_seconds= {SECONDS} nan"),
    (lambda box: box.run("1", wall_seconds=10**400),
     f"Limits.wall_seconds must be below 2**63, not {10**400}; None for no limit"),
    (lambda box: box(5), "Plain.run: code= takes a text, not 5"),
    (lambda box: box.run("input()", stdin="\ud800"), f"Plain.run: stdin= {INPUT} the text '\\ud800'"),
    (lambda box: box.exec(["cat"], stdin=5), f"Plain.exec: stdin= {INPUT} 5"),
    (lambda box: box.run("1", argv="a b"), f"Plain.run: argv= {TEXTS} the text 'a b'"),
    (lambda box: box.run("1", argv=iter([5])), "run(argv=) wants a list of texts, not [5]"),
    (lambda box: box.run("1", argv=["a\0b"]), "run(argv=) wants a list of texts, not ['a\\x00b']"),
    (lambda box: box.send_variables([1]), f"Plain.send_variables: variables= {DICT} list"),
    (lambda box: box.send_variables({1: 2}), f"Plain.send_variables: variables= {DICT} dict"),
    (lambda box: box.send_tools(len), f"Plain.send_tools: tools= {DICT} builtin_function_or_method"),
    (lambda box: box.revoke_tools("all"), f"Plain.revoke_tools: names= {TEXTS} the text 'all'"),
    (lambda box: box.put_file("a.txt", "text"), "Plain.put_file: data= takes bytes, or a Path, not the text 'text'"),
    (lambda box: box.put_file("a.txt"), "Plain.put_file needs data="),
    (lambda box: box.put_file("\ud800", b""), "a scratch file's name must be a plain relative path, not '\\ud800'"),
    (lambda box: box.get_file(7), "Plain.get_file: name= takes a text, not 7"),
    (lambda box: box.fork(2), "Plain.fork takes nothing by position, not 1 values"),
    (lambda box: box.reset(hard=True), "Plain.reset has no parameter 'hard'; it takes none"),
]  # fmt: skip


class Plain(SessionExecutor):
    def _open(self) -> Transport:
        return SubprocessTransport(worker_command())


@pytest.fixture(scope="module")
def box() -> Any:
    with Plain() as executor:
        executor.run("x = 41")
        yield executor


@pytest.mark.parametrize(("call", "said"), WRONG_CALLS)
def test_a_wrong_call_says_which_argument_and_the_session_lives(
    box: Plain, call: Callable[[Box], object], said: str
) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        call(box)
    assert str(wrong.value) == said
    assert box.run("x + 1").value == 42


OPENINGS: list[tuple[dict[str, Any], str]] = [
    ({"authorized_imports": "pandas"}, f"sandbox: authorized_imports= {TEXTS} the text 'pandas'"),
    ({"authorized_imports": [1]}, f"sandbox: authorized_imports= {TEXTS} a list of int"),
    ({"limits": {"wall_seconds": 5}}, "sandbox: limits= takes Limits, such as Limits(wall_seconds=5), or None, not a dict"),
    ({"timeout": 5}, "sandbox('jail') has no parameter 'timeout'; did you mean limits=Limits(wall_seconds=…)?"),
    ({"imports": ["numpy"]},
     f"sandbox('jail'): imports= {MODES} a list"),
    ({"modules": ["numpy"]}, "sandbox('jail') has no parameter 'modules'; did you mean authorized_imports=[…]?"),
    ({"memory": 5}, "sandbox('jail') has no parameter 'memory'; did you mean limits=Limits(memory_bytes=…)?"),
    ({"spare": 5}, "sandbox('jail') has no parameter 'spare'; did you mean spares=?"),
    ({"spares": True}, "sandbox('jail'): spares= takes a whole number from 0 to 1000, not True"),
    ({"spares": -1}, "sandbox('jail'): spares= takes a whole number from 0 to 1000, not -1"),
    ({"spares": 10**30}, "sandbox('jail'): spares= takes a whole number from 0 to 1000, not a int"),
    ({"scratch": "a\0b"}, "sandbox('jail'): scratch= takes a path that the system can have, or None, not the text 'a\\x00b'"),
    ({"protected": [5]}, f"sandbox('jail'): protected= {TEXTS} a list of int"),
    ({"protected": iter([5])}, f"JailExecutor: protected= {TEXTS} a list of int"),
    ({"without": iter([5])}, f"JailExecutor: without= {TEXTS} a list of int"),
    ({"folders": ["/a\0"]}, "sandbox('jail'): folders= takes several paths that the system can have, not a list of str"),
    ({"env": {"A": "\ud800"}}, "env= wants a text for 'A', not '\\ud800'"),
    ({"python_path": ["a\0b"]}, "python_path= wants paths of folders, not 'a\\x00b'"),
    ({"mounts": {"a": "x\0y"}}, "mounts= for 'a': there is no 'x\\x00y'"),
    ({"network": ["a.example"], "secrets": {"a.example": ["Authorization"]}},
     "sandbox('jail'): secrets= takes a dict of dicts, such as "
     '{"api.github.com": {"Authorization": "Bearer …"}}, not a dict'),
    ({"guard": "no"}, "sandbox('jail'): guard= takes True or False, not the text 'no'"),
    ({"env": ["A=b"]}, f"sandbox('jail'): env= {DICT} list"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "said"), OPENINGS)
def test_a_sandbox_of_wrong_parameters_says_which_and_starts_nothing(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        sandbox("jail", **options)
    assert str(wrong.value) == said


@pytest.mark.parametrize("name", BUILTIN)
def test_every_executor_names_the_parameter_that_it_does_not_have(name: str) -> None:
    cls = executor_class(name)
    with pytest.raises(
        ConfigurationError, match=f"{cls.__name__} has no parameter 'limts'; did you mean limits="
    ):
        create_executor(name, executor_kwargs={"limts": False})
    with pytest.raises(ConfigurationError, match="additional_authorized_imports= takes several texts"):
        create_executor(name, additional_authorized_imports="numpy")
    with pytest.raises(ConfigurationError, match=f"{cls.__name__}: limits= takes Limits"):
        cls(limits={"wall_seconds": 5})  # type: ignore[call-arg]


@pytest.mark.parametrize("name", BUILTIN)
def test_what_the_shared_parameters_take_is_known(name: str) -> None:
    kinds = constructor_parameters(executor_class(name)).kinds
    known = {parameter for parameter, kind in kinds.items() if kind is not None}
    assert known >= {"additional_authorized_imports", "limits", "guard", "rollback", "protected", *ACCESS}


def test_an_unknown_executor_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match=r"no executor 'dokcer'; perhaps you mean 'docker'"):
        sandbox("dokcer")


def test_a_users_own_executor_is_checked_too() -> None:
    class Own(PythonExecutor):
        def __init__(self, limits: Limits, *, colour: str = "red") -> None:
            self.limits = limits

        def run(self, code: str, *, wall_seconds: float | None = None) -> Any:
            return code

        def nothing(self) -> Any: ...

        send_tools = send_variables = put_file = get_file = list_files = nothing
        interrupt = reset = close = guarantees = nothing

    own = Own(Limits())
    assert own.run("1") == "1"
    with pytest.raises(ConfigurationError, match="Own needs limits="):
        Own()  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="Own has no parameter 'color'; did you mean colour="):
        Own(Limits(), color="blue")  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match=r"Own\.run: code= takes a text"):
        own.run(1)  # type: ignore[arg-type]
