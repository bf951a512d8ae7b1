"""What guests, models, tools and files say cannot do anything to the page, wherever it is shown."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from remote_standins import calls

from .conftest import shows

OWNED = "document.title='owned'"
SOCKET = """new Promise((ok, no) => {
    const socket = new WebSocket('ws://127.0.0.1:1');
    socket.onopen = ok;
    socket.onerror = () => no(new TypeError());
})"""
HOSTILE = f'<img src=x onerror="{OWNED}"><script>{OWNED}</script>'


def still_ours(page):
    """Assert that nothing has run and nothing became markup."""
    assert page.title().endswith("· Pinjra")
    assert page.locator("main script, main img[src=x], main a[href^=javascript]").count() == 0


def test_hostile_text_is_text_in_every_place_of_a_run(visit):
    page = visit.page
    visit.start("hostile", HOSTILE)
    visit.ended()
    still_ours(page)
    for place in ("h1", "details.plan", ".step .prose", ".step .code", ".step .output", ".call summary", ".step pre.value",
                  ".step pre.problem", ".answer", ".files"):  # fmt: skip
        shows(page.locator(place).first, "<img src=x onerror")
    page.locator(".call summary").first.click()
    shows(page.locator(".call dd").first, HOSTILE)
    visit.go("#/")
    page.get_by_text(HOSTILE).first.wait_for()
    still_ours(page)


def played(visit, *lines):
    """Show lines of events that somebody has written."""
    where = {"run_id": "r", "agent": "a", "depth": 0, "parent": None, "step": 1}
    visit.go("#/replay")
    data = "\n".join(json.dumps({**where, **line}) for line in lines).encode()
    file = {"name": "f", "mimeType": "text/plain", "buffer": data}
    visit.page.locator("input[type=file]").set_input_files(file)


TERMINAL = (
    ("\x1b]0;owned\x07\x1b]8;;javascript:1\x07link\x1b]8;;\x07", "link"),  # titles and links
    ("\x1b[2J\x1b[999;999Hhere\x1bP+q544e\x1b\\\x1b[?1049h", "here"),
    ("one\rtwo\n10 %\r50 %\r100 %\x1b[K\r\x1b[Kdone", "two\ndone"),
    ("first\nsecond\n\x1b[2AFIRST\n\n", "FIRST\nsecond\n"),
    ("\u202eevil\u202c \x00 \x9b31m \ufeff", "\\u202eevil\\u202c \u2400 \\x9b31m \\ufeff"),
    ("\x1b[38;2;1;2;3mdeep\x1b[0m \x1b[31mred\x1b[0m \x1b", "deep red "),
    ("a\x1b[", "a"),
    ("\x1b[5G|\x1b[999999999G|", "    |"),
)


@pytest.mark.parametrize(("printed", "seen"), TERMINAL, ids=range(len(TERMINAL)))
def test_output_is_what_a_terminal_would_leave_and_steers_nothing(visit, printed, seen):
    page = visit.page
    played(
        visit,
        {"event": "RunStarted", "task": "t"},
        {"event": "OutputText", "stream": "stdout", "text": printed},
    )
    page.locator(".step").wait_for()
    assert page.locator(".output").evaluate("box => box.textContent") == seen
    assert page.locator(".output a").count() == 0
    still_ours(page)


def test_html_and_svg_stand_in_frames_that_run_nothing_and_reach_nothing(visit):
    page = visit.page
    visit.start("hostile")
    visit.ended()
    frames = page.locator(".step iframe")
    assert frames.count() == 2
    for number in range(2):
        frames.nth(number).scroll_into_view_if_needed()
        assert frames.nth(number).get_attribute("sandbox") == ""
    page.frame_locator(".step iframe >> nth=0").get_by_role("heading", name="page").wait_for()
    still_ours(page)


@pytest.fixture
def visit(visit):
    """A visit whose browser may say that it kept a guest's page from something."""
    yield visit
    visit.said[:] = [each for each in visit.said if not is_refusal(each)]


def is_refusal(said):
    """Whether the browser says that it kept a guest's page from something."""
    refused = (
        "Blocked script execution",
        "violates the following Content Security Policy",
        "Unsafe attempt",
        "Loading the image",
    )
    return any(word in said for word in refused)


