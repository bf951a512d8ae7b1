"""Stand-ins for re, string, textwrap, json, csv, calendar, io and html: text that grows, and registries that are shared."""

from __future__ import annotations

import calendar
import csv
import importlib
import io
import json
import operator
import re
import string
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pinjra.guard.backtracking import is_ambiguous
from pinjra.guard.errors import RefusedOperation
from pinjra.guard.metering import NESTING
from pinjra.guard.replacements import named

if TYPE_CHECKING:
    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES"]

# Columns, tab stops and indents that one call may ask for.
_MAX_WIDTH = 10_000
_REPLACEMENT_BYTES = 1 << 26


def _check_widths(what: str, *widths: object) -> None:
    for width in widths:
        if type(width) is int and width > _MAX_WIDTH:
            raise RefusedOperation(f"{what}: a width of {width} is more than {_MAX_WIDTH}")


def _re(session: Session) -> StandIns:
    """Patterns are exact text (no guest class gets into the shared cache), and in-process not able to explode."""
    checked: set[tuple[object, int]] = set()

    def plain(pattern: object, flags: object = 0) -> object:
        if isinstance(pattern, (str, bytes)) and type(pattern) not in (str, bytes):
            pattern = str.__str__(pattern) if isinstance(pattern, str) else bytes(memoryview(pattern))
        if type(pattern) not in (str, bytes):
            return pattern
        bits = int(cast(int, flags)) & ~int(re.DEBUG)
        if session.in_process and (pattern, bits) not in checked:
            if is_ambiguous(cast("str | bytes", pattern), bits):
                raise RefusedOperation(
                    f"regular expression {pattern!r:.100} can take time exponential in the text",
                    "do not repeat a group whose content is itself repeated: (a+)+ is a+",
                )
            checked.add((pattern, bits)) if len(checked) < 2000 else None
        return pattern

    def quiet(flags: object) -> int:
        # SECURITY: the flags become part of a key of the process's cache.
        return int.__and__(operator.index(cast(int, flags)), ~int(re.DEBUG))

    def searching(real: Callable[..., object]) -> Callable[..., object]:
        def search(pattern: object, string: object, flags: object = 0) -> object:
            return real(plain(pattern, flags), string, quiet(flags))

        return named(search, real)

    def compile(pattern: object, flags: object = 0) -> object:  # noqa: A001 (its documented name)
        return re.compile(cast(str, plain(pattern, flags)), quiet(flags))

    def price(pattern: object, repl: object, string: object, count: object) -> None:
        if type(repl) in (str, bytes) and isinstance(string, (str, bytes)) and isinstance(repl, (str, bytes)):
            most = len(repl) * (len(string) + 1)
            if most > _REPLACEMENT_BYTES:
                found = sum(1 for _ in re.finditer(cast(str, pattern), cast(str, string)))
                session.services.price_bytes(len(repl) * found)

    def sub(pattern: object, repl: object, string: object, count: int = 0, flags: object = 0) -> object:
        ready = plain(pattern, flags)
        price(ready, repl, string, count)
        return re.sub(cast(str, ready), cast(str, repl), cast(str, string), count=count, flags=quiet(flags))

    def subn(pattern: object, repl: object, string: object, count: int = 0, flags: object = 0) -> object:
        ready = plain(pattern, flags)
        price(ready, repl, string, count)
        return re.subn(cast(str, ready), cast(str, repl), cast(str, string), count=count, flags=quiet(flags))

    def split(pattern: object, string: object, maxsplit: int = 0, flags: object = 0) -> object:
        return re.split(
            cast(str, plain(pattern, flags)), cast(str, string), maxsplit=maxsplit, flags=quiet(flags)
        )

    made = {
        name: searching(getattr(re, name)) for name in ("match", "fullmatch", "search", "findall", "finditer")
    }
    return {**made, **{f.__name__: named(f, getattr(re, f.__name__)) for f in (compile, sub, subn, split)}}


def _string(session: Session) -> StandIns:
    services = session.services

    def get_field(
        self: string.Formatter, field_name: str, args: object, kwargs: object
    ) -> tuple[object, object]:
        first, rest = _split_field(field_name)
        obj: object = self.get_value(first, cast("list[object]", args), cast("dict[str, object]", kwargs))
        for is_attr, key in rest:
            obj = services.guarded_getattr(obj, key) if is_attr else cast("dict[object, object]", obj)[key]
        return obj, first

    def format_field(self: string.Formatter, value: object, format_spec: str) -> str:
        spec = str(format_spec).replace("{", "{{").replace("}", "}}")
        return services.format("{:" + spec + "}" if spec else "{}", (value,), {})

    # SECURITY: no base class: the real one, a step up in __bases__, reads any attribute.
    return {"Formatter": clone(string.Formatter, get_field=get_field, format_field=format_field)}


