"""The page in a real browser: a task is given, watched, steered, looked into, played again."""

from __future__ import annotations

import json
import re

from .conftest import shows, until


def test_a_task_is_given_and_watched_to_its_answer(visit):
    page = visit.page
    page.locator("input[type=file]").set_input_files(
        {"name": "sales.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"}
    )
    page.get_by_text("sales.csv 8 B").wait_for()
    visit.start("analyst", "Plot revenue by month")
    page.get_by_role("heading", name="Plot revenue by month").wait_for()
    page.locator(".writing").first.wait_for()  # the model's text as it comes
    page.locator("details.plan", has_text="Read the table").wait_for()
    visit.ended()
    step = page.get_by_label("Step 1", exact=True)
    shows(step.locator(".code"), "import pandas as pd")
    shows(step.locator(".code .t-k").first, "import", exact=True)
    shows(step.locator(".output .a2"), "read 6 months", exact=True)
    assert step.locator("thead th").all_inner_texts()[1:] == ["month", "units", "price", "revenue"]
    plot = page.get_by_label("Step 2", exact=True).locator("img.picture")
    plot.scroll_into_view_if_needed()
    until(page, "document.querySelector('img.picture').naturalWidth > 300")
    shows(page.get_by_label("Step 3", exact=True).locator(".problem"), "revenu")
    shows(page.get_by_label("Step 4", exact=True).locator(".output"), f"asking {'█' * 20} 100 %", exact=True)
    call = page.get_by_label("Step 4", exact=True).locator("details.call").first
    shows(call.locator("summary"), "exchange_rate(currency=USD) → 1.17", exact=True)
    writer = page.get_by_label("Step 5", exact=True).locator("details.call").first
    writer.locator("summary").first.click()
    writer.locator("details.nested > summary").click()
    writer.get_by_text("I put it into one sentence.").wait_for()
    shows(page.get_by_label("Answer", exact=True).last, "1,890 € or 2,211 $")
    figures = page.locator(".run .figures").inner_text()
    assert re.search(r"steps\s*5", figures) and "tokens" in figures and "cost" in figures


def test_files_are_dropped_on_a_task_a_session_and_the_replay(visit):
    page = visit.page
    visit.drop(page.locator("form.task"), sales__csv="a,b\n1,2\n", more__txt="x")
    page.get_by_text("sales.csv 8 B").wait_for()
    page.get_by_role("button", name="Leave out more.txt").click()
    run = visit.start("sums")
    visit.ended()
    page.get_by_role("link", name="Session", exact=True).click()
    files = page.get_by_label("Files")
    files.get_by_role("button", name="sales.csv").wait_for()
    assert files.get_by_role("button", name="more.txt").count() == 0
    visit.drop(files, later__txt="later")
    with page.expect_download() as downloaded:
        files.get_by_role("button", name="later.txt").click()
    with open(downloaded.value.path(), "rb") as file:
        assert file.read() == b"later"
    visit.go("#/replay")
    visit.drop(page.locator(".drop.big"), lines__jsonl="\n".join(map(json.dumps, LINES)))
    page.get_by_role("heading", name="from lines").wait_for()
    assert run not in page.url


def test_a_file_that_code_wrote_is_downloaded(visit):
    page = visit.page
    visit.start("sums")
    visit.ended()
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="out.txt").click()
    assert downloaded.value.suggested_filename == "out.txt"
    with open(downloaded.value.path(), "rb") as file:
        assert file.read() == b"kept"


def test_code_is_approved_changed_and_refused(visit):
    page = visit.page
    visit.start("waiting")
    page.get_by_label("Reason to refuse").fill("not like that")
    page.get_by_role("button", name="Refuse").click()
    page.get_by_text("refused: not like that").first.wait_for()
    page.get_by_label("Code to approve").fill("final_answer('changed by hand')")
    page.get_by_role("button", name="Approve the change").click()
    page.get_by_label("Answer", exact=True).get_by_text("changed by hand").wait_for()
    shows(page.get_by_label("Step 2", exact=True), "Code changed")


