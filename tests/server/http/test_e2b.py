"""E2B's own SDKs against this service: control plane, code, files and commands."""

from __future__ import annotations

import asyncio
import secrets
import shutil

import httpx
import pytest
from remote_standins import calls

from .conftest import ALICE, BOB

pytest.importorskip("e2b_code_interpreter", reason="the SDK of E2B is not installed", exc_type=ImportError)
pytest.importorskip("IPython", exc_type=ImportError)

from e2b import (
    AuthenticationException,
    CommandExitException,
    InvalidArgumentException,
    NotFoundException,
    SandboxException,
    SandboxQuery,
    TimeoutException,
)
from e2b.sandbox.commands.command_handle import PtySize
from e2b_code_interpreter import Sandbox

from pinjra.server.http.e2b.inside.children import Listener


def options(service, token=ALICE):
    return {"api_url": service, "sandbox_url": service, "api_key": token}


@pytest.fixture(scope="module")
def box(service):
    sandbox = Sandbox.create(**options(service))
    yield sandbox
    sandbox.kill()


@pytest.fixture
def own_box(service):
    sandbox = Sandbox.create(**options(service))
    yield sandbox
    sandbox.kill()


# ---------------------------------------------------------------- code


def test_variables_stay_and_the_last_expression_is_the_text(box):
    box.run_code("kept = 20")
    done = box.run_code("kept += 1\nkept")
    assert (done.text, done.error) == ("21", None)


def test_output_comes_by_stream_and_in_order(box):
    done = box.run_code("import sys\nprint('one')\nprint('two')\nprint('bad', file=sys.stderr)")
    assert ("".join(done.logs.stdout), "".join(done.logs.stderr)) == ("one\ntwo\n", "bad\n")


def test_callbacks_see_output_results_and_errors(box):
    seen = []
    box.run_code(
        "print('out')\ndisplay(1)\n1 / 0",
        on_stdout=lambda message: seen.append(("stdout", message.line)),
        on_result=lambda result: seen.append(("result", result.text)),
        on_error=lambda error: seen.append(("error", error.name)),
    )
    assert seen == [("stdout", "out\n"), ("result", "1"), ("error", "ZeroDivisionError")]


def test_an_error_has_name_value_and_traceback(box):
    error = box.run_code("def f():\n    return missing\nf()").error
    assert (error.name, error.value) == ("NameError", "name 'missing' is not defined")
    assert "----> 2     return missing" in error.traceback


def test_output_of_programs_stands_where_it_was_printed(box):
    done = box.run_code("print('a')\n!echo b\nprint('c')")
    assert "".join(done.logs.stdout) == "a\nb\nc\n"


def test_executions_are_counted(own_box):
    assert [own_box.run_code("1").execution_count for _ in range(3)] == [1, 2, 3]


def test_variables_of_the_environment_are_for_one_run(own_box):
    code = "import os\nos.environ.get('FOO', 'none')"
    assert [own_box.run_code(code, envs={"FOO": "bar"}).text, own_box.run_code(code).text] == ["bar", "none"]


def test_variables_of_the_sandbox_are_everywhere(service):
    with Sandbox.create(envs={"FOO": "bar"}, **options(service)) as box:
        assert box.run_code("import os\nos.environ['FOO']").text == "bar"
        assert box.run_code("echo $FOO", language="bash").logs.stdout == ["bar\n"]
        assert box.commands.run("echo $FOO").stdout == "bar\n"


def test_contexts_have_variables_of_their_own(box):
    context = box.create_code_context(cwd="/tmp")
    box.run_code("alone = 1", context=context)
    assert box.run_code("alone, __import__('os').getcwd()", context=context).text == "(1, '/tmp')"
    assert box.run_code("alone").error.name == "NameError"
    box.restart_code_context(context)
    assert box.run_code("alone", context=context).error.name == "NameError"
    box.remove_code_context(context)
    assert context.id not in [one.id for one in box.list_code_contexts()]


def test_a_context_that_dies_is_there_again(own_box):
    died = own_box.run_code("import os\nos._exit(1)")
    assert died.error.name == "ContextRestarting"
    assert own_box.run_code("1 + 1").text == "2"


