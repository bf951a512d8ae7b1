"""Runs, values, variables and output, over the real worker."""

import os
import re
from itertools import groupby
from operator import itemgetter

import pytest
from tests.worker.conftest import Host

from pinjra.wire.messages import Done, Execute, Finished, ListFiles, Output, Reset


def test_value_of_the_last_expression_comes_back(host):
    assert host.run("x = {'a': [1, 2.5], (1, 2): b'q'}\nx") == {"a": [1, 2.5], (1, 2): b"q"}


def test_variables_live_on_between_runs(host):
    host.run("x = 20")
    host.run("x += 1")
    assert host.run("x * 2") == 42


def test_final_answer_is_marked(open_host):
    host = open_host(guard=True)
    assert host.run("final_answer([1, 2])\nprint('not reached')") == [1, 2]
    assert host.finished.is_final
    assert host.text == ""


def test_guest_exception_is_a_value_with_its_line(open_host):
    host = open_host(guard=True)
    error = host.run("x = 1\nprint('before')\n1 / 0")
    assert (error["kind"], error["type"], error["line"]) == ("exception", "ZeroDivisionError", 3)
    assert host.text == "before\n"
    assert host.run("x") == 1


def test_refused_import_is_refused_in_the_worker(open_host):
    host = open_host(guard=True, imports=())
    assert host.run("import ctypes")["kind"] == "refused"


@pytest.mark.parametrize("guard", [True, False])
def test_a_module_that_the_program_has_written_can_be_imported(open_host, guard):
    host = open_host(guard=guard, imports=())
    host.run("open('helper_of_mine.py', 'w').write('def seven(): return 7')")
    assert host.run("import helper_of_mine\nhelper_of_mine.seven()") == 7
    host.run("open('random.py', 'w').write('import os')")
    assert host.run("import random\nrandom.Random.__name__") == "Random"


def test_variables_are_set_from_outside_and_survive_a_rollback(host):
    assert host.set(a=[1], b={"k": b"v"}) == ""
    assert host.run("a.append(2)\nimport os\nos._exit(1)").rolled_back
    assert host.run("a, b") == ([1], {"k": b"v"})


def test_what_cannot_cross_is_described_by_its_own_repr(host):
    value = host.run("class A:\n def __repr__(self): return '<my A>'\nA()")
    assert (value.type, value.repr) == ("A", "<my A>")


def test_repr_that_raises_does_not_lose_the_run(host):
    assert "raised KeyError" in host.run("class A:\n def __repr__(self): raise KeyError\nA()").repr


def test_value_larger_than_the_limit_is_an_error_not_a_message(open_host):
    host = open_host(limits={"value_bytes": 10_000})
    error = host.run("'x' * 20_000")
    assert (error["kind"], error["cause"]) == ("limit", "value")


def test_large_values_cross_on_raw_and_on_text_streams(open_host):
    for raw in (True, False):
        host = open_host(raw=raw)
        assert host.run("bytes(range(256)) * 8192") == bytes(range(256)) * 8192
        assert len(host.run(f"{'x' * 600_000!r}")) == 600_000


def test_prints_keep_their_order_across_streams(host):
    host.start("import sys\nfor i in range(3):\n print(i)\n print(-i, file=sys.stderr)")
    pieces = []
    while not isinstance(message := host.read(), Finished):
        assert isinstance(message, Output)
        pieces.append((message.stream, message.text))
    said = [(stream, "".join(text for _, text in some)) for stream, some in groupby(pieces, itemgetter(0))]
    assert said == [(stream, f"{i}\n") for n in range(3) for stream, i in (("stdout", n), ("stderr", -n))]


def test_output_comes_while_the_run_goes_on(host):
    host.grant(wait=lambda: None)
    host.start("print('now', end='')\nwait()\nprint('later', end='')")
    assert host.read().text == "now"
    host.answer(host.read())
    assert isinstance(host.finish(), Finished)
    assert host.text == "later"


def test_output_before_a_blocking_call_is_not_held_back(host):
    host.start("print('a')\nprint('b')\nimport time\ntime.sleep(600)")
    seen = ""
    while seen != "a\nb\n":
        seen += host.next(Output).text
    host.process.kill()


def test_output_that_was_printed_before_a_crash_is_kept(host):
    lost = host.run("import os\nfor i in range(100): print(i)\nos.kill(os.getpid(), 11)")
    assert lost.detail == "signal 11"
    assert host.text == "".join(f"{i}\n" for i in range(100))


