"""A stand-in for a Kubernetes API server on loopback: pods, exec over WebSockets, network policies, sandbox claims.

A pod is a name; the commands that are executed in it really run here. Its stream is its process's life, as a kubelet has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from remote_standins.served import Faults, Served, kill_group, spawn

READ_BYTES = 32 << 10
CORE = "/api/v1/namespaces/{ns}/pods"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies"
CLAIMS = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/{ns}/sandboxclaims"
BOXES = "/apis/agents.x-k8s.io/v1beta1/namespaces/{ns}/sandboxes/{name}"


def status(code: int, message: str) -> Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return JSONResponse(body, status_code=code)


class KubernetesStandIn(Served):
    """The API server. `protocols` are the exec subprotocols it speaks."""

    def __init__(self, protocols: tuple[str, ...] = ("v5.channel.k8s.io", "v4.channel.k8s.io")) -> None:
        self.protocols = protocols
        self.pods: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.policies: dict[str, dict[str, Any]] = {}
        self.claims: dict[str, dict[str, Any]] = {}
        self.running: dict[str, list[tuple[asyncio.subprocess.Process, WebSocket]]] = {}
        self.next_phase: dict[str, Any] = {}  # status of pods to come
        self.faults = Faults()
        self.app = Starlette(
            routes=[
                Route(CORE, self.create_pod, methods=["POST"]),
                Route(CORE, self.list_pods, methods=["GET"]),
                Route(CORE + "/{name}", self.get_pod, methods=["GET"]),
                Route(CORE + "/{name}", self.delete_pod, methods=["DELETE"]),
                WebSocketRoute(CORE + "/{name}/exec", self.execute),
                Route(POLICIES + "/{name}", self.get_policy, methods=["GET"]),
                Route(POLICIES, self.create_policy, methods=["POST"]),
                Route(CLAIMS, self.create_claim, methods=["POST"]),
                Route(CLAIMS, self.watch_claims, methods=["GET"]),
                Route(CLAIMS + "/{name}", self.delete_claim, methods=["DELETE"]),
                Route(BOXES, self.get_box, methods=["GET"]),
            ]
        )
        self.start()

    def close(self) -> None:
        self.on_loop(self.kill_all)
        self.stop()

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig for this server; its token must appear nowhere else."""
        path = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "token-of-a-user"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(json.dumps(config))
        return path

    # ------------------------------------------------------------ pods

    async def create_pod(self, request: Request) -> Response:
        if self.faults.refusals:
            return status(self.faults.refusals.pop(0), "injected: no pod for you")
        pod = await request.json()
        pod["status"] = {"phase": "Running", **self.next_phase}
        self.pods[pod["metadata"]["name"]] = pod
        self.created.append(pod)
        return JSONResponse(pod, status_code=201)

    async def list_pods(self, request: Request) -> Response:
        wanted = dict(part.split("=") for part in request.query_params["labelSelector"].split(","))
        found = [p for p in self.pods.values() if wanted.items() <= p["metadata"].get("labels", {}).items()]
        return JSONResponse({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": found})

    async def get_pod(self, request: Request) -> Response:
        pod = self.pods.get(request.path_params["name"])
        return status(404, "no such pod") if pod is None else JSONResponse(pod)

    async def delete_pod(self, request: Request) -> Response:
        name = request.path_params["name"]
        pod = self.pods.pop(name, None)
        self.kill(name)
        return status(404, "no such pod") if pod is None else JSONResponse(pod)

    def kill(self, name: str) -> None:
        for process, _socket in self.running.pop(name, []):
            kill_group(process)

    def expire(self, name: str) -> None:
        """End a pod as `activeDeadlineSeconds` does."""
        self.pods[name]["status"] = {
            "phase": "Failed",
            "reason": "DeadlineExceeded",
            "message": "Pod was active on the node longer than the specified deadline",
        }
        self.kill(name)

    def kill_all(self) -> None:
        """Kill what runs in the pods."""
        for name in list(self.running):
            self.kill(name)

    def expire_all(self) -> None:
        """End all pods as `activeDeadlineSeconds` does."""
        for name in list(self.running):
            self.expire(name)

    # ------------------------------------------------------------ exec

    async def execute(self, socket: WebSocket) -> None:
        name = socket.path_params["name"]
        offered = socket.scope.get("subprotocols", [])
        chosen = next((p for p in self.protocols if p in offered), None)
        if name not in self.pods or chosen is None:
            await socket.close(1008)
            return
        await socket.accept(subprotocol=chosen)
        process = await spawn(*socket.query_params.getlist("command"))
        self.running.setdefault(name, []).append((process, socket))
        taking = asyncio.create_task(self.take_input(process, socket))
        outputs = (self.send_output(process.stdout, 1, socket), self.send_output(process.stderr, 2, socket))
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            await asyncio.gather(*outputs)
            code = await process.wait()
            if chosen.startswith("v5"):
                await socket.send_bytes(bytes([255, 1]))
            await socket.send_bytes(b"\x03" + json.dumps(exit_status(code)).encode())
            await socket.close(1000)
        taking.cancel()
        kill_group(process)

    async def send_output(self, stream: Any, channel: int, socket: WebSocket) -> None:
        while data := await stream.read(self.faults.piece_bytes or READ_BYTES):
            await socket.send_bytes(bytes([channel]) + data)

    async def take_input(self, process: asyncio.subprocess.Process, socket: WebSocket) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError, KeyError):
            while True:
                data = await socket.receive_bytes()
                if data[0] == 0:
                    process.stdin.write(data[1:])
                    await process.stdin.drain()
        process.stdin.close()  # the stream is gone: so is the process's input, and then the process
        kill_group(process)

    # ------------------------------------------------------------ policies

    async def get_policy(self, request: Request) -> Response:
        policy = self.policies.get(request.path_params["name"])
        return status(404, "no such policy") if policy is None else JSONResponse(policy)

    async def create_policy(self, request: Request) -> Response:
        if self.faults.refusals:
            return status(self.faults.refusals.pop(0), "injected: networkpolicies is forbidden")
        policy = await request.json()
        self.policies[policy["metadata"]["name"]] = policy
        return JSONResponse(policy, status_code=201)

    # ------------------------------------------------------------ claims of agent-sandbox

    async def create_claim(self, request: Request) -> Response:
        claim = await request.json()
        name = claim["metadata"]["name"]
        claim["metadata"].update(uid=str(uuid.uuid4()), resourceVersion="1")
        if claim["spec"]["warmPoolRef"]["name"] != "pool":
            ready = {
                "type": "Ready",
                "status": "False",
                "reason": "WarmPoolNotFound",
                "message": "no such pool",
            }
            claim["status"] = {"conditions": [ready]}
        else:
            pod = f"pool-{uuid.uuid4().hex[:6]}"
            self.pods[pod] = {"metadata": {"name": pod}, "status": {"phase": "Running"}}
            ready = {"type": "Ready", "status": "True"}
            claim["status"] = {"sandbox": {"name": pod}, "conditions": [ready]}
        self.claims[name] = claim
        return JSONResponse(claim, status_code=201)

    async def watch_claims(self, request: Request) -> Response:
        name = request.query_params["fieldSelector"].partition("=")[2]

        async def events() -> AsyncIterator[bytes]:
            yield json.dumps({"type": "MODIFIED", "object": self.claims[name]}).encode() + b"\n"

        return StreamingResponse(events(), media_type="application/json")

    async def delete_claim(self, request: Request) -> Response:
        claim = self.claims.pop(request.path_params["name"], None)
        if claim is None:
            return status(404, "no such claim")
        pod = claim["status"].get("sandbox", {}).get("name", "")
        self.pods.pop(pod, None)
        self.kill(pod)
        return JSONResponse({"kind": "Status", "status": "Success"})

    async def get_box(self, request: Request) -> Response:
        return JSONResponse({"metadata": {"name": request.path_params["name"]}, "status": {}})


def exit_status(code: int) -> dict[str, Any]:
    """Return the `Status` object that ends an exec."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    shown = str(code if code > 0 else 128 - code)
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {shown}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": shown}]},
    }