def test_a_tool_call_is_approved_with_other_arguments(visit):
    page = visit.page
    page.get_by_text("Options").click()
    page.get_by_label("Ask me before").select_option("tools")
    visit.start("shouter")
    page.get_by_label("Arguments to approve").fill("softly")
    page.get_by_role("button", name="Approve the change").click()
    page.get_by_text("Arguments are written as JSON.").wait_for()
    page.get_by_label("Arguments to approve").fill('{"text": "softly"}')
    page.get_by_role("button", name="Approve the change").click()
    page.get_by_label("Answer", exact=True).get_by_text("SOFTLY").wait_for()


def test_a_run_is_interrupted_and_goes_on(visit):
    page = visit.page
    visit.start("endless")
    page.get_by_label("Step 2", exact=True).locator(".code").wait_for()
    page.get_by_role("button", name="Interrupt").click()
    page.get_by_text("interrupted", exact=True).first.wait_for()
    page.get_by_role("button", name="Go on with the same task").click()
    page.get_by_label("Answer", exact=True).get_by_text("5").wait_for()


def test_a_further_task_goes_on_in_the_same_session(visit):
    page = visit.page
    visit.start("sums")
    visit.ended()
    page.get_by_label("A further task").fill("and one more")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("heading", name="and one more").wait_for()
    page.get_by_label("Answer", exact=True).get_by_text("43").wait_for()


def test_a_step_with_other_code_runs_in_a_branch_beside_the_first(visit):
    page = visit.page
    visit.start("sums", "branch")
    visit.ended()
    page.get_by_label("Step 2", exact=True).get_by_role("button", name="Edit and run again").click()
    page.get_by_label("Other code for step 2").fill("final_answer(x * 100)")
    page.get_by_role("button", name="Run in a branch").click()
    page.wait_for_url("**/beside/*")
    columns = page.locator(".beside > .run")
    columns.nth(1).get_by_label("Answer", exact=True).get_by_text("2000").wait_for()
    assert columns.nth(0).get_by_label("Answer", exact=True).inner_text().endswith("42")
    assert columns.nth(1).get_by_label("Step 1", exact=True).count() == 0


def test_a_session_shows_its_variables_files_and_limits_and_has_a_console(visit):
    page = visit.page
    visit.start("analyst", "for its session")
    visit.ended()
    page.get_by_role("link", name="Session", exact=True).click()
    variables = page.locator("section[aria-label=Variables]")
    variables.get_by_role("button", name="sales").click()
    page.get_by_text("1–6 of 6").wait_for()
    console = page.get_by_label("Code to run")
    console.fill("len(sales)")
    console.press("Enter")
    page.locator(".console .value").get_by_text("6").wait_for()
    console.fill("for n in range(2):\n    print('line', n)")
    console.press("Control+Enter")
    page.locator(".console .output").get_by_text("line 1").wait_for()
    console.fill(r'print("all 0 %\npart 0 %\n\x1b[2Aall 9 %\n\x1b[31mpart 50 %\x1b[0m")')
    console.press("Enter")
    bars = page.locator(".console .output", has_text="all")
    shows(bars, "all 9 %\npart 50 %")
    shows(bars.locator(".a1"), "part 50 %", exact=True)
    console.press("ArrowUp")
    console.press("ArrowUp")
    assert console.input_value().startswith("for n")
    more = {"name": "more.txt", "mimeType": "text/plain", "buffer": b"more"}
    page.locator(".drop input[type=file]").set_input_files(more)
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="more.txt").click()
    assert downloaded.value.suggested_filename == "more.txt"
    held = page.get_by_label("What holds it").inner_text()
    assert "kernel" in held and " s of 30 s" in held and "of 64.0 MiB" in held
    page.get_by_role("button", name="End the session").click()
    page.get_by_role("heading", name="Sessions").wait_for()


def test_a_run_is_played_again_step_by_step(visit):
    page = visit.page
    run = visit.start("sums", "again")
    visit.ended()
    visit.go(f"#/replay/{run}")
    for _ in range(3):
        page.get_by_role("button", name="Step back").click()
    assert page.locator(".step.done").count() == 0
    page.get_by_role("button", name="Next step").click()
    assert page.locator(".step.done").count() == 1
    page.get_by_label("Speed").select_option("64")
    page.get_by_role("button", name="Play").click()
    page.get_by_label("Answer", exact=True).get_by_text("42").wait_for()