def test_of_output_beyond_the_limit_the_first_and_the_last_part_come(open_host):
    host = open_host(limits={"output_bytes": 1000})
    assert host.run("for i in range(100_000): print('é', i)\nprint('last')\n7") == 7
    assert host.text.startswith("é 0\né 1\n")
    assert host.text.endswith("é 99999\nlast\n")
    missing = re.search("\n… ([0-9]+) bytes of output are missing here …\n", host.text)
    printed = sum(len(f"é {i}\n".encode()) for i in range(100_000)) + len("last\n")
    assert 0 < printed - int(missing[1]) < 1000
    assert len(host.text.encode()) <= 1000
    host.run("print('again')")
    assert host.text == "again\n"


def test_a_large_print_comes_whole(open_host):
    host = open_host(limits={"output_bytes": 8 << 20})
    host.run("print('日本' * 500_000)")
    assert host.text == "日本" * 500_000 + "\n"


def test_prints_of_python_c_code_and_programs_keep_their_order(host):
    host.run(
        "import os, subprocess, sys\nprint('a')\nos.write(1, b'c code\\n')\nprint('b')\n"
        "subprocess.run(['echo', 'child'])\nprint('c')\nsys.stdout.buffer.write(b'd\\n')\n"
        "subprocess.run(['echo', 'e'], stdout=sys.stdout)\nprint('f', end='')"
    )
    assert host.text == "a\nc code\nb\nchild\nc\nd\ne\nf"


def test_frames_on_descriptor_1_are_only_text(host):
    frame = '["c",1,1,"Lost",{"cause":"wall"}]\\n'
    assert host.run(f"import os\nos.write(1, b'{frame}')\n5") == 5
    assert '"Lost"' in host.text


def test_usage_is_told(host):
    host.run("sum(range(1000))")
    assert host.finished.cpu_seconds > 0
    assert host.finished.memory_peak_bytes > 1 << 20


def test_operations_are_counted_by_the_guard(open_host):
    host = open_host(guard=True, limits={"operations": 10_000})
    assert host.run("for i in range(100): pass") is None
    assert host.finished.operations >= 100
    assert host.run("while True: pass")["cause"] == "operations"


def test_reset_forgets_variables_and_keeps_tools(host):
    host.grant(double=lambda x: 2 * x)
    host.run("x = 1\nopen('f', 'w').close()")
    host.send(Reset(request=host.request()))
    host.next(Done)
    assert host.run("x")["type"] == "NameError"
    assert host.run("import os\nos.listdir('.')") == []
    assert host.run("double(4)") == 8


def test_requests_may_follow_each_other_without_waiting(host):
    host.send(ListFiles(request=host.request()))
    host.set(x=1)
    for run in (1, 2, 3):
        # Longer than a rest that ends in a stop: none of the three is a rest.
        host.send(Execute(run=run, code=f"import time\ntime.sleep(0.1)\nx += {run}\nx"))
        host.connection.state = "idle"  # this host waits for nothing
    host.connection.state, host.connection.run = "running", 1
    data = b""
    while data.count(b'"Finished"') < 3:  # read by hand: our own connection takes one run at a time
        data += os.read(host.process.stdout.fileno(), 1 << 16)
    assert re.findall(rb'"Finished",\{"run":(\d),"value":(\d+)', data) == [
        (b"1", b"2"),
        (b"2", b"4"),
        (b"3", b"7"),
    ]


def test_pong_comes_during_a_run(host):
    host.start("import time\ntime.sleep(600)")
    host.send(ListFiles(request=host.request()))
    assert isinstance(host.read(), Done)
    host.process.kill()


def test_an_image_that_was_displayed_comes_as_png(host):
    host.run("from PIL import Image\ndisplay(Image.new('RGB', (2, 2)))")
    assert [p.media_type for p in host.pictures] == ["image/png"]
    assert host.pictures[0].blobs[0].startswith(b"\x89PNG")


def test_an_open_figure_is_shown_at_the_end_of_the_run(open_host):
    host = open_host(guard=True, imports=("matplotlib.*",))
    host.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nNone")
    assert [p.media_type for p in host.pictures] == ["image/png"]
    host.run("None")
    assert host.pictures == []


PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n"


