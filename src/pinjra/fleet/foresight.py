"""A test -> the calls of the program that it will make, where that can be known: then programs and tests go to boxes in batches.

A program answers foreseen calls one after the other without anybody between; then the test is run on the answers. SECURITY: that
counts only while the test asks exactly these calls, in this order: then each was what it would have been had the test waited for
every answer. Everything else is done again, call by call, in a process that knows nothing of the first try.

Known are calls with literals, which are read from the test's source, and those that a test made when a program has passed it.
Calls and answers are the texts of the frames that `snippets` sends and gets, one character a byte.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import itertools
import json
import secrets
import symtable
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.core.values import Opaque
from pinjra.fleet.cases import Case
from pinjra.wire.values.codec import decode, encode
from pinjra.wire.values.coding import EncodeError

_ALIASES = {"np": "numpy", "pd": "pandas"}
_MOST_TESTS = 4096  # that are remembered
_MOST_CHARS = 1 << 20  # of the calls of one test
_MOST_MISSES = 2  # a test that twice asked something else is asked no more


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What is known of a test.

    Args:
        names: What the test uses and does not define.
        modules: Those of them that are modules -> what these are called.
        calls: In order, those that look up names first; none: not known.
        seed: Of the test's random numbers: the same for all programs, which are so asked the same.
        equals: What the last of these must return, where the test says no more than that; None: it says more.
    """

    names: tuple[str, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    equals: tuple[Any, ...] | None = None
    seed: int = 0

    def is_met(self, answers: Sequence[str]) -> bool:
        """Return whether the answers are what the test asks for. If not, the test itself says what is wrong."""
        if self.equals is None or len(answers) != len(self.calls) + 1:
            return False
        last = answers[len(answers) - len(self.equals) :]
        try:
            return all((_plain(a) == b) is True for a, b in zip(last, self.equals, strict=True))
        except Exception:  # SECURITY: a guest chooses what is compared
            return False


def frame(message: Mapping[str, Any]) -> str:
    """Return a message to a box's child as `snippets` frames it."""
    blobs = message.get("blobs", ())
    rest = {name: value for name, value in message.items() if name != "blobs"}
    head = json.dumps({**rest, "sizes": [len(blob) for blob in blobs]})
    return "\n".join([head, b"".join(blobs).decode("latin-1")])


def message_of(text: str) -> dict[str, Any]:
    """Return the message of a frame.

    Raises:
        LookupError, ValueError, TypeError, AttributeError, RecursionError: It is none: a guest has written it.
    """
    head, _, rest = text.partition("\n")
    message: dict[str, Any] = json.loads(head)
    data = rest.encode("latin-1")
    ends = [*itertools.accumulate(message.pop("sizes"), initial=0)]
    return {**message, "blobs": [data[a:b] for a, b in itertools.pairwise(ends)]}


def call_of(path: list[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], **options: bool) -> str:
    """Return the frame of a call.

    Raises:
        ConfigurationError: The arguments are too large to be sent (the fault of whoever gives them).
    """
    try:
        tree, blobs = encode((args, dict(kwargs)))
    except EncodeError as error:
        raise ConfigurationError(
            f"the arguments of {'.'.join(map(str, path))} cannot be sent: {error}"
        ) from error
    return frame({"call": path, "args": tree, **options, "blobs": blobs})


def _plain(answer: str) -> object:
    message = message_of(answer)
    if "value" not in message or "handle" in message:
        return Opaque("", "", 0)
    return decode(message["value"], message["blobs"])


class Foresight:
    """What is known of the tests that were seen. Used by any thread.

    Args:
        seed: Of tests' random numbers; None: any.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._plans: dict[tuple[str, str, str], Foreseen] = {}
        self._seed = secrets.randbits(32) if seed is None else seed
        self._misses: Counter[tuple[str, str, str]] = Counter()
        self._asking: list[tuple[str, str, str]] = []  # one for each box that asks; several threads change it

    def of(self, case: Case | None) -> Foreseen:
        """Return what is known of a test; a plan without calls: nothing, or it is none."""
        if case is None or not case.test:
            return Foreseen()
        key = _key(case)
        plan = self._plans.get(key)  # once: another thread may forget all of them at any time
        if plan is None:
            plan = replace(_read(case), seed=self._seed)
            self._keep(key, plan)
        return plan

    def is_enough(self, case: Case | None) -> bool:
        """Return whether what is known of a case is enough to run its program without its test."""
        return case is None or not case.test or bool(self.of(case).calls)

    @contextlib.contextmanager
    def asking(self, case: Case) -> Iterator[None]:
        """Say, while it lasts, that a test is asked what it asks."""
        self._asking.append(_key(case))
        try:
            yield
        finally:
            self._asking.remove(_key(case))

    def is_asked(self, case: Case | None) -> bool:
        """Return whether what a test asks is not known, and is being found out."""
        return (
            bool(self._asking)
            and case is not None
            and _key(case) in self._asking
            and not self.is_enough(case)
        )

    def missed(self, case: Case) -> None:
        """Take note that the test has asked something else."""
        self._misses[_key(case)] += 1
        self._keep(_key(case), replace(self.of(case), calls=(), equals=None))

    def learn(self, case: Case, asked: Sequence[str]) -> None:
        """Take what a test has asked, which a program has passed."""
        key = _key(case)
        if self._misses[key] < _MOST_MISSES and sum(map(len, asked)) <= _MOST_CHARS:
            self._keep(key, replace(self.of(case), calls=tuple(asked), equals=None))

    def _keep(self, key: tuple[str, str, str], plan: Foreseen) -> None:
        if len(self._plans) >= _MOST_TESTS:
            self._plans.clear()
            self._misses.clear()
        self._plans[key] = plan


def _key(case: Case) -> tuple[str, str, str]:
    return (case.test, case.setup, case.entry)


# ---------------------------------------------------------------- reading a test


def _read(case: Case) -> Foreseen:
    """Return what the source of a test says."""
    try:
        tree = ast.parse(case.test)
        names = _names(case, tree)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the box will say so
        return Foreseen()
    plan = Foreseen(
        tuple(names), {name: _ALIASES.get(name, name) for name in names if _is_module(name, tree)}
    )
    try:
        setup = {node.name for node in ast.parse(case.setup).body if isinstance(node, ast.FunctionDef)}
        asked = [name for name in names if name == case.entry or name not in {*setup, *plan.modules}]
        found = list(_calls(tree, asked, case.entry))
        calls = [
            call_of([asked.index(name)], tuple(map(ast.literal_eval, call.args)), _keywords(call))
            for name, call in found
        ]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # not literals
        return plan
    looks = [frame({"call": [name], "args": None}) for name in asked] if calls else []
    return replace(plan, calls=(*looks, *calls), equals=_equals(tree, [call for _, call in found]))


def _names(case: Case, tree: ast.Module) -> list[str]:
    """Return the names that a test uses before it defines them, and the one that it is about."""
    whole = symtable.symtable(case.test, "test", "exec")
    used = {name for table in _tables(whole) for name in _globals_of(table)}
    nodes = sorted(
        (node for node in ast.walk(tree) if isinstance(node, ast.Name)),
        key=lambda node: (node.lineno, isinstance(node.ctx, ast.Store)),
    )
    first = {node.id: node.ctx for node in reversed(nodes)}
    own = {
        symbol.get_name()
        for symbol in whole.get_symbols()
        if symbol.is_imported()
        or symbol.is_namespace()
        or (symbol.is_assigned() and isinstance(first.get(symbol.get_name()), ast.Store))
    }
    wanted = {name for name in used - own if not hasattr(builtins, name)}
    return sorted((wanted - {"candidate"}) | {case.entry} if case.entry else wanted)


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _globals_of(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
            yield symbol.get_name()


def _is_module(name: str, tree: ast.Module) -> bool:
    """Return whether a test uses a name as a module, though it does not import it.

    SECURITY: what a test measures with (`math.isclose`, `np.allclose`) is not for the program to say.
    """
    if name not in {*sys.stdlib_module_names, "numpy", "pandas", *_ALIASES}:
        return False
    owners = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return all(
        id(node) in owners for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name
    )


def _calls(tree: ast.Module, names: list[str], entry: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of the program in the order of the source, each with the name of its function."""
    known = {**{name: name for name in names}, **({"candidate": entry} if entry else {})}
    nodes = [*ast.walk(tree)]
    messages = [node.msg for node in nodes if isinstance(node, ast.Assert) and node.msg]
    unused = {id(node) for message in messages for node in ast.walk(message)}
    calls = [node for node in nodes if isinstance(node, ast.Call) and id(node) not in unused]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(call.func, ast.Name) and call.func.id in known:
            yield known[call.func.id], call


def _keywords(call: ast.Call) -> dict[str, Any]:
    """Return the keyword arguments, all literals.

    Raises:
        ValueError: One is not, or it is `**`.
    """
    if any(each.arg is None for each in call.keywords):
        raise ValueError("**")
    return {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}


def _equals(tree: ast.Module, calls: list[ast.Call]) -> tuple[Any, ...] | None:
    """Return what each call must equal, where the test consists of `assert CALL == LITERAL` and of what does nothing."""
    found = []
    for statement in _statements(tree):
        test = statement.test if isinstance(statement, ast.Assert) else None
        if isinstance(test, ast.Compare) and [*map(type, test.ops)] == [ast.Eq] and test.left in calls:
            found.append(test.comparators[0])
        elif not _does_nothing(statement):
            return None
    try:
        return tuple(map(ast.literal_eval, found)) if len(found) == len(calls) else None
    except ValueError:
        return None


def _statements(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements of a test; of one that is a function `check` those, where nothing but that does something."""
    checks = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "check"]
    is_check = len(checks) == 1 and all(_does_nothing(each) for each in tree.body if each is not checks[0])
    return checks[0].body if is_check else tree.body


def _does_nothing(statement: ast.stmt) -> bool:
    value = getattr(statement, "test" if isinstance(statement, ast.Assert) else "value", None)
    if isinstance(statement, ast.Assert):
        return isinstance(value, ast.Constant) and value.value is True
    is_plain = isinstance(statement, (ast.Assign, ast.Expr)) and isinstance(value, (ast.Constant, ast.Dict))
    return is_plain or isinstance(statement, ast.Pass)
