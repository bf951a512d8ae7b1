"""The other shipped tools, each against the real library or a real server."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from pinjra.core.errors import ConfigurationError, ToolRefused
from pinjra.tools.fetch import FetchFailed
from pinjra.tools.library.final_answer import FinalAnswerTool
from pinjra.tools.library.user_input import UserInputTool
from pinjra.tools.library.web_search import DuckDuckGoSearchTool, WebSearchTool
from pinjra.tools.library.wikipedia import WikipediaTool


def wiki(site: Any, **options: Any) -> WikipediaTool:
    host = f"127.0.0.1:{site.port}"
    return WikipediaTool(api_url=f"http://{host}/api", allow_hosts=[host], **options)


def article(extract: str) -> bytes:
    page = {
        "pageid": 1,
        "title": "Abraham Lincoln",
        "extract": extract,
        "fullurl": "https://en.wikipedia.org/wiki/A",
    }
    return json.dumps({"batchcomplete": True, "query": {"pages": [page]}}).encode()


def test_wikipedia_gives_title_text_and_source(site: Any) -> None:
    site.api_answer = article("The 16th president.\n\n== Life ==\nBorn in 1809.")
    assert wiki(site)("lincoln & dogs") == (
        "# Abraham Lincoln\n\nThe 16th president.\n\n== Life ==\nBorn in 1809.\n\nSource: https://en.wikipedia.org/wiki/A"
    )
    assert "gsrsearch=lincoln+%26+dogs" in site.seen[0][0].replace("%20", "+")
    assert "explaintext=1" in site.seen[0][0]


def test_wikipedia_gives_a_summary_as_markdown(site: Any) -> None:
    site.api_answer = article("<p>The <b>16th</b> president.</p>")
    text = wiki(site, content_type="summary", extract_format="HTML")("lincoln")
    assert "The **16th** president." in text
    assert "exintro=1" in site.seen[0][0]
    assert "explaintext" not in site.seen[0][0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'{"batchcomplete": true}', "Wikipedia has no article for 'q'; try other words."),
        (b'{"query": {"pages": [{"missing": true}]}}', "Wikipedia has no article for 'q'; try other words."),
    ],
)
def test_wikipedia_says_when_there_is_no_article(site: Any, answer: bytes, said: str) -> None:
    site.api_answer = answer
    assert wiki(site)("q") == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", "did not answer in JSON"),
        (b'{"error": {"code": "maxlag"}}', "answered with an error: .*maxlag"),
    ],
)
def test_wikipedia_answering_nonsense_is_an_error(site: Any, answer: bytes, said: str) -> None:
    site.api_answer = answer
    with pytest.raises(FetchFailed, match=said):
        wiki(site)("q")


def test_wikipedia_on_a_private_address_is_refused_unless_allowed(site: Any) -> None:
    with pytest.raises(ToolRefused, match="not on the public internet"):
        WikipediaTool(api_url=f"http://127.0.0.1:{site.port}/api")("q")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"user_agent": " "}, "user_agent is empty"),
        (
            {"language": "en.evil.example/"},
            "language must be a code like 'en' or 'pt-br', not 'en.evil.example/'",
        ),
        ({"content_type": "all"}, "content_type must be 'summary' or 'text', not 'all'"),
        ({"extract_format": "PDF"}, "extract_format must be 'WIKI' or 'HTML', not 'PDF'"),
    ],
)
def test_wrong_options_of_wikipedia_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WikipediaTool(**options)
    assert said in str(caught.value)


RESULTS = "".join(
    f'<div class="result body"><h2>Title {number}</h2><a href="https://example.org/{number}">Lincoln dog {number}</a></div>'
    for number in range(3)
)


@contextmanager
def search_engine(tmp_path: Path, body: str, host: str = "html.duckduckgo.com") -> Iterator[tuple[str, str]]:
    """Yield (proxy URL, certificate file) of a proxy that answers every CONNECT as `host` with one page."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    certificate = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificate))
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(65536)
                page = body.encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n"
                secured.sendall(head.encode() + b"Connection: close\r\n\r\n" + page)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                answer(connection)
            except OSError:
                continue

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", str(certificate)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_search_gives_titles_links_and_snippets(tmp_path: Path) -> None:
    with search_engine(tmp_path, RESULTS) as (proxy, certificate):
        text = WebSearchTool(max_results=2, proxy=proxy, verify=certificate)("lincoln dog")
    assert text.startswith("## Search Results\n\n[Title ")
    assert text.count("](https://example.org/") == 2


def test_the_search_is_there_under_the_name_and_parameters_that_users_know(tmp_path: Path) -> None:
    with search_engine(tmp_path, RESULTS) as (proxy, certificate):
        search = DuckDuckGoSearchTool(1, 0, timeout=5, proxy=proxy, verify=certificate)
        assert search("lincoln dog").count("](https://example.org/") == 1


def test_a_search_without_results_says_so(tmp_path: Path) -> None:
    with (
        search_engine(tmp_path, "<html></html>") as (proxy, certificate),
        pytest.raises(FetchFailed, match="the search for 'zzz' failed: No results found"),
    ):
        WebSearchTool(proxy=proxy, verify=certificate)("zzz")


def test_a_search_that_fails_does_not_tell_the_proxys_password() -> None:
    with socket.socket() as held, pytest.raises(FetchFailed) as caught:
        held.bind(("127.0.0.1", 0))  # and does not listen
        search = WebSearchTool(proxy=f"http://user:hunter2@127.0.0.1:{held.getsockname()[1]}")
        search("q")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(search)


def test_the_user_is_asked() -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "a dog"

    assert UserInputTool(ask)("Which pet?\x1b[2J") == "a dog"
    assert asked == ["Which pet?\N{REPLACEMENT CHARACTER}[2J\n> "]


def test_nobody_to_answer_is_an_empty_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert UserInputTool()("Anybody?") == ""


def test_the_final_answer_is_the_object_itself() -> None:
    value = object()
    assert FinalAnswerTool()(value) is value
    assert FinalAnswerTool()(answer={"answer": 1}) == {"answer": 1}


def test_a_search_tool_that_was_pickled_still_checks_and_waits() -> None:
    import pickle  # noqa: TID251 (of our own object)

    copied = pickle.loads(pickle.dumps(WebSearchTool(rate_limit=0.5)))
    copied.check_arguments(("words",), {})
    with pytest.raises(ToolRefused, match="must be a string"):
        copied.check_arguments((5,), {})
    assert copied._pace.seconds() == 0.0
    assert copied._pace.seconds() > 0.0