@pytest.mark.parametrize(
    ("code", "pictures"),
    [
        (PLOT, 1),
        (PLOT + "plt.show()\nplt.plot([2, 1])\nplt.show()", 2),
        (PLOT + "plt.show()\nplt.close()", 1),
        (PLOT + "plt.close()", 0),
        (PLOT + "plt.gcf()", 1),
        (PLOT + "plt.gca()", 1),
        (PLOT + "plt.gca().set_title('x')", 1),
        (PLOT + "axes = plt.gca()\nplt.show()\naxes", 1),
        (PLOT + "plt.gcf().show()", 1),
        (PLOT + "plt.figure()\nplt.plot([3])\nplt.show()", 2),
        (PLOT + "display(plt.gcf())\nplt.close()", 1),
        ("import matplotlib\nmatplotlib.use('svg')\n" + PLOT + "plt.show(block=False)", 1),
        ("from matplotlib.pyplot import *\nplot([1, 2])\nshow()", 1),
        ("from mpl_toolkits.mplot3d import Axes3D\n" + PLOT + "plt.axes(projection='3d')\nplt.show()", 1),
    ],
)
def test_figures_are_shown_as_in_a_notebook(plotting, code, pictures):
    plotting.run(code)
    assert plotting.finished.error is None
    assert [p.media_type for p in plotting.pictures] == ["image/png"] * pictures
    plotting.run("None")
    assert plotting.pictures == []


@pytest.fixture(scope="module", params=["standard", "listed"])
def plotting(request):
    host = Host(guard=True, imports=("matplotlib",), mode=request.param)
    yield host
    host.close()


def test_a_figure_of_a_run_that_failed_is_shown_with_it_not_with_the_next(open_host):
    host = open_host(guard=True, imports=("matplotlib",))
    assert host.run(PLOT + "1 / 0")["type"] == "ZeroDivisionError"
    assert len(host.pictures) == 1
    host.run("None")
    assert host.pictures == []


@pytest.mark.parametrize(
    ("method", "answer", "media_type", "data"),
    [
        ("_repr_png_", "b'PNG'", "image/png", b"PNG"),
        ("_repr_png_", "(b'PNG', {'width': 3})", "image/png", b"PNG"),
        ("_repr_jpeg_", "'/9j/'", "image/jpeg", b"\xff\xd8\xff"),
        ("_repr_svg_", "'<svg/>'", "image/svg+xml", b"<svg/>"),
        ("_repr_html_", "'<b>é</b>'", "text/html", "<b>é</b>".encode()),
        ("_repr_markdown_", "'# x'", "text/markdown", b"# x"),
        ("_repr_latex_", "'$x$'", "text/latex", b"$x$"),
        ("_repr_json_", "{'a': [1]}", "application/json", b'{"a": [1]}'),
        ("_repr_mimebundle_", "{'text/plain': 'x', 'image/svg+xml': '<svg/>'}", "image/svg+xml", b"<svg/>"),
        ("_repr_mimebundle_", "({'text/html': '<i>'}, {})", "text/html", b"<i>"),
    ],
)
@pytest.mark.parametrize("last", ["display(T())", "T()"])
def test_what_an_object_shows_of_itself_is_shown(guarded, last, method, answer, media_type, data):
    host = guarded
    host.run(f"class T:\n def {method}(self, include=None, exclude=None): return {answer}\n{last}")
    assert [(p.media_type, p.blobs) for p in host.pictures] == [(media_type, (data,))]


@pytest.fixture(scope="module")
def guarded():
    host = Host(guard=True)
    yield host
    host.close()


def test_an_object_that_fails_to_show_itself_is_only_a_value(open_host):
    host = open_host(guard=True)
    host.run("class T:\n def _repr_html_(self): return 1 / 0\n def _repr_json_(self): return {1j}\nT()")
    assert (host.finished.error, host.pictures) == (None, [])


def test_a_table_is_shown_and_printed(open_host):
    host = open_host(guard=True, imports=("pandas",))
    table = "import pandas\ntable = pandas.DataFrame({'month': ['May'], 'sum': [3]})\n"
    host.run(table + "display(table)")
    assert "May" in host.text
    assert [p.media_type for p in host.pictures] == ["text/html"]
    host.run("table")
    assert b"<td>May</td>" in host.pictures[0].blobs[0]


def test_an_object_with_its_own_html_is_displayed(open_host):
    host = open_host(guard=True)
    host.run("class T:\n def _repr_html_(self): return '<b>x</b>'\ndisplay(T())")
    assert [(p.media_type, p.blobs) for p in host.pictures] == [("text/html", (b"<b>x</b>",))]


def test_environment_of_the_host_does_not_reach_the_guest(open_host, monkeypatch):
    monkeypatch.setenv("PINJRA_TEST_SECRET", "s3cret")
    host = open_host()
    assert host.run("import os\n'PINJRA_TEST_SECRET' in os.environ") is False


def test_bad_limits_are_refused_before_anything_starts(open_host):
    with pytest.raises(EOFError):
        open_host(limits={"wall_seconds": -1})
