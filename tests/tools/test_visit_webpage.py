"""VisitWebpageTool against a real server: what it reads, and every way into a private network that it refuses."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from pinjra.core.errors import ConfigurationError, ToolRefused
from pinjra.tools.fetch import FetchFailed
from pinjra.tools.library.markdown import markdown, plain_text
from pinjra.tools.library.visit_webpage import VisitWebpageTool


def visitor(site: Any, **options: Any) -> VisitWebpageTool:
    return VisitWebpageTool(allow_hosts=(f"127.0.0.1:{site.port}",), **options)


def at(site: Any, path: str) -> str:
    return f"http://127.0.0.1:{site.port}/{path}"


def test_a_page_becomes_markdown_without_its_scripts(site: Any) -> None:
    text = visitor(site)(at(site, "lincoln"))
    assert "# Abraham Lincoln\n\nHis preferred pet was a **dog** named [Fido](/fido)." in text
    assert "alert" not in text


@pytest.mark.parametrize("path", ["gzip", "deflate"])
def test_a_compressed_page_is_read(site: Any, path: str) -> None:
    assert "Abraham Lincoln" in visitor(site)(at(site, path))


@pytest.mark.parametrize(
    ("path", "text"),
    [("json", '{"a": [1, 2]}'), ("latin", "café"), ("meta", "日本"), ("zip-charset", "plain")],
)
def test_other_text_and_other_charsets_are_read(site: Any, path: str, text: str) -> None:
    assert visitor(site)(at(site, path)) == text


def test_a_redirect_is_followed(site: Any) -> None:
    assert "Abraham Lincoln" in visitor(site)(at(site, "redirect?/lincoln"))


def test_loopback_is_refused_unless_allowed_by_name(site: Any) -> None:
    with pytest.raises(ToolRefused) as caught:
        VisitWebpageTool()(at(site, "lincoln"))
    assert str(caught.value) == (
        f"127.0.0.1:{site.port} is not on the public internet (127.0.0.1: loopback); only public pages can be visited"
    )
    assert site.seen == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_every_spelling_of_loopback_is_refused(site: Any, host: str) -> None:
    with pytest.raises(ToolRefused, match=r"not on the public internet|is no URL"):
        VisitWebpageTool()(f"http://{host}:{site.port}/lincoln")
    assert site.seen == []


def test_an_allowed_port_does_not_open_the_others(site: Any, web: Any) -> None:
    with web.serve() as other:
        with pytest.raises(ToolRefused, match="not on the public internet"):
            visitor(site)(at(other, "lincoln"))
        assert other.seen == []


def test_a_redirect_to_a_private_address_is_refused(site: Any, web: Any) -> None:
    with web.serve() as secret:
        for target in (
            at(secret, "lincoln"),
            f"http://localhost:{secret.port}/",
            "http://169.254.169.254/latest/",
        ):
            with pytest.raises(ToolRefused, match="not on the public internet"):
                visitor(site)(at(site, f"redirect?{target}"))
        assert secret.seen == []


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.org/", "gopher://x/", "data:text/html,x"]
)
def test_a_redirect_to_another_scheme_is_refused(site: Any, target: str) -> None:
    with pytest.raises(ToolRefused, match=r"only http:// and https:// pages|no URL"):
        visitor(site)(at(site, f"redirect?{target}"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "only http:// and https:// pages can be visited, not 'file:///etc/passwd'"),
        ("example.org", "only http:// and https:// pages can be visited, not 'example.org'"),
        ("http://user:key@example.org/", "URLs with a user name or password in them cannot be visited"),
    ],
)
def test_what_is_no_web_page_is_refused(url: str, said: str) -> None:
    with pytest.raises(ToolRefused) as caught:
        VisitWebpageTool()(url)
    assert str(caught.value) == said


def test_a_name_is_resolved_once_and_the_answer_that_was_checked_is_the_one_connected_to(web: Any) -> None:
    """A name server that first gives an allowed answer and then loopback (DNS rebinding) gains nothing."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    with web.serve() as site:
        visit = VisitWebpageTool(resolver=rebinding, timeout_seconds=0.5)
        with pytest.raises(FetchFailed):
            visit(f"http://rebinding.example:{site.port}/lincoln")
        assert asked == ["rebinding.example"]
        with pytest.raises(ToolRefused, match=r"\(127.0.0.1: loopback\)"):
            visit(f"http://rebinding.example:{site.port}/lincoln")
        assert site.seen == []


def test_the_connection_goes_to_the_checked_address_under_the_pages_own_name(web: Any) -> None:
    """The server listens on 127.0.0.2, where the system's resolver would never send this name."""
    with web.serve("127.0.0.2") as site:
        visit = VisitWebpageTool(allow_hosts=["intranet.example"], resolver=lambda host, port: ["127.0.0.2"])
        assert "Abraham Lincoln" in visit(f"http://Intranet.example:{site.port}/lincoln#part")
        path, headers = site.seen[0]
        assert (path, headers["Host"]) == ("/lincoln", f"intranet.example:{site.port}")


