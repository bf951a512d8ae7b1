"""A service with agents to look at, and Debian's Chromium to look with."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

SETTINGS = """
executors = ["jail"]
drain_seconds = 2
audit_log = "{runs}.audit.jsonl"
runs_folder = "{runs}"

[tenants.alice]
token = "{alice}"

[tenants.bob]
token = "{bob}"

[agents.analyst]
agent = "shown_agents:analyst"
description = "Reads tables."

[agents.hostile]
agent = "shown_agents:hostile"

[agents.names]
agent = "shown_agents:names"

[agents.lines]
agent = "shown_agents:long_output"

[agents.steps]
agent = "shown_agents:many_steps"

[agents.fast]
agent = "shown_agents:fast"

[agents.sums]
agent = "scripted_agents:sums"

[agents.endless]
agent = "scripted_agents:endless"

[agents.shouter]
agent = "scripted_agents:shouter"

[agents.waiting]
agent = "scripted_agents:waiting"
approval = "code"
"""


@pytest.fixture(scope="module")  # not longer: while it is open, this thread counts as one of an event loop
def browser():
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="there is no playwright: pip install playwright"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # The tests run as root in CI, where Chromium's own sandbox does not; what is tested is the page's and the service's.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service_settings():
    return SETTINGS


def until(page, expression):
    """Wait until an expression is true in the page, which itself evaluates no text."""
    deadline = time.monotonic() + 300
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def shows(place, text, *, exact=False):
    """Wait until a part of the page shows a text: what has just come into sight is laid out a frame later."""
    deadline = time.monotonic() + 60
    while True:
        seen = place.inner_text()
        if seen.strip() == text if exact else text in seen:
            return
        assert time.monotonic() < deadline, f"{text!r} is not shown: {seen!r}"
        place.page.wait_for_timeout(50)


class Visit:
    """A page of the service in a browser of its own. What its console says beside what a test expects is an error."""

    def __init__(self, browser, service, **options):
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.url = service.url
        self.page.goto(f"{self.url}/#token={service.alice}")
        self.page.get_by_label("What shall be done?").wait_for()

    def start(self, agent, task="a task"):
        """Give an agent a task by the form; return the run's id."""
        page = self.page
        page.get_by_label("What shall be done?").fill(task)
        page.get_by_label("Agent", exact=True).select_option(agent)
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/#/runs/*")
        return page.url.rpartition("/")[2]

    def ended(self):
        """Wait until the run has ended."""
        self.page.get_by_label("A further task").first.wait_for()

    def drop(self, place, **files):
        """Drag files over a place and let them go there. A keyword's `__` stands for the dot of a name."""
        given = {name.replace("__", "."): text for name, text in files.items()}
        held = self.page.evaluate_handle(
            """given => {
                const held = new DataTransfer();
                for (const [name, text] of Object.entries(given)) held.items.add(new File([text], name));
                return held;
            }""",
            given,
        )
        for kind in ("dragover", "drop"):
            place.dispatch_event(kind, {"dataTransfer": held})

    def go(self, place):
        """Open a place of the page."""
        self.page.goto(f"{self.url}/{place}")


@pytest.fixture
def visit(browser, service):
    """A visit by alice, whose console stays silent."""
    visit = Visit(browser, service)
    yield visit
    said = visit.said
    visit.context.close()
    assert said == [], said


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core from npm; skips where npm gives none."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core is fetched by npm, which is not here")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", "axe-core@4.14.1", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"npm gives no axe-core: {done.stderr[-200:]}")
    archive = next(folder.glob("*.tgz")).name
    subprocess.run(["tar", "-xzf", archive, "package/axe.min.js"], cwd=folder, check=True)
    return Path(folder, "package", "axe.min.js").read_text()