def clone(kind: type, **changes: object) -> type:
    """Return a class with the same functions and bases as a Python class, changed, from which nothing leads to it."""
    space = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    return type(kind)(kind.__name__, kind.__bases__, {**space, **changes})


def _split_field(name: str) -> tuple[int | str, list[tuple[bool, int | str]]]:
    """Return a replacement field's first name and its (is attribute, key) steps, as str.format reads them."""
    split = importlib.import_module("_string").formatter_field_name_split
    first, rest = split(name)
    return first, list(rest)


def _textwrap(session: Session) -> StandIns:
    def init(self: textwrap.TextWrapper, *args: object, **options: object) -> None:
        _check_widths("textwrap", options.get("tabsize"))
        textwrap.TextWrapper.__init__(self, *args, **options)  # type: ignore[arg-type]

    spaces = dict(textwrap.TextWrapper.unicode_whitespace_trans)
    TextWrapper = clone(textwrap.TextWrapper, __init__=init, unicode_whitespace_trans=spaces)  # noqa: N806 (a class)

    def through(name: str) -> Callable[..., object]:
        def lay(text: str, width: int = 70, **options: object) -> object:
            return cast(Callable[..., object], getattr(TextWrapper(width=width, **options), name))(text)

        return named(lay, getattr(textwrap, name))

    def shorten(text: str, width: int, **options: object) -> object:
        return TextWrapper(width=width, max_lines=1, **options).fill(" ".join(text.strip().split()))

    made = {"wrap": through("wrap"), "fill": through("fill"), "shorten": named(shorten, textwrap.shorten)}
    return {"TextWrapper": TextWrapper, **made}


def _json(session: Session) -> StandIns:
    class JSONEncoder(json.JSONEncoder):
        def __init__(self, *, indent: object = None, **options: object) -> None:
            _check_widths("json", indent)
            super().__init__(indent=indent, **options)  # type: ignore[arg-type]

    JSONEncoder.__module__, JSONEncoder.__qualname__ = "json.encoder", "JSONEncoder"

    def dumps(obj: object, **options: object) -> str:
        _check_widths("json", options.get("indent"))
        return json.dumps(obj, **options)  # type: ignore[arg-type]

    def dump(obj: object, fp: object, **options: object) -> None:
        _check_widths("json", options.get("indent"))
        json.dump(obj, fp, **options)  # type: ignore[arg-type]

    return {"JSONEncoder": JSONEncoder, "dump": named(dump, json.dump), "dumps": named(dumps, json.dumps)}


def _json_encoder(session: Session) -> StandIns:
    return {"JSONEncoder": session.stand_ins("json")["JSONEncoder"]}