def test_code_whose_client_has_left_is_interrupted(own_box):
    with pytest.raises(TimeoutException):
        own_box.run_code("n = 0\nwhile True:\n    n += 1", timeout=1)
    assert own_box.run_code("n > 0").text == "True"


def test_a_listener_whose_event_somebody_else_has_taken_waits_for_the_next():
    async def heard():
        listener = Listener()
        waiting = asyncio.ensure_future(listener.next(None))
        await asyncio.sleep(0)
        listener.put("stdout", b"taken")
        assert listener.events.popleft() == ("stdout", b"taken")
        for _ in range(3):
            await asyncio.sleep(0)
        listener.put("stdout", b"next")
        return await waiting

    assert asyncio.run(heard()) == ("stdout", b"next")


def test_a_cell_whose_sandbox_is_ended_meanwhile_says_so(own_box):
    def kill(output):
        own_box.kill()

    code = "import time\nprint('begun', flush=True)\ntime.sleep(300)"
    with pytest.raises(TimeoutException, match="sandbox was killed while the request was in progress"):
        own_box.run_code(code, on_stdout=kill)


def test_tables_pictures_and_charts_are_results(box):
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    table = box.run_code("import pandas\npandas.DataFrame({'a': [1, 2]})").results[0]
    assert (table.data, "<table" in table.html) == ({"a": [1, 2]}, True)
    figure = box.run_code(
        "import matplotlib.pyplot as plt\nplt.bar(['x', 'y'], [3, 4], label='g')\nplt.title('T')\nplt.show()"
    ).results[0]
    assert figure.png.startswith("iVBOR")
    assert [(bar.label, bar.group, bar.value) for bar in figure.chart.elements] == [
        ("x", "g", 3),
        ("y", "g", 4),
    ]


def test_boxes_have_the_same_numbers_whichever_way_they_lie_and_equal_bars_their_heights():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from pinjra.server.http.e2b.inside.charts import chart_of

    def elements(method, *values, **options):
        figure = Figure()
        getattr(figure.add_subplot(), method)(*values, **options)
        return chart_of(figure)["elements"]

    data = [[1, 2, 3, 9], [2, 3, 4, 6]]
    standing, lying = (
        elements("boxplot", data, patch_artist=True, orientation=way) for way in ("vertical", "horizontal")
    )
    assert standing == lying
    assert [(one["label"], one["median"], one["outliers"]) for one in lying] == [
        ("1", 2.5, [9.0]),
        ("2", 3.5, []),
    ]
    assert [bar["value"] for bar in elements("bar", ["x", "y"], [3, 3])] == [3, 3]


def test_code_of_an_unknown_language_is_an_error_that_names_the_known_ones(box):
    error = box.run_code("x", language="cobol").error
    assert (
        error.value
        == "language 'cobol' is not known; there are: python, bash, javascript, typescript, r, java"
    )


# ---------------------------------------------------------------- files and commands


def test_files_go_up_and_down(box):
    data = secrets.token_bytes(300_000)
    written = box.files.write("folder/data.bin", data)
    assert written.path == "/home/user/folder/data.bin"
    assert bytes(box.files.read("folder/data.bin", format="bytes")) == data
    assert [(one.name, one.size) for one in box.files.list("folder")] == [("data.bin", 300_000)]
    box.files.rename("folder/data.bin", "/tmp/data.bin")
    assert (box.files.exists("folder/data.bin"), box.files.exists("/tmp/data.bin")) == (False, True)
    box.files.remove("folder")
    assert not box.files.exists("folder")


def test_a_file_that_is_not_there_is_not_found(box):
    with pytest.raises(NotFoundException):
        box.files.read("nothing")


def test_a_watched_folder_tells_what_happens_in_it(box):
    box.files.make_dir("watched")
    handle = box.files.watch_dir("watched")
    box.commands.run("echo 1 > watched/a && rm watched/a")
    assert [(event.name, event.type.value) for event in handle.get_new_events()] == [
        ("a", "create"),
        ("a", "write"),
        ("a", "remove"),
    ]
    handle.stop()


