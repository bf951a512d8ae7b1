"""`pinjra mcp`: a real server process, spoken to by the SDK's own client over both transports."""

from __future__ import annotations

import asyncio
import base64
import os
import select
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import mcp
import pytest
from remote_standins import calls

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
from pinjra.core.limits import Limits
from pinjra.executors.registry import create_executor
from pinjra.server.mcp import serve
from pinjra.tools.collection import ToolCollection
from processes import descendants, watches

PATIENCE_SECONDS = 240  # a server is a new Python that imports an SDK: slow where other tests hold all cores
TOKEN = "a-token-of-enough-characters"


def starts(name: str) -> bool:
    """Return False only where this machine cannot have the executor; a broken one fails the tests."""
    try:
        create_executor(name).close()
    except ExecutorUnavailable:
        return False
    except Exception:
        return True
    return True


STARTS = [name for name in ("local", "jail") if starts(name)]


def command(**options: Any) -> list[str]:
    script = (
        f"from pinjra.core.limits import Limits\nfrom pinjra.server.mcp import serve\nserve(**{options!r})"
    )
    return [sys.executable, "-W", "ignore", "-c", script]


@contextmanager
def http_server(**options: Any) -> Iterator[str]:
    line = command(transport="http", port=0, **options)
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().removeprefix("pinjra mcp: ").strip()
        finally:
            process.terminate()
            process.wait(300)


def stdio_parameters(**options: Any) -> mcp.StdioServerParameters:
    line = command(transport="stdio", **options)
    return mcp.StdioServerParameters(command=line[0], args=line[1:])


def talk(server: Any, conversation: Callable[[mcp.Client], Awaitable[Any]], mode: str = "auto") -> Any:
    async def main() -> Any:
        async with mcp.Client(server, mode=mode) as client:
            return await conversation(client)

    return asyncio.run(asyncio.wait_for(main(), PATIENCE_SECONDS))


def text_of(result: Any) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


@pytest.fixture(scope="module", params=STARTS)
def executor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[str], str]]:
    """What returns the URL of an executor's server: one for the whole file."""
    options = {"authorized_imports": ["PIL", "matplotlib"], "max_sessions": 200}
    with ExitStack() as servers:
        yield cache(lambda executor: servers.enter_context(http_server(executor=executor, **options)))


@pytest.fixture
def url(executor: str, served: Callable[[str], str]) -> str:
    return served(executor)


# Transports know nothing of executors: one executor is spoken to in every way. On stdio each test takes a new server: those do
# that a stream of one client could break.
WAYS = ("http", "http with sessions")
PLACES = [*((STARTS[-1], way) for way in WAYS), *((name, "http") for name in STARTS[:-1])]
ON_STDIO = pytest.mark.parametrize("place", [(STARTS[-1], "stdio"), *PLACES], ids="-".join, indirect=True)


@pytest.fixture(params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest, served: Callable[[str], str]) -> tuple[Any, str]:
    executor, way = request.param
    if way == "stdio":
        return stdio_parameters(executor=executor), "auto"
    return served(executor), "legacy" if way == "http with sessions" else "auto"


def session_of(result: Any) -> str:
    last = text_of(result).splitlines()[-1]
    return last.removeprefix("[session ").removesuffix("]").removesuffix(", new")


async def endless_run(client: mcp.Client, session: str, **arguments: object) -> asyncio.Future[Any]:
    """Return a call whose run has begun and does not end by itself. Over HTTP, calls arrive in any order."""
    begun = asyncio.Event()

    async def on_progress(*_progress: object) -> None:
        begun.set()

    code = "print('begun', flush=True)\nwhile True: pass"
    asked = {"code": code, "session": session, **arguments}
    call = asyncio.ensure_future(client.call_tool("run_python", asked, progress_callback=on_progress))
    await begun.wait()
    return call


def test_values_that_json_has_no_words_for_come_back(url: str) -> None:
    async def conversation(client: mcp.Client) -> None:
        for code, said in (
            ("10**5000", "[value]\n0x"),
            ("float('nan')", "[value]\nnan"),
            ("'half ' + chr(0xd83d)", "half \\ud83d"),
        ):
            result = await client.call_tool("run_python", {"code": code})
            assert not result.is_error
            assert said in text_of(result)

    talk(url, conversation)


