"""Agents over HTTP: tasks, events, approval, interrupting and going on, branches, files, restarts."""

from __future__ import annotations

import base64

import pytest
from remote_standins import calls

ALICE = "alice-token-0123456789"


def names(events):
    return [name for name, _ in events]


def test_the_agents_of_the_settings_are_listed(alice):
    listed = alice.get("/v1/agents").json()
    assert [agent["name"] for agent in listed["agents"]] == [
        "sums",
        "shouter",
        "endless",
        "team",
        "reader",
        "busy",
        "planner",
        "waiting",
    ]
    assert listed["executors"] == ["jail"]


def test_a_run_tells_everything_as_it_comes_and_its_end_last(alice, begin, follow):
    events = list(follow(alice, begin("sums", "twenty and twenty-two")))
    assert names(events)[0] == "RunStarted" and names(events)[-3:] == ["FinalAnswer", "RunFinished", "end"]
    by_name = dict(events)
    said = "".join(data["text"] for name, data in events if name == "ModelDelta")
    assert "I begin with twenty." in said
    assert "".join(d["text"] for n, d in events if n == "OutputText") == "twenty 20\n"
    assert by_name["FinalAnswer"]["value"] == "42"
    assert by_name["end"]["state"] == "success" and by_name["end"]["money"] > 0
    assert 'pinjra_agent_runs_total{state="success",tenant="alice"}' in alice.get("/metrics").text
    assert by_name["end"]["files"] == [{"name": "out.txt", "size": 4}]


def test_a_reader_that_lost_its_connection_goes_on_where_it_was(alice, begin, follow):
    run = begin("sums")
    whole = list(follow(alice, run))
    first = follow(alice, run)
    seen = [next(iter(first)), next(iter(first))]
    assert seen + list(follow(alice, run, first.last)) == whole


@pytest.mark.parametrize("number", ["7", "999999999", "-1", "x"])
def test_a_number_that_no_event_has_is_refused(alice, begin, follow, number):
    run = begin("sums")
    list(follow(alice, run))
    assert alice.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": number}).status_code == 400


def test_a_task_may_bring_files_and_variables_and_stream_at_once(alice):
    body = {
        "task": "t",
        "files": {"in.csv": base64.b64encode(b"a\n1\n").decode()},
        "variables": {"n": 3},
        "stream": True,
    }
    with alice.stream("POST", "/v1/agents/sums/runs", json=body) as answer:
        text = "".join(answer.iter_text())
    assert "event: RunStarted" in text and "event: end" in text
    run = answer.headers["Location"]
    session = alice.get(run).json()["session"]
    assert alice.get(f"/v1/sessions/{session}/files/in.csv").content == b"a\n1\n"
    assert alice.post(f"/v1/sessions/{session}/runs", json={"code": "n + x"}).json()["value"] == 45


def test_files_that_code_wrote_are_had_as_attachments(alice, begin, follow):
    run = begin("sums")
    list(follow(alice, run))
    answer = alice.get(f"/v1/runs/{run}/files/out.txt")
    assert (answer.content, answer.headers["content-disposition"]) == (b"kept", "attachment")
    assert alice.get(f"/v1/runs/{run}/files/other").status_code == 404


def test_other_tenants_see_no_run_and_steer_none(alice, bob, begin, follow):
    run = begin("sums")
    list(follow(alice, run))
    assert bob.get("/v1/runs").json() == {"runs": []}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("POST", "/interrupt"), ("POST", "/resume"),
                         ("GET", "/files/out.txt"), ("GET", "/memory"), ("POST", "/branches")):  # fmt: skip
        body = {"step": 1, "code": "1"} if path == "/branches" else {}
        assert bob.request(method, f"/v1/runs/{run}{path}", json=body).status_code == 404, path


def test_code_waits_for_a_persons_word(alice, begin, follow):
    run = begin("waiting")
    asked = follow(alice, run).until("ApprovalAsked")
    assert (asked["kind"], asked["code"]) == ("code", "final_answer('ran')")
    decision = f"/v1/runs/{run}/decisions/{asked['key']}"
    assert alice.post(decision, json={"decision": "edit"}).status_code == 400
    assert alice.post(decision, json={"decision": "approve"}).status_code == 204
    assert alice.post(decision, json={"decision": "approve"}).status_code == 404
    assert follow(alice, run).until("FinalAnswer")["value"] == "ran"


