"""A backup of the running project, restored into an empty one beside it that has the same keys."""

import os
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

from tests.containers.engine import Project, free_addresses, wait_until_ready
from tests.factories.processes import ROOT
from waybill.client import WaybillClient

# The user of the image: a folder of the host's must be its own.
_USER = 10001
_PICTURE = ROOT / "docs" / "examples" / "multimodal" / "receipt.png"
_MESSAGE = "The blue parcel weighs 17 kilograms.\n\nHow much does the blue parcel weigh?"
_CHAT = {"model": "default", "messages": [{"role": "user", "content": _MESSAGE}]}
_KEYS = ("secret_key", "pseudonym_key", "signing_key")
_END_SECONDS = 60.0


def make_folder(folder: Path) -> Path:
    """A folder for backups, as the guide makes it."""
    folder.mkdir(mode=0o700)
    os.chown(folder, _USER, _USER)
    return folder


def back_up_and_restore(project: Project, url: str, key: str) -> str:
    """Back the project up, restore that elsewhere, and ask there for what was here. Raises AssertionError.

    ``WAYBILL_BACKUPS`` of the project is an empty folder of this machine.
    """
    with WaybillClient(url, key) as client:
        file = client.files.upload(_PICTURE, content_type="image/png")
        job = client.jobs.submit("models.chat", _CHAT).wait(timeout_seconds=_END_SECONDS)
        assert job.state == "succeeded", job.state
    taken = project.compose("run", "--rm", "-T", "backup", profile="backup").strip()
    [folder] = Path(project.variables["WAYBILL_BACKUPS"]).iterdir()
    addresses = free_addresses()
    restored_url = f"http://{addresses['WAYBILL_PUBLISH_HTTP']}"
    restored = Project(
        f"{project.name}-restored",
        project.secrets.with_name("secrets-restored"),
        {**project.variables, **addresses},
    )
    restored.secrets.mkdir(mode=0o700)
    for each in _KEYS:
        shutil.copy(project.secrets / each, restored.secrets)
    script = ROOT / "infra" / "compose" / "make-secrets.sh"
    subprocess.run([script, restored.secrets], check=True, capture_output=True)
    try:
        restored.compose("up", "--detach", "--no-build", "postgres", "valkey", "azurite")
        restored.compose("run", "--rm", "-T", "create-container")
        said = restored.compose("run", "--rm", "-T", "restore", f"/backups/{folder.name}", profile="backup").strip()
        assert said.endswith("all invariants hold"), said
        restored.compose("up", "--detach", "--no-build", "migrate", "api-1", "proxy")
        wait_until_ready(restored_url)
        with WaybillClient(restored_url, key) as client:
            assert client.jobs.get(job.id).result == job.result
            content = BytesIO()
            client.files.download(file.id, content)
            assert content.getvalue() == _PICTURE.read_bytes()
    finally:
        restored.down()
    return f"{taken.splitlines()[-1]}; restored beside it: {said.splitlines()[-1]}"
