"""Tool: something on the host that a model may call, with the words and types that it is told. `@tool` makes one."""

from __future__ import annotations

import enum
import inspect
import json
import threading
from abc import ABCMeta
from collections.abc import Callable, Sequence
from keyword import iskeyword
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypedDict, Unpack, overload

from pinjra.core.calls import documentation, is_time_limit
from pinjra.core.errors import ConfigurationError, ToolRefused
from pinjra.core.nearest import nearest
from pinjra.tools.check import make_checker
from pinjra.tools.definition import (
    enum_hints,
    import_path,
    input_of,
    listed,
    output_type,
    signature_of_inputs,
    type_hints,
    whole_numbers,
)
from pinjra.tools.docstring import parse_docstring
from pinjra.tools.hints import ALL_TYPES, kinds_of
from pinjra.tools.schema import Described, python_signature, python_type

if TYPE_CHECKING:  # defaults for type variables came with Python 3.13
    from typing_extensions import ParamSpec, TypeVar

    P = ParamSpec("P", default=...)
    R = TypeVar("R", default=Any)
else:
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


class ToolOptions(TypedDict, total=False):
    """What a tool made of a function may be told besides; see `Tool`."""

    name: str | None
    description: str | None
    seconds: float | None
    concurrent: bool | None
    examples: Sequence[str]
    methods: Sequence[str]


class _Checked(ABCMeta):
    """Checks each tool right after its `__init__`, wherever a subclass ends."""

    if not TYPE_CHECKING:  # type checkers would look no further than a metaclass's call

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            made = super().__call__(*args, **kwargs)
            made.validate_arguments()
            return made