AUDIT = [
    {"time": 1.0, "kind": "code", "run": "r", "agent": "a", "step": 1, "code": "look()"},
    {
        "time": 2.0,
        "kind": "tool_call",
        "run": "r",
        "agent": "a",
        "step": 1,
        "call": "c",
        "tool": "look",
        "arguments": {},
    },
    {"time": 3.0, "kind": "refusal", "run": "r", "agent": "a", "step": 1, "reason": "not here"},
]
TEAM = {"time": 1.0, "run": "r", "agent": "manager", "step": 1}
HELPER = {"run": "h", "agent": "helper", "step": 1}
TEAMS_AUDIT = [
    {**TEAM, "kind": "code", "code": "helper('look')"},
    {**TEAM, "kind": "tool_call", "call": "c", "tool": "helper", "arguments": {"task": "look"}},
    {**HELPER, "time": 2.0, "kind": "code", "code": "final_answer('deep')"},
    {
        **TEAM,
        "time": 3.0,
        "kind": "tool_return",
        "call": "c",
        "tool": "helper",
        "result": "deep",
        "seconds": 2,
    },
    {**TEAM, "time": 4.0, "step": 2, "kind": "limit", "message": "out of time"},
]
WHERE = {"run_id": "r", "agent": "a", "depth": 0, "parent": None}
LINES = [
    {"event": "RunStarted", **WHERE, "step": 0, "task": "from lines"},
    {"event": "FinalAnswer", **WHERE, "step": 1, "value": 7},
]


def test_saved_runs_json_lines_and_audit_logs_are_played_from_files(visit, service):
    page = visit.page
    run = visit.start("sums", "to be saved")
    visit.ended()
    with service.client() as client:
        memory = client.get(f"/v1/runs/{run}/memory").content
    files = (
        (memory, "x += 22"),
        ("\n".join(map(json.dumps, AUDIT)).encode(), "refused: not here"),
        ("\n".join(map(json.dumps, LINES)).encode(), "from lines"),
        (b"{}", "no saved run of Pinjra"),
    )
    for data, expected in files:
        visit.go("#/")
        page.get_by_label("What shall be done?").wait_for()
        visit.go("#/replay")
        file = {"name": "f", "mimeType": "text/plain", "buffer": data}
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_text(expected).first.wait_for()


# Before the browser has drawn the view, so before any effect of it has run.
FIRST_FRAME = """text => {
    File.prototype.text = async () => text;
    addEventListener("hashchange", async () => {
        let input = null;
        for (let turn = 0; !input && turn < 1000; turn++) input = await document.querySelector(".drop.big input");
        const held = new DataTransfer();
        held.items.add(new File([text], "f"));
        input.files = held.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
    });
    location.hash = "#/replay";
}"""


def test_a_file_that_is_chosen_in_a_views_first_frame_is_played(visit):
    visit.page.evaluate(FIRST_FRAME, "\n".join(map(json.dumps, LINES)))
    visit.page.get_by_text("from lines").first.wait_for()


def test_an_audit_log_shows_a_teams_runs_below_their_calls_and_all_as_over(visit):
    page = visit.page
    visit.go("#/replay")
    visit.drop(page.locator(".drop.big"), audit__jsonl="\n".join(map(json.dumps, TEAMS_AUDIT)))
    first, second = page.get_by_label("Step 1", exact=True), page.get_by_label("Step 2", exact=True)
    second.get_by_text("limit: out of time").wait_for()
    call = first.locator("details.call")
    shows(call.locator("summary").first, "helper(task=look) → deep", exact=True)
    call.locator("summary").first.click()
    call.locator("details.nested > summary").click()
    shows(call.get_by_label("helper, step 1"), "final_answer('deep')")
    assert page.locator(".pulse, .badge.live").count() == 0