def test_what_a_person_refuses_does_not_run_and_the_model_sees_why(alice, begin, follow):
    run = begin("waiting")
    asked = follow(alice, run).until("ApprovalAsked")
    alice.post(f"/v1/runs/{run}/decisions/{asked['key']}", json={"decision": "refuse", "reason": "too rash"})
    events = follow(alice, run)
    assert "too rash" in events.until("StepFinished")["error"]
    again = events.until("ApprovalAsked")
    edited = {"decision": "edit", "code": "final_answer('mine')"}
    alice.post(f"/v1/runs/{run}/decisions/{again['key']}", json=edited)
    assert events.until("CodeReady")["code"] == "final_answer('mine')"
    assert events.until("FinalAnswer")["value"] == "mine"


def test_a_tool_call_waits_and_its_arguments_may_be_changed(alice, begin, follow):
    run = begin("shouter", approval="tools")
    events = follow(alice, run)
    asked = events.until("ApprovalAsked")
    assert (asked["kind"], asked["name"], asked["arguments"]) == ("tool", "shout", {"text": "hello"})
    edited = {"decision": "edit", "arguments": {"text": "other"}}
    alice.post(f"/v1/runs/{run}/decisions/{asked['key']}", json=edited)
    assert events.until("FinalAnswer")["value"] == "OTHER"


def test_a_client_cannot_ask_for_less_approval_than_the_settings(alice, begin, follow):
    run = begin("waiting", approval="tools")
    assert alice.get(f"/v1/runs/{run}").json()["approval"] == "all"
    assert alice.put(f"/v1/runs/{run}/approval", json={"approval": ""}).json()["approval"] == "code"
    alice.post(f"/v1/runs/{run}/interrupt")
    assert follow(alice, run).until("RunFinished")["state"] == "interrupted"


def test_a_run_is_interrupted_and_goes_on_with_its_variables(alice, begin, follow):
    run = begin("endless")
    events = follow(alice, run)
    events.until("OutputText")
    events.until("CodeReady")
    assert alice.post(f"/v1/runs/{run}/resume", json={}).status_code == 400
    assert alice.post(f"/v1/runs/{run}/interrupt").status_code == 204
    assert events.until("end")["state"] == "interrupted"
    assert alice.post(f"/v1/runs/{run}/resume", json={}).status_code == 200
    assert follow(alice, run, events.last).until("FinalAnswer")["value"] == "5"


def test_a_further_task_finds_the_variables_of_the_first(alice, begin, follow):
    run = begin("sums")
    list(follow(alice, run))
    assert alice.post(f"/v1/runs/{run}/resume", json={"task": "and one"}).status_code == 200
    events = list(follow(alice, run))
    assert [data["value"] for name, data in events if name == "FinalAnswer"] == ["42", "43"]


def test_a_step_with_other_code_is_a_branch_in_a_fork_of_the_session_as_it_was(alice, begin, follow):
    run = begin("sums")
    list(follow(alice, run))
    assert alice.get(f"/v1/runs/{run}").json()["snapshots"] == [1, 2]
    body = {"step": 2, "code": "final_answer(x * 100)", "goes_on": False}
    answer = alice.post(f"/v1/runs/{run}/branches", json=body)
    assert answer.status_code == 201, answer.text
    branch = answer.json()
    assert (branch["parent"], branch["branch_step"]) == (run, 2)
    assert follow(alice, branch["id"]).until("FinalAnswer")["value"] == "2000"
    session = alice.get(f"/v1/runs/{run}").json()["session"]
    assert alice.post(f"/v1/sessions/{session}/runs", json={"code": "x"}).json()["value"] == 42
    assert alice.post(f"/v1/runs/{run}/branches", json={"step": 9, "code": "1"}).status_code == 400


def test_a_branch_that_stops_after_its_step_can_go_on_later(alice, begin, follow):
    run = begin("sums")
    list(follow(alice, run))
    body = {"step": 1, "code": "x = 1", "goes_on": False}
    branch = alice.post(f"/v1/runs/{run}/branches", json=body).json()["id"]
    assert follow(alice, branch).until("end")["state"] == "interrupted"


def test_a_branch_of_a_run_with_a_plan_does_not_plan_again(alice, begin, follow):
    run = begin("planner")
    list(follow(alice, run))
    body = {"step": 2, "code": "final_answer(x + 6)"}
    branch = alice.post(f"/v1/runs/{run}/branches", json=body).json()["id"]
    events = list(follow(alice, branch))
    assert "PlanMade" not in names(events)
    assert [data["value"] for name, data in events if name == "FinalAnswer"] == ["7"]