class Tool(Described, metaclass=_Checked):
    """Base of all tools: subclass it, set the attributes, write `forward`.

    A tool runs on the host, also when the code that calls it runs in a sandbox. One session calls it once at a time, unless
    it says that it is `concurrent`; other sessions and runs of other agents that hold the same object may call it meanwhile.

    Attributes:
        name: By which models call it; a Python identifier.
        description: What it does and returns, for the model.
        inputs: Argument name → {"type", "description"} and further JSON Schema keywords; `"nullable": True` takes None.
            Types are JSON's and "any", "image", "audio", "dataframe", "file", which pass as themselves.
        output_type: One of the same types.
        output_schema: JSON Schema of a structured result, where there is one.
        examples: Calls to show to the model, one a text.
        seconds: Longest time one call may take; None for no limit of its own.
        concurrent: It may be called again before an earlier call has returned, from any thread; None: only where it is async.
        methods: Names of methods of the objects that it returns (one, or a list) which code may call; they run on the host.
    """

    seconds: float | None = None
    concurrent: bool | None = None
    is_initialized: bool = False
    skip_forward_signature_validation: ClassVar[bool] = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make the object with its lock, so that subclasses need not call `super().__init__()`."""
        made = super().__new__(cls)
        made._setup_lock = threading.Lock()
        return made

    def __getstate__(self) -> dict[str, object]:
        made_again = ("_setup_lock", "_checkers", "_enums", "_lists", "_whole", "signature")
        return {name: value for name, value in vars(self).items() if name not in made_again}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, _setup_lock=threading.Lock())
        self.validate_arguments()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take and ignore arguments, as subclasses written for other libraries expect."""

    def setup(self) -> None:
        """Do what is expensive and needed before the first call; called once, by the first call."""

    def __call__(self, *args: Any, sanitize_inputs_outputs: bool = False, **kwargs: Any) -> Any:
        """Return what `forward` returns; an awaitable when the tool is async.

        A single dict of argument names is taken as the arguments, as JSON agents give them.

        Args:
            sanitize_inputs_outputs: Check the arguments against `inputs` first.

        Raises:
            ToolRefused: The arguments do not fit (only with `sanitize_inputs_outputs`).
        """
        args, kwargs = self._spread(args, kwargs)
        if sanitize_inputs_outputs:
            self.check_arguments(args, kwargs)
        if not self.is_initialized:
            self._set_up_once()
        args, kwargs = self._converted(args, kwargs)
        return self.forward(*args, **kwargs)

    def check_arguments(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Bind the arguments and check each against its schema.

        Raises:
            ToolRefused: They do not fit; the message is for the model.
        """
        args, kwargs = self._spread(args, kwargs)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            unknown = [name for name in kwargs if name not in self.signature.parameters]
            why = str(error)
            if unknown:
                why = f"there is no argument {unknown[0]!r}; {nearest(unknown[0], self.inputs)}"
            raise ToolRefused(f"{self._usage()}: {why}") from None
        given = {n: listed(v) if n in self._lists else v for n, v in bound.arguments.items()}
        problems = [said for name, value in given.items() if (said := self._checkers[name](value))]
        if problems:
            raise ToolRefused(f"{self._usage()}: {'; '.join(problems)}")

    def validate_arguments(self) -> None:
        """Check the tool's own definition.

        Raises:
            ConfigurationError: It is wrong (the author's fault); the message says what to change.
        """
        self._validate_attributes()
        for name, entry in self.inputs.items():
            self._validate_input(name, entry)
        self.signature = self._make_signature()
        self._checkers = {name: make_checker(name, entry) for name, entry in self.inputs.items()}
        self._enums = enum_hints(self.forward)
        self._lists = {name for name, entry in self.inputs.items() if entry.get("type") == "array"}
        self._whole = {name for name, entry in self.inputs.items() if "integer" in repr(entry)}

    @property
    def import_path(self) -> str:
        """Where to import this tool from: "package.module:Name".

        Raises:
            ConfigurationError: It was made where no import reaches (inside a function, in `__main__`).
        """
        return import_path(self.name, type(self))

    def to_dict(self) -> dict[str, object]:
        """Return what the tool is as plain data: definition and import path; no source, no attributes."""
        told = ("name", "description", "inputs", "output_type", "output_schema")
        return {name: getattr(self, name) for name in told} | {"path": self.import_path}

    def save(self, folder: str | Path) -> None:
        """Write `to_dict` to `tool.json` in a folder.

        Raises:
            ConfigurationError: No import reaches the tool.
        """
        text = json.dumps(self.to_dict(), indent=2, default=str) + "\n"
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "tool.json").write_text(text, encoding="utf-8")

    def to_code_prompt(self) -> str:
        """Return the tool as a Python signature with documentation, for agents that write code."""
        return python_signature(self)

    def to_tool_calling_prompt(self) -> str:
        """Return the tool in one paragraph, for agents that answer in JSON."""
        return (
            f"{self.name}: {self.description}\n    Takes inputs: {self.inputs}\n"
            f"    Returns an output of type: {self.output_type}"
        )

    @staticmethod
    def from_function(function: Callable[P, R], **options: Unpack[ToolOptions]) -> FunctionTool[P, R]:
        """Return a tool that calls `function`; its type hints and Google-form docstring are the schema.

        Args:
            options: `name`, `description`, `seconds`, `concurrent`, `examples` and `methods`, as `Tool` has them.

        Raises:
            ConfigurationError: A hint or description is missing; the message says which to add.
        """
        known = ToolOptions.__annotations__
        for option in options.keys() - known.keys():
            raise ConfigurationError(
                f"a tool of a function has no option {option!r}; {nearest(option, known)}"
            )
        return FunctionTool(function, **options)

    def __repr__(self) -> str:
        # Never the attributes: a tool may hold a key.
        return f"<{type(self).__name__} {self._usage()}>"

    _setup_lock: threading.Lock
    _checkers: dict[str, Callable[[object], str | None]]
    _enums: dict[str, type[enum.Enum]]
    _whole: set[str]

    def _set_up_once(self) -> None:
        with self._setup_lock:
            if not self.is_initialized:
                self.setup()
                self.is_initialized = True

    def _spread(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return a lone dict of argument names as keyword arguments, unless the first argument may be that dict."""
        if len(args) != 1 or kwargs or type(args[0]) is not dict or not args[0]:
            return args, kwargs
        if not all(type(key) is str and key in self.inputs for key in args[0]):
            return args, kwargs
        first = self._checkers[next(iter(self.inputs))]
        return (args, kwargs) if first(args[0]) is None else ((), args[0])

    def _converted(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with values of enums as members, where `forward` asks for an enum, 4.0 as 4 for an integer,
        and what lists its items as a list."""
        if not self._enums and not self._whole and not self._lists:
            return args, kwargs
        bound = self.signature.bind(*args, **kwargs)
        for name in self._lists & bound.arguments.keys():
            bound.arguments[name] = listed(bound.arguments[name])
        for name in self._whole & bound.arguments.keys():
            bound.arguments[name] = whole_numbers(bound.arguments[name], self.inputs[name])
        for name, kind in self._enums.items():
            value = bound.arguments.get(name)
            if value is not None and not isinstance(value, kind):
                bound.arguments[name] = kind(value)
        return bound.args, bound.kwargs

    def _usage(self) -> str:
        entries = (f"{name}: {python_type(entry)}" for name, entry in self.inputs.items())
        return f"{self.name}({', '.join(entries)})"

    def _validate_attributes(self) -> None:
        kinds = {"name": str, "description": str, "inputs": dict, "output_type": str}
        for attribute, kind in kinds.items():
            value = getattr(self, attribute, None)
            if not isinstance(value, kind):
                # A method's repr has the tool's own, which is not ready.
                said = (
                    "is not set" if value is None else f"is {'a method' if callable(value) else repr(value)}"
                )
                raise self._wrong(f"{attribute} {said}; set it to a {kind.__name__}")
        if not self.name.isidentifier() or iskeyword(self.name) or self.name.startswith("__"):
            raise self._wrong(f"name {self.name!r} must be a Python identifier that is no keyword")
        if self.output_type not in ALL_TYPES:
            raise self._wrong(f"output_type {self.output_type!r} must be one of {', '.join(ALL_TYPES)}")
        if self.output_schema is not None and not isinstance(self.output_schema, dict):
            raise self._wrong("output_schema must be a dict (a JSON schema) or None")
        if not _are_texts(self.methods) or not all(each.isidentifier() for each in self.methods):
            raise self._wrong(f"methods is {self.methods!r}; make it a list of names of methods")
        if not _are_texts(self.examples):
            raise self._wrong(f"examples is {self.examples!r}; make it a list of texts")
        self.methods, self.examples = tuple(self.methods), tuple(self.examples)
        if not is_time_limit(self.seconds):
            raise self._wrong(f"seconds is {self.seconds!r}; set a number above 0, or None for no limit")
        if self.concurrent is not None and not isinstance(self.concurrent, bool):
            raise self._wrong(
                f"concurrent is {self.concurrent!r}; set True, False or None (only where it is async)"
            )

    def _validate_input(self, name: str, entry: object) -> None:
        if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
            raise self._wrong(f"the input name {name!r} must be a Python identifier that is no keyword")
        if not isinstance(entry, dict):
            raise self._wrong(f'inputs[{name!r}] must be a dict: {{"type": ..., "description": ...}}')
        if not isinstance(entry.get("description"), str):
            raise self._wrong(
                f'inputs[{name!r}] has no "description": add a text that tells the model what to give'
            )
        if "type" not in entry and not {"anyOf", "oneOf", "allOf", "enum", "$ref"} & set(entry):
            raise self._wrong(f'inputs[{name!r}] has no "type": add one of {", ".join(ALL_TYPES)}')
        unknown = [kind for kind in kinds_of(entry) if kind not in ALL_TYPES]
        if unknown:
            raise self._wrong(
                f"inputs[{name!r}] has the type {unknown[0]!r}; use one of {', '.join(ALL_TYPES)}"
            )

    def _make_signature(self) -> inspect.Signature:
        if self.skip_forward_signature_validation:
            return signature_of_inputs(self.inputs)
        taken = inspect.signature(self.forward).parameters
        for parameter in taken.values():
            if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                raise self._wrong(f"forward() takes *{parameter.name}; name its arguments, as in inputs")
        undescribed = [name for name in taken if name not in self.inputs]
        untaken = [name for name in self.inputs if name not in taken]
        if undescribed or untaken:
            advice = [f"add {name!r} to inputs" for name in undescribed]
            advice += [f"add {name!r} to forward() or remove it from inputs" for name in untaken]
            raise self._wrong(
                f"forward{inspect.signature(self.forward)} does not match inputs: {'; '.join(advice)}"
            )
        return inspect.Signature(list(taken.values()))

    def _wrong(self, said: str) -> ConfigurationError:
        name = self.__dict__.get("name") or getattr(type(self), "name", None)
        name = name if name and isinstance(name, str) else type(self).__name__
        return ConfigurationError(f"tool {name!r}: {said}")


class FunctionTool(Tool, Generic[P, R]):
    """A function as a tool; made by `@tool` and `Tool.from_function`. It is called like the function."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]  # narrower than a tool's
            """Return what the function returns."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        seconds: float | None = None,
        concurrent: bool | None = None,
        examples: Sequence[str] = (),
        methods: Sequence[str] = (),
    ) -> None:
        if not callable(function):
            raise ConfigurationError(f"@tool wants a function, not {function!r}")
        self.forward = function  # type: ignore[method-assign]  # the function is the whole tool
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        said = parse_docstring(documentation(function))
        self.description = description or said.description
        self.seconds = seconds
        self.concurrent = concurrent
        self.examples = examples
        self.methods = methods
        if not self.description:
            raise self._wrong("it has no description: begin its docstring with what it does and returns")
        hints = type_hints(self.name, function)
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError as error:  # of a builtin
            raise self._wrong("Python does not know what it takes: write a function around it") from error
        self.inputs = {each.name: input_of(self.name, each, hints, said) for each in parameters}
        self.output_type = output_type(self.name, hints)
        self.__name__ = self.name
        self.__doc__ = documentation(function)
        self.__wrapped__ = function

    @property
    def import_path(self) -> str:
        """Where to import this tool from: "package.module:function"."""
        return import_path(self.name, self.forward)

    def __reduce__(self) -> tuple[object, ...]:
        # As functions are pickled: by where they are, which may also be the program itself.
        is_own = self.forward.__module__ == "__main__" and "<" not in self.forward.__qualname__
        return _imported_tool, (f"__main__:{self.forward.__qualname__}" if is_own else self.import_path,)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # as functions are copied


def _imported_tool(path: str) -> Tool:
    found = resolve_name(path)
    return found if isinstance(found, Tool) else Tool.from_function(found)


@overload
def tool(tool_function: Callable[P, R]) -> FunctionTool[P, R]: ...


@overload
def tool(**options: Unpack[ToolOptions]) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...


def tool(tool_function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Return a tool made of a function: its type hints and its Google-form docstring are the schema.

    Also with options, `@tool(seconds=10)`; see `Tool.from_function`.
    """
    if tool_function is None:
        return lambda function: Tool.from_function(function, **options)
    return Tool.from_function(tool_function, **options)


def _are_texts(values: object) -> bool:
    return isinstance(values, (list, tuple, set, frozenset)) and all(isinstance(each, str) for each in values)