def test_scripts_that_a_person_let_run_stay_in_their_frame_without_network(visit):
    page = visit.page
    visit.start("hostile")
    visit.ended()
    page.get_by_label("let its scripts run, in the frame, without network").check()
    frame = page.locator(".step iframe").first
    assert frame.get_attribute("sandbox") == "allow-scripts"
    frame.scroll_into_view_if_needed()
    page.frame_locator(".step iframe >> nth=0").get_by_role("heading", name="page").wait_for()
    still_ours(page)
    inside = frame.element_handle().content_frame()
    assert inside.title() == "owned"  # they did run
    for attempt in (
        "parent.document",
        "fetch('/v1/runs')",
        "localStorage.length",
        SOCKET,
    ):
        told = inside.evaluate(
            f"async () => {{ try {{ await {attempt}; return 'reached' }} catch (error) {{ return error.name }} }}"
        )
        assert told in ("SecurityError", "TypeError"), attempt
    visit.said[:] = []


def test_a_hostile_file_name_downloads_as_a_plain_name(visit):
    page = visit.page
    visit.start("hostile")
    visit.ended()
    with page.expect_download() as downloaded:
        page.locator(".files button").first.click()
    assert "/" not in downloaded.value.suggested_filename and ".." not in downloaded.value.suggested_filename
    still_ours(page)


NAMES = {
    "\u202egnp.exe.txt": "\\u202egnp.exe.txt",
    "two\nlines\tand more.csv": "two\u240alines\u2409and more.csv",
    "a  b.txt": "a \u2423b.txt",
    "<b onmouseover=alert(1)>.html": "<b onmouseover=alert(1)>.html",
    "a&amp;b.txt": "a&amp;b.txt",
    "\u200bnothing.txt": "\\u200bnothing.txt",
}


def test_names_of_files_are_shown_as_one_line_without_tricks(visit):
    page = visit.page
    visit.drop(page.locator("form.task"), **dict.fromkeys(NAMES, "x"))
    listed = page.locator("form.task .files li")
    assert {" ".join(text.removesuffix("\xd7").split()) for text in listed.all_inner_texts()} == {
        f"{shown} 1 B" for shown in NAMES.values()
    }
    for _ in NAMES:
        page.get_by_role("button", name="Leave out").first.click()
    visit.start("names")
    visit.ended()
    assert set(page.locator(".files button").all_inner_texts()) == set(NAMES.values())
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="two\u240alines").click()
    assert "\n" not in downloaded.value.suggested_filename
    with open(downloaded.value.path(), "rb") as file:
        assert file.read() == b"x"
    still_ours(page)


def test_a_huge_title_leaves_room_for_the_run(visit):
    page = visit.page
    visit.start("sums", "T" * 5_000 + " and so on" * 2_000)
    visit.ended()
    assert page.locator(".run h1").bounding_box()["height"] < 300
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    visit.go("#/")
    page.locator(".runs .task").first.wait_for()
    assert page.locator(".runs .task").first.bounding_box()["height"] < 60


def test_hostile_variables_and_results_are_text_in_a_session(visit, service):
    page = visit.page
    with service.client() as client:
        session = client.post("/v1/sessions", json={}).json()["id"]
        class_ = f"class Bad:\n    def __repr__(self): return {HOSTILE!r}\nbad = Bad()\ntext = {HOSTILE!r}"
        client.post(f"/v1/sessions/{session}/runs", json={"code": class_})
        client.put(f"/v1/sessions/{session}/files/<img src=x onerror=alert(1)>.txt", content=b"x")
    visit.go(f"#/sessions/{session}")
    page.get_by_role("row", name="text str").wait_for()
    console = page.get_by_label("Code to run")
    console.fill("print(text); bad")
    console.press("Enter")
    page.locator(".console .value").wait_for()
    shows(page.locator(".console .value"), HOSTILE)
    shows(page.locator(".variables"), HOSTILE)
    shows(page.locator(".files"), "<img src=x onerror=alert(1)>.txt")
    still_ours(page)


