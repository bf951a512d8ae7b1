"""Requests as OpenTelemetry's spans: below their clients', above what they did, without names of tenants."""

from __future__ import annotations

import json

import httpx
import pytest

from .conftest import ALICE, start, stop

pytest.importorskip("opentelemetry.sdk")

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def spans(text):
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := text.find("{", at)) >= 0:
        made, at = decoder.raw_decode(text, at)
        found.append(made)
    return [each for each in found if "name" in each]


def test_a_request_is_a_span_below_its_clients_and_above_its_run(tmp_path):
    (tmp_path / "settings.toml").write_text(f'[tenants.alice]\ntoken = "{ALICE}"\n')
    exporters = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none"}
    with (tmp_path / "out").open("w") as out:
        process, url = start(tmp_path / "settings.toml", "--trace", stdout=out, **exporters)
    headers = {"Authorization": f"Bearer {ALICE}", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    with httpx.Client(base_url=url, headers=headers, timeout=300) as client:
        session = client.post("/v1/sessions", json={}).json()["id"]
        client.post(f"/v1/sessions/{session}/runs", json={"code": "1/0"})
        client.get("/v1/sessions/of-nobody")
    assert stop(process) == 0
    found = spans((tmp_path / "out").read_text())
    ran = next(each for each in found if each["name"] == "POST /v1/sessions/{session}/runs")
    assert (ran["context"]["trace_id"], ran["parent_id"], ran["kind"]) == (
        f"0x{TRACE}",
        f"0x{PARENT}",
        "SpanKind.SERVER",
    )
    assert ran["attributes"]["http.response.status_code"] == 200
    code = next(each for each in found if each["name"].startswith("run_code"))
    assert code["parent_id"] == ran["context"]["span_id"]
    nobody = next(each for each in found if each["name"] == "GET /v1/sessions/{session}")
    assert nobody["attributes"]["http.response.status_code"] == 404
    text = (tmp_path / "out").read_text()
    assert not any(word in text for word in (ALICE, session, "of-nobody", "/ready"))