def _csv(session: Session) -> StandIns:
    """Dialects are the session's own; names are looked up here and classes handed on."""
    dialects: dict[str, object] = {"excel": csv.excel, "excel-tab": csv.excel_tab, "unix": csv.unix_dialect}

    def dialect_of(dialect: object) -> object:
        if type(dialect) is not str:
            return dialect
        if dialect not in dialects:
            raise csv.Error("unknown dialect")
        return dialects[dialect]

    def flat(lines: object) -> object:
        # A reader does not know how deep it is nested: of lazy iterators it reads a list.
        return list(session.services.meter(lines)) if issubclass(type(lines), NESTING) else lines

    def reader(lines: object, dialect: object = "excel", **options: object) -> object:
        return cast(Callable[..., object], csv.reader)(flat(lines), dialect_of(dialect), **options)

    def writer(fileobj: object, dialect: object = "excel", **options: object) -> object:
        return cast(Callable[..., object], csv.writer)(fileobj, dialect_of(dialect), **options)

    class DictReader(csv.DictReader):  # type: ignore[type-arg]
        def __init__(self, f: object, fieldnames: object = None, restkey: object = None, restval: object = None,
                     dialect: object = "excel", *args: object, **kwds: object) -> None:  # fmt: skip
            super().__init__(flat(f), fieldnames, restkey, restval, dialect_of(dialect), *args, **kwds)  # type: ignore[call-overload]

    class DictWriter(csv.DictWriter):  # type: ignore[type-arg]
        def __init__(self, f: object, fieldnames: object, restval: object = "", extrasaction: str = "raise",
                     dialect: object = "excel", *args: object, **kwds: object) -> None:  # fmt: skip
            super().__init__(f, fieldnames, restval, extrasaction, dialect_of(dialect), *args, **kwds)  # type: ignore[arg-type]

    def register_dialect(name: str, dialect: object = None, **options: object) -> None:
        if type(name) is not str:
            raise TypeError("dialect name must be a string")
        base = csv.Dialect if dialect is None else dialect_of(dialect)
        kind = base if isinstance(base, type) else type(base)
        dialects[name] = type("dialect", (kind,) if dialect is not None else (csv.excel,), dict(options))

    def unregister_dialect(name: str) -> None:
        if name not in dialects:
            raise csv.Error("unknown dialect")
        del dialects[name]

    def get_dialect(name: str) -> object:
        return csv.reader([], dialect_of(name)).dialect  # type: ignore[arg-type]

    def list_dialects() -> list[str]:
        return list(dialects)

    def field_size_limit(*limit: int) -> int:
        if limit:
            raise RefusedOperation("csv.field_size_limit is read only here")
        return csv.field_size_limit()

    functions: tuple[Callable[..., object], ...] = (reader, writer, register_dialect, unregister_dialect)
    functions += (get_dialect, list_dialects, field_size_limit)
    for kind in (DictReader, DictWriter):
        kind.__module__, kind.__qualname__ = "csv", kind.__name__
    return {**{f.__name__: f for f in functions}, "DictReader": DictReader, "DictWriter": DictWriter}


def _calendar(session: Session) -> StandIns:
    class TextCalendar(calendar.TextCalendar):
        def formatyear(self, theyear: int, w: int = 2, l: int = 1, c: int = 6, m: int = 3) -> str:  # noqa: E741
            _check_widths("calendar", w, l, c, m)
            return super().formatyear(theyear, w, l, c, m)

        def formatmonth(self, theyear: int, themonth: int, w: int = 0, l: int = 0) -> str:  # noqa: E741
            _check_widths("calendar", w, l)
            return super().formatmonth(theyear, themonth, w, l)

        def prmonth(self, *args: object, **options: object) -> None:
            raise RefusedOperation("calendar.prmonth prints on the host", "print(calendar.month(y, m))")

        pryear = prweek = prmonth

    styles = list(calendar.HTMLCalendar.cssclasses)
    HTMLCalendar = clone(calendar.HTMLCalendar, cssclasses=styles, cssclasses_weekday_head=styles)  # noqa: N806 (a class)
    TextCalendar.__module__, TextCalendar.__qualname__ = "calendar", "TextCalendar"
    own = TextCalendar()

    def setfirstweekday(firstweekday: int) -> None:
        if not 0 <= firstweekday <= 6:
            raise calendar.IllegalWeekdayError(firstweekday)
        own.firstweekday = firstweekday

    def firstweekday() -> int:
        return own.firstweekday

    kinds = {"TextCalendar": TextCalendar, "HTMLCalendar": HTMLCalendar}
    days = {"firstweekday": firstweekday, "setfirstweekday": setfirstweekday, "week": own.formatweek}
    months = {"calendar": own.formatyear, "month": own.formatmonth, "monthcalendar": own.monthdayscalendar}
    return {**kinds, **days, **months, "weekheader": own.formatweekheader}


def _io(session: Session) -> StandIns:
    """Seeking far beyond the end and writing there would make everything in between."""
    price = session.services.price_bytes

    class BytesIO(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            price(offset if type(offset) is int else 0)
            return super().seek(offset, whence)

    class StringIO(io.StringIO):
        def seek(self, cookie: int, whence: int = 0, /) -> int:
            price(4 * cookie if type(cookie) is int else 0)
            return super().seek(cookie, whence)

    for kind in (BytesIO, StringIO):
        kind.__module__, kind.__qualname__ = "_io", kind.__name__
    return {"BytesIO": BytesIO, "StringIO": StringIO}


FACTORIES: dict[str, Factory] = {
    "calendar": _calendar,
    "csv": _csv,
    "io": _io,
    "json": _json,
    "json.encoder": _json_encoder,
    "re": _re,
    "string": _string,
    "textwrap": _textwrap,
}