@ON_STDIO
def test_code_runs_and_state_files_and_errors_come_back(place: tuple[Any, str]) -> None:
    async def conversation(client: mcp.Client) -> None:
        first = await client.call_tool("run_python", {"code": "x = 20\nprint('hello')\nx + 1"})
        session = session_of(first)
        assert text_of(first) == f"hello\n[value]\n21\n[session {session}, new]"
        assert not first.is_error
        second = await client.call_tool("run_python", {"code": "x", "session": session})
        assert text_of(second) == f"[value]\n20\n[session {session}]"

        failed = await client.call_tool("run_python", {"code": "print('before')\n1 / 0", "session": session})
        assert failed.is_error
        assert text_of(failed).startswith("before\n[error]\n")
        assert "ZeroDivisionError: division by zero" in text_of(failed)
        refused = await client.call_tool("run_python", {"code": "import ctypes", "session": session})
        assert refused.is_error
        assert "ctypes" in text_of(refused)

        put = await client.call_tool("put_file", {"name": "a/b.txt", "text": "grün", "session": session})
        assert text_of(put) == f"wrote a/b.txt (5 bytes)\n[session {session}]"
        raw = base64.b64encode(b"\xff\x00").decode()
        await client.call_tool("put_file", {"name": "raw", "base64": raw, "session": session})
        listed = await client.call_tool("list_files", {"session": session})
        assert [line.split() for line in text_of(listed).splitlines()] == [["5", "a/b.txt"], ["2", "raw"]]
        got = await client.call_tool("get_file", {"name": "a/b.txt", "session": session})
        assert text_of(got) == "grün"
        got = await client.call_tool("get_file", {"name": "raw", "session": session})
        assert text_of(got) == f"base64:{raw}"
        missing = await client.call_tool("get_file", {"name": "none", "session": session})
        assert missing.is_error
        assert "there is no file 'none'" in text_of(missing)
        outside = await client.call_tool("get_file", {"name": "../../etc/passwd", "session": session})
        assert outside.is_error

        await client.call_tool("reset_session", {"session": session})
        gone = await client.call_tool("run_python", {"code": "x", "session": session})
        assert "NameError" in text_of(gone)
        assert text_of(await client.call_tool("list_files", {"session": session})) == "no files"
        closed = await client.call_tool("close_session", {"session": session})
        assert text_of(closed) == f"session {session} is closed"

    server, mode = place
    talk(server, conversation, mode)


@ON_STDIO
def test_what_a_run_prints_is_told_while_it_runs(place: tuple[Any, str]) -> None:
    """The program ends only after the client, having seen its first line, stops it: so the line came before the end."""

    async def conversation(client: mcp.Client) -> None:
        session = session_of(await client.call_tool("run_python", {"code": "x = 5"}))
        seen: list[str] = []
        told = asyncio.Event()

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            seen.append(message or "")
            if seen[-1].endswith("\n"):  # a line may come in pieces
                told.set()

        endless = {"code": "print('begun', flush=True)\nwhile True: pass", "session": session}
        running = asyncio.ensure_future(
            client.call_tool("run_python", endless, progress_callback=on_progress)
        )
        await told.wait()
        assert "".join(seen) == "begun\n"
        assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        seen.clear()
        whole = {"code": "for n in range(3):\n    print(n)", "session": session}
        result = await client.call_tool("run_python", whole, progress_callback=on_progress)
        assert text_of(result) == f"0\n1\n2\n[session {session}]"
        assert "".join(seen) == "0\n1\n2\n"

    server, mode = place
    talk(server, conversation, mode)


def test_pictures_come_as_images(place: tuple[Any, str]) -> None:
    async def conversation(client: mcp.Client) -> None:
        code = "from PIL import Image\nImage.new('RGB', (2, 3), 'red')"
        result = await client.call_tool("run_python", {"code": code})
        images = [block for block in result.content if block.type == "image"]
        assert [image.mime_type for image in images] == ["image/png"], text_of(result)
        assert base64.b64decode(images[0].data).startswith(b"\x89PNG")

    server, mode = place
    if not isinstance(server, str):
        server = stdio_parameters(executor="local", authorized_imports=["PIL.*", "PIL"])
    talk(server, conversation, mode)


