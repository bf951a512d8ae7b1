"""`pinjra shell`: lines that somebody types, or a pipe -> runs in one session, each with what came of it.

What is typed is sent to the box as it is. Whether it is whole is told by its tokens alone: nothing is compiled on this machine.
"""

from __future__ import annotations

import io
import shlex
import sys
import tokenize
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pinjra.cli import GUEST_FAILED
from pinjra.cli.access_options import access_options, here
from pinjra.cli.execute import run_program, save, status_of, tell, write
from pinjra.cli.options import ctrl_c, file_options
from pinjra.core.nearest import nearest

if TYPE_CHECKING:
    from pinjra.core.execution import Execution
    from pinjra.executors.base import PythonExecutor

_FIRST, _MORE = ">>> ", "... "
_GOES_ON = ("elif", "else", "except", "finally", "case")  # lines that belong to the block before them
_OPEN = ("EOF in multi-line", "triple-quoted")  # what tokenize says, by version, where more must come
_LAYOUT = (
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.COMMENT,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


@click.command()
@access_options
@file_options
def shell(
    files: tuple[str, ...], out: str | None, executor: str | None, imports: list[str], access: dict[str, Any]
) -> int:
    """Type into a session: variables and files live on; %help lists what else there is.

    Read from a pipe, each statement is run in turn; the exit status is that of the last that failed.
    """
    from pinjra.executors.registry import create_executor

    with create_executor(executor, additional_authorized_imports=imports, executor_kwargs=access) as box:
        box.put_files(files)
        box.on_output = write
        session = TypedSession(box, out)
        is_typed = sys.stdin is not None and sys.stdin.isatty()
        lines = _typed(f"{executor or 'default executor'}; %help for help") if is_typed else _piped()
        for text in programs(lines):
            session.do(text)
            if session.is_left:
                break
        return 0 if is_typed else session.status


class TypedSession:
    """One session of the shell.

    Args:
        out: Folder into which what each run wrote and showed is saved.
    """

    def __init__(self, box: PythonExecutor, out: str | None = None) -> None:
        self.box = box
        self.out = out
        self.last: Execution | None = None
        self.status = 0
        self.is_left = False

    def do(self, text: str) -> None:
        """Run one program, %command or !line, and tell what came of it."""
        from pinjra.core.errors import ConfigurationError, ExecutorUnavailable

        try:
            if text.startswith("%"):
                self._command(text)
            elif text.startswith("!"):
                self._ran(lambda: self.box.exec(["bash", "-c", text[1:]]))
            else:
                self._ran(lambda: self.box.run(text))
        except (ConfigurationError, ExecutorUnavailable, OSError, click.UsageError) as error:
            self._failed(str(error), GUEST_FAILED)
        sys.stdout.flush()

    def _ran(self, run: Callable[[], Execution]) -> None:
        with ctrl_c(self.box.interrupt):
            self.last = run()
        tell(self.last)
        if self.last.status:
            self._failed(f"exit status {self.last.status}", GUEST_FAILED)
        self.status = status_of(self.last) or self.status
        if self.out is not None:
            save(self.last, self.out)

    def _failed(self, words: str, status: int) -> None:
        print(f"pinjra: {words}{here(words)}", file=sys.stderr)
        self.status = status

    def _command(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        if name not in _COMMANDS:
            raise click.UsageError(f"there is no {name}; {nearest(name, _COMMANDS)}")
        wanted = _COMMANDS[name][1].partition(":")[0].split()[0]
        if wanted in ("PATH", "NAME") and not rest.strip():
            raise click.UsageError(f"{name} wants a {wanted}")
        _COMMANDS[name][0](self, rest.strip())

    def _help(self, _: str) -> None:
        for name, (_does, words) in _COMMANDS.items():
            print(f"{name:8} {words}")
        print("!LINE    run a line of shell in the box, where programs are allowed (--program bash)")

    def _files(self, _: str) -> None:
        for name, size in sorted(self.box.list_files().items()):
            print(f"{size:>12} {name}")

    def _put(self, path: str) -> None:
        for file in self.box.put_files([path]):
            print(file.name)

    def _get(self, name: str) -> None:
        from pinjra.core.guest_files import write_file

        print(write_file(self.out or ".", name, self.box.get_file(name)))

    def _save(self, folder: str) -> None:
        if self.last is None or not save(self.last, folder or self.out or "."):
            print("nothing to save: the last run wrote and showed nothing", file=sys.stderr)

    def _run(self, line: str) -> None:
        argv = [line] if Path(line).is_file() else shlex.split(line)
        self._ran(lambda: run_program(self.box, Path(argv[0]).read_text("utf-8"), argv))

    def _reset(self, _: str) -> None:
        self.box.reset()

    def _quit(self, _: str) -> None:
        self.is_left = True


_COMMANDS: dict[str, tuple[Callable[[TypedSession, str], None], str]] = {
    "%help": (TypedSession._help, "this"),
    "%files": (TypedSession._files, "list the files of the box"),
    "%put": (TypedSession._put, "PATH: copy a file of this machine into the box"),
    "%get": (TypedSession._get, "NAME: copy a file of the box into --out, or here"),
    "%save": (TypedSession._save, "DIR: save what the last run wrote and showed"),
    "%run": (TypedSession._run, "PATH [ARGUMENT]...: run a file of this machine"),
    "%reset": (TypedSession._reset, "forget variables and files"),
    "%quit": (TypedSession._quit, "leave; so does Ctrl-D"),
}

Lines = Callable[[str], str]  # a prompt -> the next line, or several that were pasted; EOFError at the end


def programs(ask: Lines) -> Iterator[str]:
    """Yield whole programs: statements, %commands and !lines."""
    held = ""
    while True:
        try:
            line = ask(_MORE if held else _FIRST)
        except KeyboardInterrupt:  # the line that was begun is given up
            held = ""
            continue
        except EOFError:
            if held.strip():
                yield held
            return
        if held and _begins_anew(held, line):
            yield held
            held = ""
        held = f"{held}\n{line}" if held else line
        if not held.strip():
            held = ""
        elif is_whole(held):
            yield held
            held = ""


def _begins_anew(held: str, line: str) -> bool:
    """Whether a block ended without an empty line, as it does in files."""
    is_outside = bool(line.strip()) and not line[0].isspace() and not line.startswith(_GOES_ON)
    return is_outside and _shape(held) == "block"


def is_whole(text: str) -> bool:
    """Return whether nothing is missing: no bracket or text is open, and a block is ended by an empty line."""
    if text.startswith(("%", "!")):
        return True
    shape = _shape(text)
    return shape == "whole" or (shape != "open" and text.endswith("\n"))


def _shape(text: str) -> Literal["open", "header", "block", "whole"]:
    """Return what more may come: the rest of a statement, a block's first line, more of its lines, or nothing."""
    if text.endswith("\\"):
        return "open"
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except tokenize.TokenError as error:
        return "open" if any(words in str(error) for words in _OPEN) else "whole"
    except SyntaxError:  # the box will say what is wrong
        return "whole"
    words = [token.string for token in tokens if token.type not in _LAYOUT]
    if words[-1:] == [":"] or (words[:1] == ["@"] and "def" not in words and "class" not in words):
        return "header"
    return "block" if any(token.type == tokenize.INDENT for token in tokens) else "whole"


def _piped() -> Lines:
    def ask(_: str) -> str:
        line = sys.stdin.readline() if sys.stdin is not None else ""
        if not line:
            raise EOFError
        return line.rstrip("\n")

    return ask


def _typed(welcome: str) -> Lines:
    """Return what asks at the terminal: prompt_toolkit, with history and lines that can be edited, where it is installed."""
    from pinjra.core.cache_folder import cache_folder, made
    from pinjra.core.errors import ConfigurationError

    print(f"pinjra shell: {welcome}", file=sys.stderr)
    try:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory
    except ImportError:
        return input
    history: FileHistory | None = None  # where this user has no folder: as long as the shell
    with suppress(OSError, ConfigurationError):
        place = made(cache_folder()) / "shell-history"
        place.touch(mode=0o600)  # what is typed may be secret
        history = FileHistory(str(place))
    session: PromptSession[str] = PromptSession(history=history)
    return lambda prompt: session.prompt(prompt)
