import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port
from waybill.stack.valkey import EmbeddedValkey


def test_flower_asks_for_a_password_that_neither_its_arguments_nor_its_environment_show(
    valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    secrets = {"REDIS_URL": valkey.url, "WAYBILL_FLOWER_PASSWORD": "a-password-of-this-test"}
    for name, value in secrets.items():
        (tmp_path / name).write_text(value, encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "WAYBILL_HOME": str(tmp_path),
        "WAYBILL_SECRETS_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "waybill", "flower", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(url), timeout_seconds=60, what="Flower to answer", pause_seconds=0.2)
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, auth=("waybill", secrets["WAYBILL_FLOWER_PASSWORD"])).status_code == 200
        # Its view of the broker asks Redis by itself.
        assert httpx.get(f"{url}/broker", auth=("waybill", secrets["WAYBILL_FLOWER_PASSWORD"])).status_code == 200
        shown = b"".join(Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
        assert not [name for name, value in secrets.items() if value.encode() in shown]
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthcheck", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
