"""`pinjra exec`: a program -> its output, value and an exit status that tells how it ended."""

from __future__ import annotations

import base64
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pinjra.cli import GUEST_FAILED, INTERRUPTED, LIMIT_REACHED
from pinjra.cli.access_options import access_options, here
from pinjra.cli.options import ctrl_c, file_options

if TYPE_CHECKING:
    from pinjra.agents.run.results import RunResult
    from pinjra.core.execution import Execution
    from pinjra.core.files import Readable
    from pinjra.executors.base import PythonExecutor

_STATUS = {"limit": LIMIT_REACHED, "interrupted": INTERRUPTED}


class _Arguments(click.Command):
    """A command that may be given words for the program which it runs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            words = f"{error.format_message()} The program's own options come after --."
            raise click.UsageError(words, ctx) from None


@click.command(name="exec", cls=_Arguments)
@click.argument("words", nargs=-1, metavar="[PROGRAM] [ARGUMENT]…")
@click.option("-c", "code", metavar="CODE", help="The program itself; all words are its arguments.")
@access_options
@file_options
@click.option(
    "--stdin", type=click.File("rb"), help="What the program reads; a pipe or a file is read without it."
)
@click.option("--language", default="python", metavar="NAME", help="python, bash, javascript or cpp.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with everything that came of it.")
def execute(
    words: tuple[str, ...],
    code: str | None,
    stdin: BinaryIO | None,
    files: tuple[str, ...],
    out: str | None,
    executor: str | None,
    imports: list[str],
    language: str,
    as_json: bool,
    access: dict[str, Any],
) -> int:
    """Run PROGRAM ("-" for standard input), or the CODE of -c, in an executor.

    It finds each ARGUMENT in sys.argv; those that begin with "-" come after "--".
    """
    from pinjra.core.json_data import json_text
    from pinjra.executors.registry import create_executor

    argv = words if code is None else ("-c", *words)
    if not argv:
        raise click.UsageError("give either PROGRAM or -c CODE")
    source = code if code is not None else _read(argv[0])
    given = _given(stdin, is_taken=code is None and argv[0] == "-")
    options = _with_language(access, language)
    with create_executor(executor, additional_authorized_imports=imports, executor_kwargs=options) as box:
        if not as_json:
            box.on_output = write
        with ctrl_c(box.interrupt):
            box.put_files(files)
            done = run_program(box, source, argv, language=language, stdin=given)
        saved = save(done, out) if out is not None else None
        form = _form(done, saved) if as_json else None  # files are read while the box is open
    if form is not None:
        print(json_text(form))
    else:
        tell(done)
    return status_of(done)


def _with_language(access: dict[str, Any], language: str) -> dict[str, Any]:
    """Return the access with the programs that a language is run by: who asks for bash asks for bash."""
    from pinjra.executors.session.languages import language_of

    wanted = () if language == "python" else language_of(language).programs
    programs = (*access.get("programs", ()), *wanted)
    return {**access, "programs": programs} if programs else access


def run_program(
    box: PythonExecutor,
    source: str,
    argv: Sequence[str],
    *,
    language: str = "python",
    stdin: Readable | None = None,
) -> Execution:
    """Return what came of a program with its name and arguments."""
    from pinjra.core.errors import ConfigurationError
    from pinjra.executors.session.executor import SessionExecutor

    if isinstance(box, SessionExecutor):
        return box.run(source, language=language, stdin=b"" if stdin is None else stdin, argv=argv)
    if language != "python" or stdin is not None or argv[1:]:
        raise ConfigurationError(
            "this executor knows neither --language nor --stdin, nor arguments of the program"
        )
    return box.run(source)


def _given(stdin: BinaryIO | None, *, is_taken: bool) -> Readable | None:
    """Return what the program is to read: the option's, else what a pipe or a file gives to this command."""
    if stdin is not None:
        return stdin
    if is_taken or sys.stdin is None:
        return None
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):  # closed, or no file
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return None
    # Without a buffer, whose lock a thread that waits would hold when this command ends.
    return open(descriptor, "rb", buffering=0, closefd=False)


def status_of(done: Execution) -> int:
    """Return the exit status that tells how a run ended."""
    return 0 if done.error is None else _STATUS.get(done.error.kind.value, GUEST_FAILED)


def save(done: Execution | RunResult[Any], out: str | Path) -> list[Path]:
    """Save what a run wrote and showed, and say where: files first, then artifacts."""
    paths = done.save(out)
    for path in paths:
        print(f"saved: {path}", file=sys.stderr)
    return paths


def _read(path: str) -> str:
    file = click.File("r", encoding="utf-8").convert(path, None, click.get_current_context())
    try:
        return str(file.read())
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{Path(path).name} is not UTF-8 text: {error}") from None


def write(stream: str, text: str) -> None:
    """Write output of a guest as it comes."""
    from pinjra.core.safe_text import printable_output

    out = sys.stdout if stream == "stdout" else sys.stderr
    out.write(printable_output(text))
    out.flush()


def tell(done: Execution) -> None:
    """Write the value to stdout and what went wrong to stderr."""
    from pinjra.core.value_text import describe_value
    from pinjra.ui.clean import clean
    from pinjra.ui.pictures import show_picture

    if done.value is not None:
        print(clean(describe_value(done.value)))
    for note in done.notes:
        print(f"note: {clean(note)}", file=sys.stderr)
    for artifact in done.artifacts:
        show_picture(artifact, sys.stdout)
        print(f"artifact: {clean(artifact.media_type)}, {len(artifact.data)} bytes", file=sys.stderr)
    if done.error is not None:
        text = done.error.text
        print(clean(text + here(text)), file=sys.stderr)


def _form(done: Execution, saved: Sequence[Path] | None) -> dict[str, Any]:
    """Return an execution as JSON data; bytes by the path where they were saved, else as base64."""
    from dataclasses import asdict

    error = None
    if done.error is not None:
        error = {k: v.value if hasattr(v, "value") else v for k, v in asdict(done.error).items()}
    files = list(done.files.values())
    pieces = [file.read() for file in files] if saved is None else [b""] * len(files)
    pieces += [artifact.data for artifact in done.artifacts]
    held = [_held(data, saved[n] if saved is not None else None) for n, data in enumerate(pieces)]
    return {
        "value": done.value,
        "status": done.status,
        "stdout": done.stdout,
        "stderr": done.stderr,
        "error": error,
        "is_final_answer": done.is_final_answer,
        "notes": list(done.notes),
        "artifacts": [
            {"media_type": one.media_type, "name": one.name, "bytes": len(one.data), **place}
            for one, place in zip(done.artifacts, held[len(files) :], strict=True)
        ],
        "files": {
            file.name: {"bytes": file.size, **place}
            for file, place in zip(files, held[: len(files)], strict=True)
        },
        "usage": asdict(done.usage),
    }


def _held(data: bytes, path: Path | None) -> dict[str, str]:
    return {"path": str(path)} if path is not None else {"base64": base64.b64encode(data).decode("ascii")}
