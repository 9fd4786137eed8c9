"""A control plane on loopback: etcd, API server, controllers, scheduler, and a kubelet that pretends."""

import json
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import httpx

from tests.chart import tools

PROGRAMS = tools.FOLDER / "kubernetes" / "bin"
ZONES = ("one", "two", "three")
_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.2
_CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "250"}
Manifest = dict[str, Any]


class Plane:
    """The API of a running control plane, and the command line pointed at it."""

    def __init__(self, url: str, token: str, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        # The certificate is the server's own, made a moment ago, and the server is on loopback.
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            verify=False,
            timeout=30.0,
        )

    def get(self, path: str) -> Manifest:
        """What the API answers to GET."""
        response = self.http.get(path)
        response.raise_for_status()
        return response.json()  # type: ignore[no-any-return]

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl."""
        return tools.run(tools.KUBECTL, "--kubeconfig", self.kubeconfig, *arguments)

    def helm(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run helm."""
        return tools.run(tools.HELM, "--kubeconfig", self.kubeconfig, *arguments)


class Kubelet:
    """Nodes in three zones whose pods are running and ready as soon as they are scheduled, and gone when asked.

    The pod of a Job succeeds at once. No image is pulled and no process starts.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._stop = Event()
        self._thread = Thread(target=self._run, name="kubelet", daemon=True)

    def start(self) -> None:
        """Add the nodes, and look after them from now on."""
        for zone in ZONES:
            labels = {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": zone}
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": zone, "labels": labels}}
            self._plane.http.post("/api/v1/nodes", json=node).raise_for_status()
        self._thread.start()

    def stop(self) -> None:
        """Leave nodes and pods as they are."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        next_beat = 0.0
        while not self._stop.wait(_LOOK_SECONDS):
            if monotonic() >= next_beat:
                next_beat = monotonic() + 5.0
                for zone in ZONES:
                    self._beat(zone)
            for pod in self._plane.get("/api/v1/pods")["items"]:
                self._look_after(pod)

    def _beat(self, name: str) -> None:
        node = self._plane.get(f"/api/v1/nodes/{name}")
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
        times = {"lastHeartbeatTime": _now(), "lastTransitionTime": _now()}
        node["status"] = {"capacity": _CAPACITY, "allocatable": _CAPACITY, "conditions": [ready | times]}
        self._plane.http.put(f"/api/v1/nodes/{name}/status", json=node)

    def _look_after(self, pod: Manifest) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            self._plane.http.request("DELETE", path, json={"gracePeriodSeconds": 0})
        elif pod["spec"].get("nodeName") and pod["status"].get("phase") == "Pending":
            is_job = any(owner["kind"] == "Job" for owner in metadata.get("ownerReferences", []))
            pod["status"] = _succeeded(pod) if is_job else _running(pod)
            self._plane.http.put(f"{path}/status", json=pod)


def _running(pod: Manifest) -> Manifest:
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "podIP": "10.1.0.1",
        "startTime": _now(),
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": _now()} for kind in kinds],
        "containerStatuses": _containers(pod, {"running": {"startedAt": _now()}}, is_ready=True),
    }


def _succeeded(pod: Manifest) -> Manifest:
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now()}
    return {
        "phase": "Succeeded",
        "startTime": _now(),
        "containerStatuses": _containers(pod, {"terminated": ended}, is_ready=False),
    }


def _containers(pod: Manifest, state: Manifest, *, is_ready: bool) -> list[Manifest]:
    shared = {"ready": is_ready, "started": is_ready, "restartCount": 0, "imageID": "none", "state": state}
    return [{"name": each["name"], "image": each["image"], **shared} for each in pod["spec"]["containers"]]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def control_plane(folder: Path) -> Iterator[Plane]:
    """A control plane with three nodes, gone at the end of the block."""
    token = secrets.token_urlsafe(24)
    etcd, peers, port = _free_port(), _free_port(), _free_port()
    url = f"https://127.0.0.1:{port}"
    kubeconfig = _write_credentials(folder, url, token)
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, program: Path | str, *flags: str) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            processes.append(subprocess.Popen([program, *flags], cwd=folder, stdout=log, stderr=log))

    try:
        start(
            "etcd",
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
        )
        start(
            "kube-apiserver",
            PROGRAMS / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            "--cert-dir=certificates",
            "--token-auth-file=tokens.csv",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=accounts.key",
            "--service-account-signing-key-file=accounts.key",
            # It would ask for a token in every pod, which only a real kubelet mounts.
            "--disable-admission-plugins=ServiceAccount",
        )
        plane = Plane(url, token, kubeconfig)
        _wait_until_ready(plane, processes, folder)
        shared = ("--kubeconfig=kubeconfig", "--leader-elect=false")
        manager = PROGRAMS / "kube-controller-manager"
        start("kube-controller-manager", manager, *shared, "--service-account-private-key-file=accounts.key")
        start("kube-scheduler", PROGRAMS / "kube-scheduler", *shared)
        kubelet = Kubelet(plane)
        kubelet.start()
        try:
            yield plane
        finally:
            kubelet.stop()
            plane.http.close()
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(_STOP_SECONDS)


def _write_credentials(folder: Path, url: str, token: str) -> Path:
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n', encoding="ascii")
    subprocess.run(["openssl", "genrsa", "-out", folder / "accounts.key", "2048"], check=True, capture_output=True)
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "clusters": [{"name": "test", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(kubeconfig), encoding="utf-8")
    return path


def _wait_until_ready(plane: Plane, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = monotonic() + _START_SECONDS
    while True:
        ended = [str(process.args[0]) for process in processes if process.poll() is not None]  # type: ignore[index]
        assert not ended, f"{ended} ended; see the logs in {folder}"
        try:
            if plane.http.get("/readyz").text == "ok":
                return
        except httpx.TransportError:
            pass
        assert monotonic() < deadline, f"the API server is not ready; see the logs in {folder}"
        sleep(0.5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