def test_a_command_has_status_and_both_streams(box):
    with pytest.raises(CommandExitException) as raised:
        box.commands.run("echo out; echo err >&2; exit 3")
    assert (raised.value.exit_code, raised.value.stdout, raised.value.stderr) == (3, "out\n", "err\n")


def test_a_command_in_the_background_is_written_to_and_listed(box):
    command = box.commands.run("cat", background=True, stdin=True)
    assert command.pid in [one.pid for one in box.commands.list()]
    box.commands.send_stdin(command.pid, "hello")
    command.close_stdin()
    assert command.wait().stdout == "hello"


def test_a_command_ends_at_its_time(box):
    with pytest.raises(TimeoutException):
        box.commands.run("echo $$ > pid; sleep 60", timeout=1)
    with pytest.raises(CommandExitException):
        box.commands.run("while kill -0 $(cat pid); do sleep 0.05; done; exit 7")  # until it is gone


def test_a_command_that_prints_much_waits_for_its_reader(box):
    done = box.commands.run("head -c 20000000 /dev/zero | tr '\\0' x")
    assert len(done.stdout) == 20_000_000


def test_a_terminal_is_one(box):
    terminal = box.pty.create(PtySize(rows=24, cols=80), envs={"FOO": "bar"})
    box.pty.resize(terminal.pid, PtySize(rows=10, cols=77))
    box.pty.send_stdin(terminal.pid, b"test -t 0 && stty size && echo $FOO-$((40+2)); exit 3\n")
    seen = bytearray()
    with pytest.raises(CommandExitException) as raised:
        terminal.wait(on_pty=seen.extend)
    assert raised.value.exit_code == 3
    assert b"10 77\r\nbar-42\r\n" in seen


def test_a_server_of_the_box_is_reached_by_its_port(service, box):
    box.files.write("site/page", "served")
    command = box.commands.run("cd site && python3 -u -m http.server 8000 2>&1", background=True)
    next(iter(command))  # it says that it listens
    name = {"Host": f"8000-{box.sandbox_id}.pinjra.test"}
    with httpx.Client(base_url=service, headers=name, timeout=300) as client:
        assert client.get("/page").status_code == 403
        client.headers["E2B-Traffic-Access-Token"] = box.traffic_access_token
        assert client.get("/page").text == "served"
        client.headers["Host"] = f"8001-{box.sandbox_id}.pinjra.test"
        assert client.get("/page").json()["message"] == "The sandbox is running but port is not open"
    command.kill()


def test_an_address_of_a_file_that_is_signed_is_enough(box):
    box.files.write("signed.txt", "content")
    address = box.download_url("signed.txt", user="user")
    assert calls.get(address).text == "content"
    assert calls.get(address.replace("signed.txt", "other.txt")).status_code in (401, 404)
    late = calls.get(box.download_url("signed.txt", user="user", use_signature_expiration=-1))
    assert late.json() == {"code": 401, "message": "signature is already expired"}


# ---------------------------------------------------------------- control plane


def test_sandboxes_are_found_by_their_metadata_newest_first(service):
    mark = secrets.token_hex(8)
    boxes = [Sandbox.create(metadata={"mark": mark}, **options(service)) for _ in range(3)]
    pages = Sandbox.list(query=SandboxQuery(metadata={"mark": mark}), limit=2, api_url=service, api_key=ALICE)
    found = [one.sandbox_id for one in pages.next_items()]
    assert (len(found), pages.has_next) == (2, True)
    found += [one.sandbox_id for one in pages.next_items()]
    assert (found, pages.has_next) == ([box.sandbox_id for box in reversed(boxes)], False)
    assert all(box.kill() for box in boxes)
    assert not boxes[0].kill()


def test_a_sandbox_ends_at_its_time(own_box):
    before = own_box.get_info().end_at
    own_box.set_timeout(1000)
    assert own_box.get_info().end_at > before
    own_box.set_timeout(0)
    assert not own_box.is_running()


def test_a_paused_sandbox_goes_on_where_it_was(service, own_box):
    own_box.run_code("kept = 'still here'")
    command = own_box.commands.run("sleep 1000", background=True)
    own_box.pause()
    assert not own_box.is_running()
    again = Sandbox.connect(own_box.sandbox_id, **options(service))
    assert again.run_code("kept").text == "still here"
    assert command.pid in [one.pid for one in again.commands.list()]


