"""The operator's file: what it may say, and that no key ever shows."""

import logging
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.kit.errors import Unavailable
from core.kit.settings import Settings
from core.registry.data_classes import DataClass
from core.registry.deployments import EMBEDDED, read_deployments

CANARY = "sk-canary-7f3a9b"
FILE = """
[[deployment]]
name = "sweden"
provider = "azure-openai"
base_url = "https://sweden.openai.azure.example/"
region = "swedencentral"
api_version = "2024-10-21"
credential = "AZURE_KEY"
data_class_ceiling = "confidential"
timeout_seconds = 30
max_attempts = 2

[[deployment]]
name = "claude"
provider = "anthropic"
credential = "anthropic-key"

[[deployment]]
name = "vllm"
provider = "openai-compatible"
base_url = "http://vllm.internal:8000/v1"
reasoning_tokens = "beside"
"""


def settings(tmp_path: Path, content: str, **more: object) -> Settings:
    path = tmp_path / "deployments.toml"
    path.write_text(content, encoding="utf-8")
    return Settings(home=tmp_path, deployments_file=path, secrets_dir=tmp_path / "secrets", **more)  # type: ignore[arg-type]


def test_the_file_is_read(tmp_path: Path) -> None:
    deployments = read_deployments(settings(tmp_path, FILE))
    assert deployments.names == tuple(sorted(("sweden", "claude", "vllm", *EMBEDDED)))
    sweden = deployments.get("sweden")
    assert (sweden.provider, sweden.base_url, sweden.region, sweden.api_version) == (
        "azure-openai",
        "https://sweden.openai.azure.example",
        "swedencentral",
        "2024-10-21",
    )
    assert (sweden.timeout_seconds, sweden.max_attempts, sweden.data_class_ceiling) == (30, 2, DataClass.CONFIDENTIAL)
    vllm = deployments.get("vllm")
    assert (vllm.read_key(), vllm.cached_tokens, vllm.reasoning_tokens) == (None, None, "beside")
    with pytest.raises(Unavailable, match=r"norway; there are: claude"):
        deployments.get("norway")


def test_a_key_is_read_at_each_use_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments = read_deployments(settings(tmp_path, FILE))
    with pytest.raises(Unavailable) as missing:
        deployments.get("sweden").read_key()
    assert missing.value.code == "credential_missing"
    monkeypatch.setenv("AZURE_KEY", "one")
    assert deployments.get("sweden").read_key() == "one"
    monkeypatch.setenv("AZURE_KEY", "two")
    assert deployments.get("sweden").read_key() == "two"
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "anthropic-key").write_text("three\n", encoding="utf-8")
    assert deployments.get("claude").read_key() == "three"


def test_the_settings_make_the_deployment_called_default(tmp_path: Path) -> None:
    more = {"model_base_url": "http://127.0.0.1:1/v1", "model_api_key": SecretStr(CANARY), "model_max_attempts": 4}
    found = read_deployments(settings(tmp_path, FILE, **more)).get("default")
    assert (found.provider, found.read_key(), found.max_attempts) == ("openai-compatible", CANARY, 4)
    assert CANARY not in repr(found) + str(found)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[[deployment", "not TOML"),
        (f'[[deployment]]\nname = "x"\nprovider = "{CANARY}"', "deployment.0.provider"),
        ('[[deployment]]\nname = "x"\nprovider = "openai-compatible"', "base_url is missing"),
        ('[[deployment]]\nname = "local/smollm2"\nprovider = "anthropic"', "deployment.0.name"),
        ('[[deployment]]\nname = "a"\nprovider = "anthropic"\n' * 2, "described twice"),
        (f'[[deployment]]\nname = "a"\nprovider = "anthropic"\napi_key = "{CANARY}"', "deployment.0.api_key"),
        (f'[[deployment]]\nname = "a"\nprovider = "anthropic"\ncredential = "Bearer {CANARY}"', "not the key itself"),
        (f'[[deployment]]\nname = "a"\nprovider = "anthropic"\ncredential = "../{CANARY}"', "not the key itself"),
        (f'[[deployment]]\nname = "a"\nprovider = "anthropic"\nbase_url = "https://u:{CANARY}@x/"', "credential"),
        (f'[[deployment]]\nname = "a"\nprovider = "anthropic"\nbase_url = "https://x/?key={CANARY}"', "credential"),
        ('[[deployment]]\nname = "a"\nprovider = "anthropic"\ntimeout_seconds = 0', "timeout_seconds"),
        (f'[[deployment]]\nname = "a"\nprovider = "anthropic"\ncredential = "{CANARY}', "not TOML"),
        ('[[deployment]]\nname = "a"\nprovider = "anthropic"\nreasoning_tokens = "beside"', "OpenAI's interface"),
    ],
)
def test_a_wrong_file_is_refused_and_quoted_nowhere(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(Unavailable, match=says) as refused:
        read_deployments(settings(tmp_path, content))
    assert refused.value.code == "deployments_invalid"
    shown = "".join(traceback.format_exception(refused.value))
    assert CANARY not in shown


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"absent\.toml"):
        read_deployments(Settings(home=tmp_path, deployments_file=tmp_path / "absent.toml"))


def test_a_key_in_the_place_of_its_name_shows_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = f'[[deployment]]\nname = "a"\nprovider = "anthropic"\ncredential = "{CANARY}"'
    with caplog.at_level(logging.DEBUG):
        deployments = read_deployments(settings(tmp_path, content))
        found = deployments.get("a")
        with pytest.raises(Unavailable) as missing:
            found.read_key()
    shown = "".join(traceback.format_exception(missing.value))
    assert CANARY not in shown + caplog.text + repr(found) + repr(list(deployments))


def test_a_secret_that_cannot_be_read_shows_nothing(tmp_path: Path) -> None:
    deployments = read_deployments(settings(tmp_path, FILE))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "anthropic-key").write_bytes(b"\xff" + CANARY.encode())
    with pytest.raises(Unavailable) as missing:
        deployments.get("claude").read_key()
    assert CANARY not in "".join(traceback.format_exception(missing.value))
