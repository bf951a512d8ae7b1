"""Twenty programs that draw, in a box and in a real Jupyter kernel: the same pictures between the same lines."""

from __future__ import annotations

import base64
import os
import struct
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pinjra import Limits, sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")

BEGIN = "import matplotlib.pyplot as plt\nplt.close('all')\n"
PROGRAMS = {
    "drawn and shown": "plt.plot([1, 2])\nplt.show()",
    "drawn only": "plt.plot([1, 2]);",
    "shown twice": "plt.plot([1])\nplt.show()\nplt.plot([2])\nplt.show()",
    "shown, then closed": "plt.plot([1])\nplt.show()\nplt.close()",
    "closed, not shown": "plt.plot([1])\nplt.close()",
    "text between": "print('a')\nplt.plot([1])\nplt.show()\nprint('b')\nplt.plot([2])\nplt.show()\nprint('c')",
    "two figures, shown at once": "plt.figure(figsize=(2, 1))\nplt.figure(figsize=(1, 2))\nplt.show()",
    "two figures, not shown": "a = plt.figure(figsize=(2, 1))\nb = plt.figure(figsize=(1, 2))\nNone",
    "one of two closed": "a = plt.figure(figsize=(2, 1))\nb = plt.figure(figsize=(1, 2))\nplt.close(a)",
    "a figure is the value": "f, a = plt.subplots(figsize=(2, 1))\na.plot([1])\nf",
    "shown and the value": "f, a = plt.subplots(figsize=(2, 1))\na.plot([1])\nplt.show()\nf",
    "axes are the value": "f, a = plt.subplots()\na.plot([1])\na",
    "a title is the value": "f, a = plt.subplots()\na.set_title('t')",
    "an exception behind it": "plt.plot([1])\n1 / 0",
    "an exception behind show": "plt.plot([1])\nplt.show()\n1 / 0",
    "figures without pyplot": "from matplotlib.figure import Figure\nf = Figure(figsize=(1, 1))\nNone",
    "in a loop": "for n in (1, 2, 3):\n    plt.figure(figsize=(n, 1))\n    plt.plot([n])\n    plt.show()",
    "in a function": "def draw():\n    plt.plot([1])\n    plt.show()\ndraw()\ndraw()",
    "cleared": "plt.plot([1])\nplt.clf()\nplt.show()",
    "saved and shown": "import io\nplt.plot([1])\nplt.savefig(io.BytesIO())\nplt.show()",
    "nothing to show": "plt.show()\nprint('none')",
}


# A notebook shows it as its value and again as an open figure; a box once.
ONCE = PROGRAMS["a figure is the value"]


def size(png: bytes) -> tuple[int, ...]:
    return struct.unpack(">II", png[16:24])


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib_inline")
    manager = pytest.importorskip("jupyter_client.manager")
    inline = "module://matplotlib_inline.backend_inline"
    running, client = manager.start_new_kernel(
        kernel_name="python3", env={**os.environ, "MPLBACKEND": inline}
    )
    yield client
    client.stop_channels()
    running.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def box() -> Iterator[Any]:
    pytest.importorskip("matplotlib")
    with sandbox("jail", guard=False) as opened:
        yield opened


def in_a_kernel(client: Any, code: str) -> tuple[list[tuple[int, ...]], str, bool]:
    """Return sizes of pictures in order, what was printed, and whether it failed."""
    pictures: list[tuple[int, ...]] = []
    printed: list[str] = []
    failed: list[bool] = []

    def hook(message: Any) -> None:
        content = message["content"]
        if message["msg_type"] in ("display_data", "execute_result") and "image/png" in content["data"]:
            pictures.append(size(base64.b64decode(content["data"]["image/png"])))
        elif message["msg_type"] == "stream":
            printed.append(content["text"])
        elif message["msg_type"] == "error":
            failed.append(True)

    client.execute_interactive(code, output_hook=hook, timeout=120)
    return pictures, "".join(printed), bool(failed)


@pytest.mark.parametrize("code", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_box_shows_what_a_notebook_shows(kernel: Any, box: Any, code: str) -> None:
    done = box.run(BEGIN + code)
    told = [size(one.data) for one in done.artifacts if one.media_type == "image/png"]
    pictures, printed, has_failed = in_a_kernel(kernel, BEGIN + code)
    assert told == (pictures[1:] if code == ONCE else pictures)
    assert (done.stdout, done.error is not None) == (printed, has_failed)


def test_display_of_ipython_shows_here_too(box: Any) -> None:
    pytest.importorskip("IPython")
    code = (
        "from IPython.display import HTML, Markdown, display\ndisplay(HTML('<b>'), Markdown('*'))\n"
        "display({'text/html': '<i>', 'text/plain': 'i'}, raw=True)"
    )
    done = box.run(code)
    assert [(one.media_type, one.data) for one in done.artifacts] == [
        ("text/html", b"<b>"),
        ("text/markdown", b"*"),
        ("text/html", b"<i>"),
    ]


def test_a_figure_of_plotly_is_shown_by_its_own_show(box: Any) -> None:
    pytest.importorskip("plotly")
    done = box.run("import plotly.graph_objects as go\ngo.Figure(go.Bar(y=[1, 2])).show()")
    assert [one.media_type for one in done.artifacts] == ["text/html"], done.error


@pytest.mark.parametrize("executor", ["jail", "local"])
def test_an_image_of_pillow_is_shown_by_its_own_show(executor: str) -> None:
    pytest.importorskip("PIL")
    with sandbox(executor, authorized_imports=["PIL"]) as box:
        done = box.run("from PIL import Image\nImage.new('RGBA', (3, 2)).show()")
    assert [one.media_type for one in done.artifacts] == ["image/png"], done.error
    assert done.files == {}


def test_what_a_run_shows_beyond_its_limits_is_left_out_with_a_note() -> None:
    code = """
class Picture:
    def __init__(self, size):
        self.size = size
    def _repr_png_(self):
        return bytes(self.size)
for size in sizes:
    display(Picture(size))
"""
    with sandbox("jail", limits=Limits(value_bytes=100_000)) as box:
        box.send_variables({"sizes": [60_000, 60_000, 10]})
        done = box.run(code)
        assert [len(one.data) for one in done.artifacts] == [60_000, 10]
        assert [note.partition(":")[0] for note in done.notes] == ["1 of the things to look at were left out"]
        done = box.run("for number in range(105): display(Picture(1))")
        assert (len(done.artifacts), done.notes[0].partition(" ")[0]) == (100, "5")
