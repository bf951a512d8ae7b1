"""Cells of Python -> output, results and errors: IPython in a process of its own, forked from the first of the box.

Requests come as lines of JSON on a socket, `{"code": …, "env": {…}}`; events go back the same way. What is printed goes to
descriptors 1 and 2, as what subprocesses print does; before each event both are flushed, so that the reader finds all of it.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, cast

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import BaseFormatter, JSONFormatter
from IPython.core.interactiveshell import InteractiveShell
from traitlets import ObjectName, Unicode
from traitlets.config import Config

_INLINE = "module://matplotlib_inline.backend_inline"
_DATA, _CHART = "e2b/data", "e2b/chart"


def serve_cells(
    stream: socket.socket, outputs: tuple[int, int], cwd: str, environment: Mapping[str, str]
) -> NoReturn:
    """Be a context until the other end closes. Called in a process that has just been forked, from within an event loop.

    Args:
        outputs: What descriptors 1 and 2 become.
    """
    status = 1
    try:
        _become_own_process(stream.fileno(), outputs)
        os.environ.clear()
        os.environ.update(environment, MPLBACKEND=_INLINE, IPYTHONDIR=f"{environment['TMPDIR']}/.ipython")
        os.chdir(cwd)
        shell = _make_shell(stream)
        with stream.makefile("rb") as requests:
            for line in requests:
                shell.run_request(json.loads(line))
        status = 0
    finally:
        os._exit(status)


def _become_own_process(stream: int, outputs: tuple[int, int]) -> None:
    """Leave behind what belongs to the parent: its loop, its descriptors, its signal handlers."""
    asyncio._set_running_loop(None)
    asyncio.set_event_loop(None)
    gc.freeze()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
        os.dup2(descriptor, number)
    os.closerange(3, stream)
    os.closerange(stream + 1, 1 << 12)
    sys.stdin = io.TextIOWrapper(io.FileIO(0), "utf-8")
    sys.stdout = _text(1)
    sys.stderr = _text(2)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]


def _text(descriptor: int) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)


class _Hook(DisplayHook):
    """The value of a cell's last expression."""

    def start_displayhook(self) -> None:
        """Begin."""

    def write_output_prompt(self) -> None:
        """Print no prompt."""

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        cast("Shell", self.shell).send_result(format_dict, is_main=True)

    def finish_displayhook(self) -> None:
        """End."""


class _Publisher(DisplayPublisher):
    """What a cell displays."""

    def publish(self, data: dict[str, Any], *args: Any, **options: Any) -> None:
        cast("Shell", self.shell).send_result(data, is_main=False)

    def clear_output(self, wait: bool = False) -> None:
        """Nothing: what was sent is sent."""


class Shell(InteractiveShell):
    """IPython that sends what it would show."""

    stream: socket.socket

    def send(self, event: dict[str, Any]) -> None:
        """Send an event behind all that was printed."""
        for text in (sys.stdout, sys.stderr):
            with suppress(Exception):
                text.flush()
        self.stream.sendall(json.dumps(event, default=str).encode() + b"\n")

    def send_result(self, data: Mapping[str, Any], *, is_main: bool) -> None:
        """Send the forms of a value."""
        self.send(
            {
                "type": "result",
                "data": {kind: _plain(value) for kind, value in data.items()},
                "is_main": is_main,
            }
        )

    def run_request(self, request: dict[str, Any]) -> None:
        """Run one cell."""
        self.send({"type": "begin", "count": self.execution_count})
        os.environ.update(request["base"])
        with _variables(request["env"]):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                self.run_cell(request["code"], store_history=True)
            except KeyboardInterrupt:  # between the cell and this line
                pass
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.send({"type": "done"})

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        self.send(
            {"type": "error", "name": etype.__name__, "value": str(evalue), "traceback": "\n".join(stb)}
        )

    def system(self, command: str) -> None:
        """Run `!command`: its output is where print's is."""
        sys.stdout.flush()
        code = subprocess.call(self.var_expand(command, depth=1), shell=True, executable="/bin/bash")  # noqa: S602
        self.user_ns["_exit_code"] = code

    def enable_gui(self, gui: Any = None) -> None:
        """Nothing: there is no screen."""


def _make_shell(stream: socket.socket) -> Shell:
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.PlainTextFormatter.max_seq_length = 0
    Shell.stream = stream
    shell: Shell = Shell.instance(config=config, display_pub_class=_Publisher, displayhook_class=_Hook)
    display = shell.display_formatter
    assert display is not None  # noqa: S101 (a shell has one)
    formatters = display.formatters
    formatters[_DATA] = _DataFormatter(parent=display)
    formatters[_CHART] = _ChartFormatter(parent=display)
    formatters["application/json"] = _PlainJSON(parent=display)
    display.active_types = list(formatters)
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].use(_INLINE)
        from matplotlib_inline.backend_inline import _enable_matplotlib_integration

        _enable_matplotlib_integration()
    if "PIL.Image" in sys.modules:
        _show_images()
    shell.run_cell("None", silent=True)  # what the first cell takes longer than others
    return shell


class _DataFormatter(BaseFormatter):
    """Tables as columns of plain values."""

    format_type = Unicode(_DATA)
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = (dict, str)

    def __call__(self, value: Any) -> Any:
        """Return the columns; None for what is no table."""
        pandas = sys.modules.get("pandas")
        if pandas is None or not isinstance(value, getattr(pandas, "DataFrame", ())):
            return super().__call__(value)
        columns = value.to_dict(orient="list")
        return {
            str(name): [one.isoformat() if hasattr(one, "isoformat") else one for one in column]
            for name, column in columns.items()
        }


class _ChartFormatter(BaseFormatter):
    """Figures as data."""

    format_type = Unicode(_CHART)
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = (dict, str)

    def __call__(self, value: Any) -> Any:
        """Return the figure's chart; None for what is no figure."""
        module = sys.modules.get("matplotlib.figure")
        if module is None or not isinstance(value, module.Figure):
            return super().__call__(value)
        from pinjra.server.http.e2b.inside.charts import chart_of

        try:
            return chart_of(value)
        except Exception:  # a figure of a kind that nobody thought of is a picture still
            return {}


class _PlainJSON(JSONFormatter):
    """Lists and dicts are JSON, too."""

    def __call__(self, value: Any) -> Any:
        """Return plain data; None for what is none."""
        if isinstance(value, (dict, list)):
            try:
                return json.loads(json.dumps(value, default=_number))
            except (TypeError, ValueError, RecursionError):
                return None
        return super().__call__(value)


def _number(value: object) -> object:
    tolist = getattr(value, "tolist", None)
    if not callable(tolist):
        raise TypeError(f"{type(value).__name__} is not JSON")
    return tolist()


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _show_images() -> None:
    """Let `image.show()` and `image.save("name")` of Pillow display the picture, as this API's users know it."""
    from IPython.display import display
    from PIL import Image

    save = Image.Image.save

    def shown_save(image: Any, fp: Any, format: str | None = None, **options: Any) -> None:  # noqa: A002 (its name)
        if isinstance(fp, str):
            display(image)
        save(image, fp, format, **options)

    Image.Image.save = shown_save
    Image.Image.show = lambda image, title=None: display(image)


@contextmanager
def _variables(wanted: Mapping[str, str]) -> Iterator[None]:
    """Have these variables in the environment meanwhile."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