def test_what_is_not_offered_is_refused_by_name(service):
    with pytest.raises(SandboxException, match="template 'my-own' not found"):
        Sandbox.create("my-own", **options(service))


# ---------------------------------------------------------------- who may


def test_a_wrong_token_opens_nothing(service):
    with pytest.raises(AuthenticationException):
        Sandbox.create(**options(service, "wrong-token-0123456789"))


def test_another_tenants_sandbox_is_not_there(service, box):
    for call in (Sandbox.kill, Sandbox.get_info, Sandbox.connect, Sandbox.pause):
        try:
            assert call(box.sandbox_id, **options(service, BOB)) is False
        except NotFoundException:
            continue
    assert box.is_running()


@pytest.mark.parametrize("port", ["49983", "49999", "8000", "host", "0", "99999999"])
def test_a_sandbox_answers_only_whoever_shows_its_token(service, box, port):
    for shown in ({}, {"X-Access-Token": "x" * 32}, {"X-API-Key": ALICE}, {"E2B-Traffic-Access-Token": "x"}):
        headers = {"E2b-Sandbox-Id": box.sandbox_id, "E2b-Sandbox-Port": port, **shown}
        for method, path in (
            ("GET", "/files?path=/tmp"),
            ("POST", "/execute"),
            ("POST", "/begin"),
            ("GET", "/contexts"),
        ):
            answer = calls.request(
                method, service + path, headers=headers, json={"code": "1", "variables": {}}
            )
            assert answer.status_code in (401, 403, 502), (method, path, shown)


def test_an_unsound_argument_is_the_clients_fault(box):
    with pytest.raises(InvalidArgumentException):
        box.files.list("folder", depth=0)


@pytest.mark.parametrize(
    ("language", "program", "cells", "text"),
    [
        ("js", "node", ["const { sep } = await import('path')\nlet n = 20", "n + 1"], "21"),
        ("js", "node", ["import { join } from 'path'", "join('a', 'b')"], "a/b"),
        ("java", "jshell", ["int n = 20;", "n + 1"], "21"),
        ("r", "Rscript", ["n <- c(20, 1)", "sum(n)"], "[1] 21"),
    ],
)
def test_other_languages_keep_their_variables(box, language, program, cells, text):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    *first, last = cells
    for cell in first:
        assert box.run_code(cell, language=language).error is None
    assert box.run_code(last, language=language).text == text


def test_r_prints_shows_fails_and_has_the_variables_of_one_run(box):
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    done = box.run_code("print('out')\nmessage('err')\n1 + 1\n'ü\\n\"'", language="r")
    assert ("".join(done.logs.stdout), "".join(done.logs.stderr)) == ('[1] "out"\n', "err\n")
    assert [(each.text, each.is_main_result) for each in done.results] == [
        ("[1] 2", False),
        ('[1] "ü\\n\\""', True),
    ]
    assert box.run_code("stop('no')", language="r").error.value == "no"
    assert box.run_code("1 +", language="r").error is not None
    assert box.run_code("Sys.getenv('ODD')", language="r", envs={"ODD": 'it\'s "b"'}).text == (
        '[1] "it\'s \\"b\\""'
    )
    assert box.run_code("Sys.getenv('ODD', 'gone')", language="r").text == '[1] "gone"'


def test_what_javascript_throws_is_an_error(box):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    error = box.run_code("throw new TypeError('no')", language="js").error
    assert (error.name, error.value) == ("TypeError", "no")
    assert box.run_code("1 + 1", language="js").text == "2"


def test_a_service_of_the_box_that_is_not_there_answers_at_once(service, box):
    shown = {"E2B-Traffic-Access-Token": box.traffic_access_token, "E2b-Sandbox-Id": box.sandbox_id}
    for port in range(9000, 9040):
        answer = calls.get(service + "/", headers={**shown, "E2b-Sandbox-Port": str(port)})
        assert answer.json()["message"] == "The sandbox is running but port is not open"