def test_managed_agents_say_whom_they_work_for(alice, begin, follow):
    events = list(follow(alice, begin("team")))
    deep = next(data for name, data in events if name == "OutputText")
    assert (deep["agent"], deep["depth"], deep["text"]) == ("helper", 1, "deep down\n")
    assert deep["parent"] == events[0][1]["run_id"]


def test_a_run_survives_a_restart_of_the_service_and_goes_on(service, begin, follow):
    with service.client() as client:
        done = client.post("/v1/agents/sums/runs", json={"task": "one"}).json()["id"]
        before = list(follow(client, done))
        cut = client.post("/v1/agents/endless/runs", json={"task": "two"}).json()["id"]
        events = follow(client, cut)
        events.until("OutputText")
        events.until("CodeReady")
        service.restart(kill=True)
    with service.client() as client:
        after = list(follow(client, done))
        assert after[:-1] == before[:-1]
        assert after[-1][1]["state"] == "success" and after[-1][1]["session"] is None
        assert client.get(f"/v1/runs/{done}/files/out.txt").content == b"kept"
        assert client.get(f"/v1/runs/{cut}").json()["state"] == "interrupted"
        assert client.post(f"/v1/runs/{cut}/resume", json={}).status_code == 200
        # its script begins again
        assert "begun" in follow(client, cut, events.last).until("OutputText")["text"]
        client.post(f"/v1/runs/{cut}/interrupt")


def test_a_run_is_removed_with_its_session(alice, begin, follow):
    run = begin("sums")
    list(follow(alice, run))
    session = alice.get(f"/v1/runs/{run}").json()["session"]
    assert alice.delete(f"/v1/runs/{run}").status_code == 204
    assert alice.get(f"/v1/runs/{run}").status_code == 404
    assert alice.get(f"/v1/sessions/{session}").status_code == 404


def test_the_run_is_a_saved_run_as_pinjra_replay_reads_it(alice, begin, follow):
    from pinjra.agents.memory.json import memory_from_json

    run = begin("sums")
    list(follow(alice, run))
    steps = memory_from_json(alice.get(f"/v1/runs/{run}/memory").text)
    assert [step.code_action for step in steps if hasattr(step, "code_action")][
        1
    ] == "x += 22\nfinal_answer(x)"


def test_events_by_ag_uis_names_are_what_its_library_reads(alice, begin, follow):
    core = pytest.importorskip("ag_ui.core")
    from pydantic import TypeAdapter

    reader = TypeAdapter(core.Event)
    events = [reader.validate_python(data) for _, data in follow(alice, begin("shouter"), format="ag-ui")]
    kinds = [event.type.value for event in events]
    assert kinds[0] == "RUN_STARTED" and kinds[-1] == "RUN_FINISHED"
    assert {"STEP_STARTED", "TEXT_MESSAGE_CHUNK", "TOOL_CALL_CHUNK", "TOOL_CALL_RESULT", "STEP_FINISHED"} <= {
        *kinds
    }


def test_a_task_chooses_among_what_its_agent_has_and_no_more(alice):
    for choice in ({"tools": ["user_input"]}, {"executor": "local"}, {"model": "openai:other"}):
        assert alice.post("/v1/agents/reader/runs", json={"task": "t", **choice}).status_code == 403, choice


def test_a_run_that_was_interrupted_before_it_began_does_not_begin(alice, begin, follow):
    run = begin("endless")
    alice.post(f"/v1/runs/{run}/interrupt")
    assert follow(alice, run).until("end")["state"] == "interrupted"


def test_without_a_token_nothing_is_told(service):
    assert calls.get(f"{service.url}/v1/agents").status_code == 401
    assert calls.get(f"{service.url}/v1/runs", headers={"X-API-Key": ALICE}).status_code == 200


def test_code_of_agents_counts_for_its_tenants_processor_time(service, follow):
    with service.client(service.carol) as carol:
        run = carol.post("/v1/agents/busy/runs", json={"task": "t"}).json()["id"]
        errors = [data["error"] for name, data in follow(carol, run) if name == "StepFinished"]
        assert errors[0] == "" and "has used its 0.2 processor seconds of this hour" in errors[1]
        assert carol.post("/v1/agents/busy/runs", json={"task": "t"}).status_code == 429


def test_an_agents_session_may_use_no_more_than_its_tenant(service):
    quota = {"output_bytes": 5000, "value_bytes": 70000, "processes": 9}
    with service.client(service.dora) as dora:
        run = dora.post("/v1/agents/waiting/runs", json={"task": "t"}).json()
        limits = dora.get(f"/v1/sessions/{run['session']}").json()["limits"]
        assert {name: limits[name] for name in quota} == quota
        dora.delete(f"/v1/runs/{run['id']}")
