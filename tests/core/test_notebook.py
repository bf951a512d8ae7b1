"""What a notebook shows of runs and artifacts: pictures, pages in frames that can do nothing, text that stays text."""

from __future__ import annotations

import base64
import html
import re

import pytest

from pinjra.core.execution import Artifact, ErrorKind, Execution, GuestError
from pinjra.core.guest_files import GuestFile
from pinjra.core.values import Opaque

HOSTILE = '"></iframe><script>alert(1)</script>'


def test_a_picture_is_a_picture() -> None:
    data = b"\x89PNG"
    shown = Artifact(media_type="image/png", data=data)._repr_html_()
    assert f'<img src="data:image/png;base64,{base64.b64encode(data).decode()}"' in shown


def test_a_drawing_with_a_script_is_shown_by_its_address_where_scripts_do_not_run() -> None:
    shown = Artifact(media_type="image/svg+xml", data=b"<svg><script>1</script></svg>")._repr_html_()
    assert "<script" not in shown
    assert shown.startswith('<img src="data:image/svg+xml;base64,')


def test_a_page_stays_in_a_frame_without_scripts_or_addresses() -> None:
    shown = Artifact(media_type="text/html", data=f"<b>bold</b>{HOSTILE}".encode())._repr_html_()
    assert re.fullmatch(r'<iframe sandbox="" srcdoc="[^"<>]*" style="[^"<>]*"></iframe>', shown)
    page = html.unescape(re.findall(r'srcdoc="([^"]*)"', shown)[0])
    assert page.startswith(
        '<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    )
    assert page.endswith(f"<b>bold</b>{HOSTILE}")


def test_other_artifacts_are_text() -> None:
    for media_type in ("text/markdown", "text/latex", "application/json", f"text/html;{HOSTILE}", HOSTILE):
        shown = Artifact(media_type=media_type, data=HOSTILE.encode())._repr_html_()
        assert shown.startswith("<pre ")
        assert "<script" not in shown


def test_a_run_shows_what_it_printed_its_value_its_files_and_its_notes() -> None:
    files = {"a<b": GuestFile(name="a<b", size=3, pieces=lambda: iter([b"123"]))}
    done = Execution(value=[1, "<i>"], stdout="10 %\r100 %\n", stderr="warned", files=files, notes=("a & b",))
    shown = html.unescape(re.sub("<[^>]*>", "", done._repr_html_()))
    assert shown == "100 %\nwarned\n[1, '<i>']\na & b\nFiles: a<b (3 bytes)"


def test_what_is_shown_stands_for_the_value_and_an_error_too() -> None:
    picture = Artifact(media_type="image/png", data=b"x")
    shown = Execution(value=Opaque("Figure", "<Figure>"), artifacts=(picture,))._repr_html_()
    assert shown == picture._repr_html_()
    error = GuestError(kind=ErrorKind.EXCEPTION, type="ValueError", message=HOSTILE)
    shown = Execution(value=None, error=error)._repr_html_()
    assert "ValueError" in shown
    assert "<script" not in shown


@pytest.mark.parametrize("traceback", ["", "line 1: import a"])
def test_an_error_is_shown_with_its_hint(traceback: str) -> None:
    error = GuestError(
        kind=ErrorKind.REFUSED,
        type="RefusedOperation",
        message="a",
        traceback=traceback,
        hint="<b> allows it",
    )
    shown = html.unescape(re.sub("<[^>]*>", "", Execution(value=None, error=error)._repr_html_()))
    assert shown == f"{traceback}\n{error}".lstrip()


def test_a_run_can_be_shown_whatever_its_value_is() -> None:
    number = 10**5000
    assert repr(Execution(value=number)).startswith(f"Execution(value={hex(number)}, stdout='', ")
    assert "its repr raised ValueError" in repr(Execution(value=[number]))
    assert repr(Execution(value="a", stdout="b\n")).startswith(
        "Execution(value='a', stdout='b\\n', stderr='', error=None"
    )