def test_a_hostile_saved_run_is_text_too(visit):
    page = visit.page
    where = {"run_id": HOSTILE, "agent": HOSTILE}
    artifact = {"media_type": "text/html", "name": HOSTILE, "frame": f"javascript:parent.{OWNED}", "size": 1}
    figures = {"seconds": 1, "input_tokens": 1, "output_tokens": 1}
    played(
        visit,
        {"event": "RunStarted", **where, "task": HOSTILE},
        {"event": "CodeReady", **where, "code": HOSTILE, "thought": HOSTILE},
        {"event": "ToolCalled", **where, "call": "c", "name": HOSTILE, "arguments": {HOSTILE: HOSTILE}},
        {
            "event": "StepFinished",
            **where,
            **figures,
            "error": HOSTILE,
            "notes": [HOSTILE],
            "artifacts": [artifact],
        },
    )
    page.get_by_role("heading", name=HOSTILE).wait_for()
    still_ours(page)


def test_an_exported_run_runs_nothing_of_a_guest(visit, browser, tmp_path):
    page = visit.page
    visit.start("hostile", HOSTILE)
    visit.ended()
    page.get_by_text("More", exact=True).click()
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Save as one HTML file").click()
    path = tmp_path / "run.html"
    downloaded.value.save_as(path)
    alone = browser.new_context()
    shown = alone.new_page()
    asked = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(path.as_uri())
    shown.frame_locator("iframe >> nth=0").get_by_role("heading", name="page").wait_for()
    assert "owned" not in shown.title().replace(HOSTILE, "")
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "about"}
    alone.close()


def test_the_page_and_what_it_frames_have_strict_policies(service):
    page = calls.get(f"{service.url}/")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
    for kind, start in (("script", "<script>"), ("style", "<style>")):
        text = page.text.partition(start)[2].partition(f"</{kind}>")[0]
        hashed = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{hashed}'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "http" not in page.text.partition("<style>")[0].replace("http-equiv", "").replace(
        "http://www.w3.org/2000/svg", ""
    )
    assert page.headers["x-content-type-options"] == "nosniff"


def test_the_page_comes_in_one_answer_and_asks_for_nothing_but_data(browser, service):
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(service.url).partition("#")[0]))
    page.goto(f"{service.url}/#token={service.alice}")
    page.get_by_label("What shall be done?").wait_for()
    context.close()
    assert sorted({address for address in asked if not address.startswith("data:")}) == [
        "/",
        "/v1/agents",
        "/v1/runs",
    ]


def test_a_run_that_the_address_names_is_asked_for_once_and_let_go_when_somebody_leaves(visit, service):
    page = visit.page
    run = visit.start("endless")
    page.locator(".step").first.wait_for()  # this page has asked for all that it wants, which is not counted
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(service.url).partition("#")[0]))
    page.reload()
    page.locator(".step").first.wait_for()
    events = f"/v1/runs/{run}/events"
    assert asked.count(events) == 1
    # it was still open
    with page.expect_event("requestfailed", lambda request: request.url.endswith(events)):
        page.get_by_role("link", name="Tasks").click()
    with service.client() as client:
        client.delete(f"/v1/runs/{run}")


@pytest.mark.parametrize(
    "name", ["x", "../run.json", "..%2frun.json", "events.jsonl", f"{'0' * 32}.png", f"{'0' * 32}.html"]
)
def test_frames_show_artifacts_only(service, name):
    with service.client() as client:
        run = client.post("/v1/agents/sums/runs", json={"task": "t"}).json()["id"]
    assert calls.get(f"{service.url}/frames/{run}/{name}").status_code == 404


def test_a_frame_cannot_be_shown_by_another_sites_page(service):
    with service.client() as client:
        body = {"task": "t", "files": {"a": base64.b64encode(b"x").decode()}, "stream": True}
        with client.stream("POST", "/v1/agents/hostile/runs", json=body) as answer:
            frames = [line for line in answer.iter_lines() if "/frames/" in line]
    frame = json.loads(frames[0].removeprefix("data: "))["artifacts"][0]["frame"]
    answer = calls.get(service.url + frame)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;") and "frame-ancestors 'self'" in policy and "script-src" not in policy
    assert calls.get(service.url + frame, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
