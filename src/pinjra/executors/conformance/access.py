"""Checks: what gets into a box besides values. Each parameter works, or is refused in a sentence that names who has it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from pinjra.core.access import PARAMETERS
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, MissingDependency, StartupFailed
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import CheckFailed, NotHere, another, check, expect, value_of
from pinjra.executors.session.executor import SessionExecutor

# A harmless wish for each parameter, with what it needs besides.
_WISHES: Mapping[str, Mapping[str, object]] = {
    "programs": {"programs": ["sh"]},
    "network": {"network": True},
    "secrets": {"network": ["example.org"], "secrets": {"example.org": {"X-Key": "harmless"}}},
    "packages": {"packages": ["six"]},
    "mounts": {"mounts": {"data": os.path.dirname(__file__)}},
    "env": {"env": {"PINJRA_CHECK": "1"}},
    "python_path": {"python_path": [os.getcwd()]},
}


@check()
def what_an_executor_cannot_give_is_refused_with_the_name_of_one_that_can(executor: PythonExecutor) -> None:
    having = _access(executor)
    expect(sorted(_WISHES), sorted(PARAMETERS))
    for name in PARAMETERS:
        if name in having:
            continue
        wish = _WISHES[name]
        try:
            another(executor, **wish).close()
        except ConfigurationError as error:
            is_named = any(f"{each}=" in str(error) for each in wish)
            if not is_named or "executor_type=" not in str(error):
                raise CheckFailed(f"{name}= is refused without saying who has it: {error}") from None
        else:
            raise CheckFailed(f"{name}= was taken, and is not in ACCESS")


@check()
def a_host_that_is_named_is_reached_and_no_other(executor: PythonExecutor) -> None:
    _need(executor, "network")
    with _answering() as (host, keys), _answering() as (other, others_keys):
        secrets = {"secrets": {host: {"X-Key": "added"}}} if "secrets" in _access(executor) else {}
        try:
            box = another(executor, ["urllib"], network=[host], **secrets)
        except (
            ConfigurationError,
            ExecutorUnavailable,
        ) as error:  # vendors know no ports, and not this machine
            raise NotHere(str(error)) from None
        with box:
            code = "import urllib.request\nurllib.request.urlopen('http://{}/', timeout=20).read().decode()"
            expect(value_of(box, code.format(host)), "answered")
            if secrets:
                expect(keys, ["added"])
            expect(box.run(code.format(other)).error is None, False)
            expect(others_keys, [])


@contextmanager
def _answering() -> Iterator[tuple[str, list[str | None]]]:
    """Have a server of this machine; its address, and the keys with which it was asked."""
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers["X-Key"])
            self.send_response(200)
            self.send_header("Content-Length", "8")
            self.end_headers()
            self.wfile.write(b"answered")

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}", keys
        finally:
            server.shutdown()


@check()
def modules_of_the_caller_s_own_are_imported_and_stay_as_they_are(executor: PythonExecutor) -> None:
    _need(executor, "python_path")
    with tempfile.TemporaryDirectory(prefix="pinjra-check-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103  (the guest may be another user)
        module = Path(folder) / "pinjra_checked.py"
        module.write_text("answer = 42\n")
        module.chmod(0o644)
        with another(executor, ["pinjra_checked"], python_path=[folder]) as box:
            expect(value_of(box, "import pinjra_checked\npinjra_checked.answer"), 42)
            expect(box.run(f"open({str(module)!r}, 'w')").error is None, False)
        expect(module.read_text(), "answer = 42\n")


@check(imports=["os"])
def variables_of_the_environment_are_seen(executor: PythonExecutor) -> None:
    _need(executor, "env")
    with another(executor, ["os"], env={"PINJRA_CHECK": "ü = 1"}) as box:
        expect(value_of(box, "import os\nos.environ['PINJRA_CHECK']"), "ü = 1")


@check()
def a_program_has_input_output_and_a_status(executor: PythonExecutor) -> None:
    _need(executor, "programs")
    try:
        box = another(executor, programs=["sh"])
    except ConfigurationError as error:
        raise NotHere(str(error)) from None
    with box:
        box.put_file("in.txt", b"of a file\n")
        done = box.exec(
            ["sh", "-c", 'while read x; do echo "$x"; done; read y <in.txt; echo "$y"; exit 3'], stdin="ü\n"
        )
        expect((done.stdout, done.status, done.error), ("ü\nof a file\n", 3, None))
        expect(value_of(box, "1 + 1"), 2)


@check()
def a_folder_of_this_machine_is_seen_and_stays_as_it_is(executor: PythonExecutor) -> None:
    _need(executor, "mounts")
    with tempfile.TemporaryDirectory(prefix="pinjra-check-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103  (the guest may be another user)
        (Path(folder) / "inner").mkdir(mode=0o755)
        (Path(folder) / "inner" / "a.txt").write_bytes(b"shown")
        with another(executor, mounts={"data": folder}) as box:
            expect(box.run("open('data/inner/a.txt').read()").value, "shown")
            box.run("with open('data/inner/a.txt', 'w') as f:\n    f.write('changed')")
            box.run("with open('data/new.txt', 'w') as f:\n    f.write('new')")
            box.reset()
            expect(box.run("open('data/inner/a.txt').read()").value, "shown", "after reset()")
        expect(sorted(os.listdir(folder)), ["inner"])
        expect((Path(folder) / "inner" / "a.txt").read_bytes(), b"shown")


@check(needs=["files"])
def files_are_there_from_the_start_and_those_of_a_run_are_told(executor: PythonExecutor) -> None:
    _access(executor)
    with another(executor, files=[{"in/a.txt": b"given"}]) as box:
        done = box.run(
            "text = open('in/a.txt').read()\nwith open('out.txt', 'w') as f:\n    f.write(text * 2)\ntext"
        )
        expect((done.value, done.error), ("given", None))
        expect({name: file.size for name, file in done.files.items()}, {"out.txt": 10})
        expect(done.files["out.txt"].read(), b"givengiven")
        expect(box.run("1").files, {})


@check(needs=["files"])
def a_file_of_many_messages_crosses_both_ways(executor: PythonExecutor) -> None:
    data = os.urandom(1 << 20) * 9
    with tempfile.TemporaryDirectory(prefix="pinjra-check-") as folder:
        path = Path(folder) / "big"
        path.write_bytes(data)
        executor.put_files([path])
        done = executor.run(
            "with open('big', 'rb') as f:\n    data = f.read()\nwith open('turned', 'wb') as f:\n    f.write(data[::-1])"
        )
        expect(done.error, None)
        expect(executor.list_files(), {"big": len(data), "turned": len(data)})
        turned = Path(folder) / "turned"
        with turned.open("wb") as file:
            file.writelines(executor.file_pieces("turned"))
        if turned.read_bytes() != data[::-1]:
            raise CheckFailed("9 MiB came back changed")


@check()
def standard_input_is_read_to_its_end(executor: PythonExecutor) -> None:
    if not isinstance(executor, SessionExecutor):
        raise NotHere("this executor's run() takes no stdin=")
    code = "import sys\n[input(), sys.stdin.readline(), sys.stdin.read()]"
    with another(executor, ["sys"]) as box:
        expect(box.run(code, stdin="one\nü\nrest").value, ["one", "ü\n", "rest"])  # type: ignore[call-arg]
        done = box.run("input()")
        expect(done.error and done.error.type, "EOFError")
        code = "lines = sum(1 for _ in sys.stdin)\n(input() if lines == 0 else '', lines)"
        expect(box.run(code, stdin="line\n" * 600_000).value, ("", 600_000))  # type: ignore[call-arg]
        endless = _Endless()
        expect(box.run("[input(), input()]", stdin=endless).value, ["line", "line"])  # type: ignore[call-arg]
        if endless.given_bytes > 8 << 20:
            raise CheckFailed(f"{endless.given_bytes} bytes of an endless input were read for two lines")


class _Endless:
    """A file without an end."""

    given_bytes = 0

    def read(self, size: int, /) -> bytes:
        self.given_bytes += size
        return b"line\n" * (size // 5)


@check()
def what_is_displayed_comes_out_as_it_is(executor: PythonExecutor) -> None:
    done = executor.run(
        "class Shown:\n    def _repr_svg_(self):\n        return '<svg/>'\ndisplay(Shown())\nShown()"
    )
    expect([(one.media_type, one.data) for one in done.artifacts], [("image/svg+xml", b"<svg/>")] * 2)


@check()
def a_package_is_there_without_being_authorised(executor: PythonExecutor) -> None:
    _need(executor, "packages")
    try:
        box = another(executor, packages=["six==1.17.0"])
    except (StartupFailed, MissingDependency, ConfigurationError) as error:  # no index can be reached
        raise NotHere(str(error)) from None
    with box:
        expect(value_of(box, "import six\nsix.__version__"), "1.17.0")


def _access(executor: PythonExecutor) -> Mapping[str, str]:
    found = getattr(executor, "ACCESS", None)
    if not isinstance(found, Mapping):
        raise NotHere("this executor knows none of these parameters")
    return found


def _need(executor: PythonExecutor, name: str) -> None:
    if name not in _access(executor):
        raise NotHere(f"this executor has no {name}=")