def test_a_services_audit_log_shows_each_session_and_what_ran_in_it(visit, service):
    page = visit.page
    with service.client() as client:
        session = client.post("/v1/sessions", json={}).json()["id"]
        for code in ("print(1)", "1/0"):
            client.post(f"/v1/sessions/{session}/runs", json={"code": code})
        client.delete(f"/v1/sessions/{session}")
    log = (service.settings.parent / "runs.audit.jsonl").read_text()
    lines = [line for line in log.splitlines() if session in line or '"request"' in line]
    visit.go("#/replay")
    visit.drop(page.locator(".drop.big"), audit__jsonl="\n".join(lines))
    page.get_by_role("heading", name=f"Session {session}").wait_for()
    run = page.locator(".step", has=page.locator(".code"))
    shows(run.nth(0).locator(".code"), "print(1)", exact=True)
    assert "opened: tenant alice, executor jail" in run.nth(0).locator(".output").text_content()
    assert run.nth(1).locator(".problem").text_content() == "ended by exception"
    page.get_by_text("method POST, path /v1/sessions, status 201").wait_for()


def test_a_run_is_saved_as_one_file_that_needs_nothing_else(visit, browser, tmp_path):
    page = visit.page
    visit.start("analyst", "to be kept")
    visit.ended()
    page.get_by_text("More", exact=True).click()
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Save as one HTML file").click()
    path = tmp_path / "run.html"
    downloaded.value.save_as(path)
    alone = browser.new_context(offline=True)
    shown = alone.new_page()
    said = []
    shown.on("console", lambda message: said.append(message.text))
    shown.goto(path.as_uri())
    shows(shown.get_by_label("Answer", exact=True).last, "1,890 €")
    shows(shown.locator(".files"), "revenue.png")
    shown.locator("img.picture").scroll_into_view_if_needed()
    until(shown, "document.querySelector('img.picture').naturalWidth > 300")
    assert said == [] and "<script" not in path.read_text()
    alone.close()


def figure(page, name):
    """The figure of that name on the machine's page."""
    return page.locator(".figures div", has_text=name).locator("dd").inner_text()


def bar(page, title, name):
    """A row of one of the lists on the machine's page."""
    return page.locator("section", has_text=title).locator("li", has_text=name)


def test_the_machine_shows_sessions_verdicts_and_failures(visit, service):
    page = visit.page
    visit.go("#/node")
    page.get_by_text("sessions open").wait_for()
    page.get_by_role("heading", name="Runs a second").wait_for()  # two looks have passed
    assert figure(page, "verdicts a second") == "0.0"
    with service.client() as client:
        for code in ("print(1)", "print(2)", "1/0"):
            client.post("/run_code", json={"code": code, "language": "python"})
    bar(page, "Verdicts, by kind", "ok").get_by_text("2", exact=True).wait_for()
    bar(page, "Verdicts, by kind", "exception").get_by_text("1", exact=True).wait_for()
    bar(page, "Runs that failed, by kind", "exception").wait_for()
    assert float(figure(page, "verdicts a second")) > 0
    assert "MiB" in figure(page, "memory of the service")


def test_the_page_goes_on_when_the_service_comes_back(visit, service):
    page = visit.page
    visit.start("endless", "over a restart")
    page.get_by_label("Step 2", exact=True).locator(".code").wait_for()
    service.restart(kill=True)
    page.get_by_text("the service ended while this run went on").first.wait_for()
    page.get_by_role("button", name="Go on with the same task").click()
    page.locator(".badge.live").first.wait_for()
    page.get_by_role("button", name="Interrupt").click()
    page.get_by_label("A further task").wait_for()
    visit.said.clear()  # that connections failed meanwhile was to be


def test_a_service_that_wants_a_token_asks_for_it(browser, service):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{service.url}/")
    page.get_by_label("Your token").fill("wrong-token-0123456789")
    page.get_by_role("button", name="Enter").click()
    page.get_by_text("Nobody has this token.").wait_for()
    page.get_by_label("Your token").fill(service.alice)
    page.get_by_role("button", name="Enter").click()
    page.get_by_label("What shall be done?").wait_for()
    assert service.alice not in page.url
    context.close()