def test_tls_is_checked_against_the_pages_own_name(
    web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("intranet.example").configure_cert(context)
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with web.serve(context=context) as site:
        allowed = ["intranet.example", "other.example"]
        visit = VisitWebpageTool(allow_hosts=allowed, resolver=lambda host, port: ["127.0.0.1"])
        assert "Abraham Lincoln" in visit(f"https://intranet.example:{site.port}/lincoln")
        assert names == ["intranet.example"]
        with pytest.raises(FetchFailed, match="certificate"):
            visit(f"https://other.example:{site.port}/lincoln")


def test_private_answers_among_public_ones_are_never_used(web: Any) -> None:
    with web.serve() as site:
        visit = VisitWebpageTool(
            resolver=lambda host, port: ["127.0.0.1", "::ffff:127.0.0.1", "8.8.8.8"], timeout_seconds=0.5
        )
        with pytest.raises(FetchFailed):
            visit(f"http://mixed.example:{site.port}/lincoln")
        assert site.seen == []


def test_a_proxy_of_the_environment_is_not_used(site: Any, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with web.serve() as proxy:
        monkeypatch.setenv("HTTP_PROXY", at(proxy, ""))
        monkeypatch.setenv("ALL_PROXY", at(proxy, ""))
        assert "Abraham Lincoln" in visitor(site)(at(site, "lincoln"))
        assert proxy.seen == []


def test_too_many_redirects_are_an_error(site: Any) -> None:
    with pytest.raises(FetchFailed, match="more than 5 redirects"):
        visitor(site)(at(site, "loop"))
    assert len(site.seen) == 6


def test_a_page_that_is_not_there_says_so(site: Any) -> None:
    with pytest.raises(FetchFailed, match=r"/nothing answered 404 Not Found$"):
        visitor(site)(at(site, "nothing"))


def test_a_picture_is_not_read_as_a_page(site: Any) -> None:
    with pytest.raises(FetchFailed, match=r"/png is 'image/png' \(4 bytes\), not a page of text$"):
        visitor(site)(at(site, "png"))


def test_a_huge_page_is_cut_at_the_limit(site: Any) -> None:
    page = visitor(site, max_bytes=50_000, max_output_length=10**9)(at(site, "big"))
    assert len(page) < 60_000
    assert page.endswith("\n… (cut: the page is larger than the limit)")


def test_a_long_text_is_cut_with_a_note(site: Any) -> None:
    page = visitor(site, max_output_length=100)(at(site, "long"))
    assert len(page) < 200
    assert page.endswith(" characters)")


def test_a_decompression_bomb_is_cut_before_it_grows(site: Any) -> None:
    page = visitor(site, max_bytes=100_000)._fetcher.get(at(site, "bomb"))
    assert (len(page.body), page.is_cut) == (100_000, True)


@pytest.mark.parametrize(("path", "said"), [("damaged", "is damaged"), ("brotli", "came compressed by 'br'")])
def test_an_unreadable_body_is_an_error(site: Any, path: str, said: str) -> None:
    with pytest.raises(FetchFailed, match=said):
        visitor(site)(at(site, path))


@pytest.mark.parametrize("path", ["slow", "drip"])
def test_a_page_that_never_ends_is_left_at_the_time_limit(site: Any, path: str) -> None:
    with pytest.raises(FetchFailed, match=r"was not read within 0.5 seconds"):
        visitor(site, timeout_seconds=0.5)(at(site, path))


def test_a_name_server_that_never_answers_is_left_at_the_time_limit(site: Any) -> None:
    def silent(host: str, port: int) -> list[str]:
        site.is_over.wait(300)
        return []

    with pytest.raises(FetchFailed, match=r"was not read within 0.2 seconds"):
        VisitWebpageTool(resolver=silent, timeout_seconds=0.2)("http://silent.example/")


def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.socket() as held, pytest.raises(FetchFailed, match="cannot be read"):
        held.bind(("127.0.0.1", 0))  # and does not listen
        VisitWebpageTool(allow_hosts=["127.0.0.1"])(f"http://127.0.0.1:{held.getsockname()[1]}/")


def test_a_page_made_to_stall_the_parser_becomes_plain_text_in_time(site: Any) -> None:
    assert visitor(site, timeout_seconds=2)(at(site, "hostile")) == "Title"


def test_a_small_page_made_to_become_a_large_one_is_left_in_time_too() -> None:
    tables = ("<table><tr>" + "<td colspan=1000>" * 3) * 60
    assert markdown(f"{tables}bottom", seconds=1) == "bottom"


def test_a_page_nested_too_deeply_becomes_plain_text(site: Any) -> None:
    assert visitor(site)(at(site, "deep")) == "bottom"


def test_plain_text_leaves_tags_scripts_and_entities_out() -> None:
    source = "a &lt; b<br/><script>if (x < 1) y > 2</script><p class='q'>c</p><STYLE>p{}</STYLE>d<a"
    assert plain_text(source).split() == ["a", "<", "b", "c", "d"]


def test_a_long_page_is_converted_as_a_short_one() -> None:
    part = "<h2>Part</h2><ul><li>one</li><li>two</li></ul>"
    assert markdown(part * 1000).count("## Part\n\n* one\n* two") == 1000


@pytest.mark.parametrize("bad", ["intranet", ("http://intranet/",), ("",)])
def test_a_wrong_allow_list_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="allow_hosts"):
        VisitWebpageTool(allow_hosts=bad)
