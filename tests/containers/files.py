"""What the operator puts into the folder of files, as the pool that it is for sees it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.containers.engine import Project
from tests.factories.processes import ROOT

_POOL = "worker-customer-operations"
_SETTING = "WAYBILL_CUSTOMER_OPERATIONS_DIR=/etc/waybill/ours"
_LOAD = """
from pipelines.customer_operations.policies.tables import load_policy, load_replies, policy_version
load_policy(), load_replies()
print(policy_version())
"""


def make_folder(folder: Path) -> Path:
    """A folder with policies that are not the sample's, made as the guide makes them."""
    folder.mkdir()
    command = [sys.executable, "-m", "waybill", "tools", "init", str(folder / "ours")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with (folder / "ours" / "policy.toml").open("a", encoding="utf-8") as policy:
        policy.write("# Ours.\n")
    return folder


def check_policies(project: Project) -> str:
    """The pool decides by the operator's policies, and cannot change them. Raises AssertionError."""
    policy = Path(project.variables["WAYBILL_FILES"]) / "ours" / "policy.toml"
    version = project.execute(_POOL, "env", _SETTING, "python", "-c", _LOAD).strip()
    assert version == hashlib.sha256(policy.read_bytes()).hexdigest(), "it goes by the sample's policies"
    mount = os.statvfs(f"/proc/{project.containers()[_POOL]}/root/etc/waybill")
    assert mount.f_flag & os.ST_RDONLY, f"{_POOL} may change them"
    return "read by their pool, and read-only"
