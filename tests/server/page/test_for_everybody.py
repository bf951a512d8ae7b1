"""The page by keyboard, for screen readers, on small screens, dark and light, with much to show."""

from __future__ import annotations

import pytest

from .conftest import Visit, shows, until


def serious(page, axe):
    """What axe finds that is serious or worse, as lines: every rule on the light page, and of the dark one its colours."""
    page.emulate_media(color_scheme="light")
    found = page.evaluate(f"async () => {{ {axe}; return (await axe.run(document)).violations }}")
    page.emulate_media(color_scheme="dark")
    found += page.evaluate("async () => (await axe.run(document, {runOnly: ['color-contrast']})).violations")
    return [
        f"{each['id']}: {each['help']} {[node['target'] for node in each['nodes']][:3]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def test_axe_finds_nothing_serious(browser, service, axe):
    visit = Visit(browser, service, bypass_csp=True)
    page = visit.page
    found = {"start": serious(page, axe)}
    visit.start("waiting")
    page.get_by_label("Code to approve").wait_for()
    found["approval"] = serious(page, axe)
    page.get_by_role("button", name="Approve").click()
    visit.ended()
    visit.go("#/")
    run = visit.start("analyst", "for everybody")
    visit.ended()
    page.get_by_label("Step 2", exact=True).get_by_role("button", name="Edit and run again").click()
    found["run"] = serious(page, axe)
    page.get_by_role("link", name="Session", exact=True).click()
    page.get_by_role("row", name="sales").wait_for()
    found["session"] = serious(page, axe)
    for place, text in (
        ("#/sessions", "Open a session"),
        ("#/node", "sessions open"),
        (f"#/replay/{run}", "Step back"),
    ):
        visit.go(place)
        page.get_by_text(text).first.wait_for()
        found[place] = serious(page, axe)
    visit.context.close()
    assert {place: lines for place, lines in found.items() if lines} == {}


@pytest.mark.parametrize("place", ["#/", "run", "#/sessions", "#/replay", "#/node", "session"])
def test_nothing_is_wider_than_a_small_screen(browser, service, place):
    visit = Visit(browser, service)
    page = visit.page
    page.set_viewport_size({"width": 360, "height": 740})
    if place in ("run", "session"):
        visit.start("analyst" if place == "session" else "hostile", "wide " * 30)
        visit.ended()
    if place == "session":
        page.get_by_role("link", name="Session", exact=True).click()
        page.get_by_role("row", name="sales").wait_for()
    elif place != "run":
        visit.go(place)
        page.locator("main h1").first.wait_for()
    width = page.evaluate("document.documentElement.scrollWidth")
    visit.context.close()
    assert width <= 360


def test_a_task_is_given_and_approved_by_keyboard_alone(visit):
    page = visit.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.get_by_label("What shall be done?").focus()
    page.keyboard.type("by keyboard")
    page.get_by_label("Agent", exact=True).focus()
    page.keyboard.type("waiting")
    page.get_by_label("What shall be done?").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Code to approve").wait_for()
    page.get_by_label("Code to approve").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Answer", exact=True).get_by_text("ran").wait_for()


def test_news_is_told_to_those_who_listen(visit):
    page = visit.page
    visit.start("waiting")
    page.locator("[aria-live=polite]", has_text="Code waits for your approval.").wait_for(state="attached")
    page.get_by_role("button", name="Approve").click()
    page.locator("[aria-live=polite]", has_text="The run has ended.").wait_for(state="attached")


def test_ten_thousand_lines_are_shown_and_reached(visit):
    page = visit.page
    visit.start("lines")
    visit.ended()
    output = page.locator(".output")
    shows(output.locator(".chunk").last, "line 9999 of many")
    assert output.evaluate("box => box.scrollTop") == 0  # the end: it is laid out from there
    output.evaluate("box => box.scrollTop = -box.scrollHeight")
    assert output.locator(".chunk").first.text_content().startswith("line 0 of many")


def test_two_hundred_steps_are_shown(visit):
    page = visit.page
    run = visit.start("steps")
    page.get_by_label("Answer", exact=True).wait_for(timeout=120_000)
    visit.go("#/")
    visit.go(f"#/runs/{run}")
    page.get_by_label("Step 200", exact=True).wait_for()
    assert page.locator(".step").count() == 200


def test_a_live_run_is_followed_to_its_end_unless_somebody_looks_elsewhere(visit):
    page = visit.page
    at_end = "innerHeight + scrollY > document.documentElement.scrollHeight - 120"
    visit.start("analyst")
    page.get_by_label("Step 3", exact=True).wait_for()
    until(page, f"scrollY > 0 && {at_end}")
    page.evaluate("scrollTo(0, 0)")
    visit.ended()
    assert page.evaluate("scrollY") == 0


def test_a_thousand_events_a_second_are_all_shown(visit):
    page = visit.page
    visit.start("fast")
    page.get_by_label("Answer", exact=True).wait_for(timeout=60_000)
    prose = page.get_by_label("Step 1", exact=True).locator(".prose").first
    shows(prose, "word2999")
    shown = prose.inner_text()
    assert shown.startswith("word0 word1 ") and shown.rstrip().endswith("word2999")