def test_sessions_do_not_see_each_other(place: tuple[Any, str]) -> None:
    async def conversation(client: mcp.Client) -> None:
        first = session_of(await client.call_tool("run_python", {"code": "x = 1"}))
        server, mode = place
        if isinstance(server, str):

            async def other(client: mcp.Client) -> Any:
                return await client.call_tool(
                    "run_python", {"code": "x", "session": "" if mode == "auto" else first}
                )

            async with mcp.Client(server, mode=mode) as second:
                assert "NameError" in text_of(await other(second))
        else:
            result = await client.call_tool("run_python", {"code": "x", "session": "other"})
            assert "NameError" in text_of(result)
            names = text_of(await client.call_tool("list_sessions", {}))
            assert names.splitlines() == ["main", "other"]

    server, mode = place
    talk(server, conversation, mode)


def test_a_run_ends_at_the_time_it_was_given(place: tuple[Any, str]) -> None:
    async def conversation(client: mcp.Client) -> None:
        result = await client.call_tool("run_python", {"code": "while True: pass", "wall_seconds": 0.3})
        assert result.is_error
        after = await client.call_tool("run_python", {"code": "1 + 1", "session": session_of(result)})
        assert "[value]\n2" in text_of(after)

    server, mode = place
    talk(server, conversation, mode)


def test_a_client_cannot_ask_for_more_time_than_the_server_gives(executor: str) -> None:
    line = command(transport="stdio", executor=executor)
    line[-1] = line[-1].replace("serve(**{", "serve(**{'limits': Limits(wall_seconds=0.3), ")

    async def conversation(client: mcp.Client) -> None:
        result = await client.call_tool("run_python", {"code": "while True: pass", "wall_seconds": 1000})
        assert result.is_error

    talk(mcp.StdioServerParameters(command=line[0], args=line[1:]), conversation)


@ON_STDIO
def test_a_cancelled_call_stops_the_run(place: tuple[Any, str]) -> None:
    async def conversation(client: mcp.Client) -> None:
        session = session_of(await client.call_tool("run_python", {"code": "x = 5"}))
        running = await endless_run(client, session)
        listing = await client.call_tool("list_sessions", {})
        assert not listing.is_error
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        after = await client.call_tool("run_python", {"code": "x", "session": session})
        assert "[value]\n5" in text_of(after)

    server, mode = place
    talk(server, conversation, mode)


@ON_STDIO
def test_cancelling_a_call_that_waits_leaves_the_run_before_it_alone(place: tuple[Any, str]) -> None:
    async def conversation(client: mcp.Client) -> None:
        session = session_of(await client.call_tool("run_python", {"code": "x = 5"}))
        running = await endless_run(client, session, wall_seconds=1.5)
        waiting = asyncio.ensure_future(client.call_tool("run_python", {"code": "x = 6", "session": session}))
        await client.call_tool("list_sessions", {})
        waiting.cancel()
        assert "interrupted" not in text_of(await running)
        after = await client.call_tool("run_python", {"code": "x", "session": session})
        assert "[value]\n5" in text_of(after)

    server, mode = place
    talk(server, conversation, mode)


def test_one_client_cannot_occupy_all_of_the_server(url: str) -> None:
    async def conversation(client: mcp.Client) -> None:
        session = session_of(await client.call_tool("run_python", {"code": "x = 5"}))
        endless = {"code": "while True: pass", "session": session, "wall_seconds": 1}
        calls = [client.call_tool("run_python", endless) for _ in range(8)]
        said = [text_of(result) for result in await asyncio.gather(*calls)]
        assert sum("4 calls are in progress in session" in text for text in said) == 4

    talk(url, conversation)


def test_a_session_that_is_not_there_is_told(url: str) -> None:
    async def conversation(client: mcp.Client) -> None:
        result = await client.call_tool("run_python", {"code": "1", "session": "guessed"})
        assert result.is_error
        assert "there is no session 'guessed'" in text_of(result)
        result = await client.call_tool("list_files", {})
        assert "say which session" in text_of(result)

    talk(url, conversation)


@ON_STDIO
def test_a_file_that_opens_a_session_says_that_it_is_new(place: tuple[Any, str]) -> None:
    async def conversation(client: mcp.Client) -> None:
        first = await client.call_tool("put_file", {"name": "a.txt", "text": "1"})
        session = session_of(first)
        assert text_of(first) == f"wrote a.txt (1 bytes)\n[session {session}, new]"
        again = await client.call_tool("put_file", {"name": "a.txt", "text": "1", "session": session})
        assert text_of(again) == f"wrote a.txt (1 bytes)\n[session {session}]"
        run = {"code": "for n in range(60): open(f'f{n}', 'w').close()", "session": session}
        many = text_of(await client.call_tool("run_python", run))
        assert many.count("[file] ") == 50
        assert "[note] 10 more files were written; list_files names them" in many

    server, mode = place
    talk(server, conversation, mode)


def test_wrong_arguments_are_told(place: tuple[Any, str]) -> None:
    async def conversation(client: mcp.Client) -> None:
        for name, arguments in [
            ("run_python", {"code": 5}),
            ("run_python", {"code": "1", "wall_seconds": -1}),
            ("put_file", {"name": "x"}),
            ("put_file", {"name": "x", "base64": "no base64!"}),
            ("put_file", {"name": "x", "text": "a", "base64": "YQ=="}),
        ]:
            result = await client.call_tool(name, arguments)
            assert result.is_error, (name, arguments)

    server, mode = place
    talk(server, conversation, mode)


def test_our_own_collection_of_tools_can_use_the_server(url: str) -> None:
    with ToolCollection.from_mcp(url, trust_remote_code=True) as collection:
        run = next(tool for tool in collection.tools if tool.name == "run_python")
        assert run(code="6 * 7").startswith("[value]\n42\n[session ")


def test_a_web_page_cannot_speak_to_the_server(url: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Accept": "application/json, text/event-stream"}
    port = url.split(":")[2].split("/")[0]
    for extra, status in [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://127.0.0.1.evil.example:{port}"}, 403),
        ({"Host": f"evil.example:{port}"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
    ]:
        assert calls.post(url, json=body, headers={**headers, **extra}).status_code == status, extra


def test_a_token_is_wanted_where_one_is_set() -> None:
    with http_server(executor="local", token=TOKEN) as url:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            assert calls.post(url, json=body, headers=headers).status_code == 401
        server = {"url": url, "headers": {"Authorization": f"Bearer {TOKEN}"}}
        with ToolCollection.from_mcp(server, trust_remote_code=True) as collection:
            assert "run_python" in {tool.name for tool in collection.tools}


@pytest.mark.parametrize("how", ["the input ends", "it is told to"])
def test_the_server_leaves_no_process_behind(executor: str, how: str) -> None:
    line = command(transport="stdio", executor=executor)
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        hello = (
            '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", '
            '"capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}\n'
        )
        process.stdin.write(hello)
        process.stdin.flush()
        assert '"serverInfo"' in process.stdout.readline()
        children = watches(descendants(process.pid))
        if how == "the input ends":
            process.stdin.close()
            assert process.wait(300) == 0
        else:
            process.send_signal(signal.SIGTERM)
            assert process.wait(300) == 128 + signal.SIGTERM
    for child in children:
        with os.fdopen(child):
            ready, _, _ = select.select([child], [], [], 20)  # readable once the process has ended
            assert ready == [child]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"transport": "smoke"}, "transport= takes 'stdio' or 'http', not the text 'smoke'"),
        ({"authorized_imports": "numpy"}, "authorized_imports= takes several texts, .* not the text 'numpy'"),
        ({"token": 5}, "token= takes a text, or None, not 5"),
        ({"limits": {"wall_seconds": 5}}, "limits= takes Limits"),
        ({"max_session": 5}, "did you mean max_sessions="),
        ({"transport": "http", "host": "0.0.0.0"}, "other machines can reach 0.0.0.0: set a token"),
        ({"transport": "http", "token": "short"}, "the token has fewer than 16 characters"),
        ({"max_sessions": 0}, "max_sessions and idle_seconds must be above 0"),
        ({"executor": "nowhere"}, "there is no executor 'nowhere'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        serve(**options)


def test_an_executor_that_this_machine_cannot_give_is_told_at_the_start() -> None:
    with pytest.raises((ExecutorUnavailable, ConfigurationError)):
        serve(executor="local", executor_kwargs={"nothing": 1}, limits=Limits())
