from decimal import Decimal
from pathlib import Path

import pytest

from core.kit.errors import Unavailable
from core.kit.ids import PROJECT, encode, new_id
from core.kit.settings import Settings
from pipelines._kit.tools.client import McpClient
from pipelines._kit.tools.factory import Tools
from pipelines._kit.tools.policies import Effect, ReadBack
from pipelines._kit.tools.servers import ToolPolicies, read_tool_servers
from tests.factories.sample_system import tool_servers_file

SERVER = '[[tool_server]]\nname = "shop"\nurl = "https://shop.example/mcp"\n'
READ = '[[tool_server.tool]]\nname = "look"\neffect = "read"\n'
MONEY = (
    '[[tool_server.tool]]\nname = "pay"\neffect = "money"\nidempotency_argument = "key"\namount_argument = "sum"\n'
    'currency = "EUR"\namount_per_job = "100.00"\n'
)


def policies(folder: Path, text: str) -> ToolPolicies:
    path = folder / "tools.toml"
    path.write_text(text, encoding="utf-8")
    return read_tool_servers(Settings(tool_servers_file=path))


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(Unavailable) as refused:
        policies(folder, text)
    assert refused.value.code == "tool_servers_invalid"
    return refused.value.detail


def test_without_a_file_there_is_no_tool(tmp_path: Path) -> None:
    assert list(read_tool_servers(Settings(home=tmp_path))) == []


def test_the_shipped_file_attaches_the_sample_system(tmp_path: Path) -> None:
    path = tool_servers_file(tmp_path, "http://127.0.0.1:1/mcp")
    policies = {policy.operation: policy for policy in read_tool_servers(Settings(tool_servers_file=path))}

    assert policies["issue_refund"].effect is Effect.MONEY
    assert policies["issue_refund"].approval_threshold(new_id()) == Decimal("50.00")
    assert policies["find_customer"].effect is Effect.READ
    assert {policy.server.name for policy in policies.values()} == {"veldhaven"}


def test_a_money_tool_asks_from_the_first_cent_unless_configured(tmp_path: Path) -> None:
    project = new_id()
    text = SERVER + MONEY + f'approval_of_project = {{ {encode(PROJECT, project)} = "20.00" }}\n'

    policy = next(iter(policies(tmp_path, text)))

    assert policy.approval_threshold(new_id()) == 0
    assert policy.approval_threshold(project) == Decimal("20.00")
    assert policy.calls_per_job == 1


def test_a_server_can_belong_to_single_projects(tmp_path: Path) -> None:
    project = new_id()
    read = policies(tmp_path, SERVER + f'projects = ["{encode(PROJECT, project)}"]\n' + READ)

    assert read.find("look", project) is not None
    assert read.find("look", new_id()) is None
    assert read.find("anything", project) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SERVER, "tool"),
        (SERVER.replace("https://", "https://user:secret@") + READ, "holds a user"),
        (SERVER + 'credential = "wb key with blanks"\n' + READ, "not the key itself"),
        (SERVER + READ.replace("read", "write"), "needs idempotency_argument"),
        (SERVER + MONEY.replace('currency = "EUR"\n', ""), "a money tool needs"),
        (SERVER + MONEY.replace('"100.00"', "100.5"), "is money: write it as text"),
        (SERVER + READ + 'amount_argument = "sum"\n', "belong to money tools"),
        (SERVER + READ + READ, "two tools serve the operation look"),
        (SERVER + MONEY + 'compensation = "unpay"\n', "no operation of its server"),
        (SERVER + READ + "colour = 1\n", "Extra inputs"),
        ("[[tool_server", "not TOML"),
    ],
    ids=[
        "no tools", "password", "token itself", "no key", "no currency", "float", "amount of a read", "twice",
        "no compensation", "unknown field", "no TOML",
    ],
)  # fmt: skip
def test_a_file_that_says_something_wrong_is_refused_without_quoting_it(tmp_path: Path, text: str, says: str) -> None:
    reported = complaint(tmp_path, text)
    assert says in reported
    assert "secret" not in reported


def test_a_system_without_keys_is_looked_up_or_asked_about(tmp_path: Path) -> None:
    write = READ.replace("look", "note").replace("read", "write")
    looked_up = 'read_back = "look"\nread_back_arguments = { id = "order" }\nread_back_found = "id"\n'
    found = {policy.operation: policy for policy in policies(tmp_path, SERVER + READ + write + looked_up)}
    assert found["note"].read_back == ReadBack("look", {"id": "order"}, "id")
    asked = {policy.operation: policy for policy in policies(tmp_path, f"{SERVER}{write}ask_when_unknown = true\n")}
    assert (asked["note"].read_back, asked["note"].idempotency_argument) == (None, None)
    assert "belong together" in complaint(tmp_path, f'{SERVER}{write}read_back = "look"\n')
    assert "no reading operation" in complaint(tmp_path, SERVER + write + looked_up)


def test_a_file_that_changes_is_read_again_and_is_another_version(tmp_path: Path) -> None:
    path = tmp_path / "tools.toml"
    path.write_text(SERVER + MONEY, encoding="utf-8")
    tools = Tools(Settings(tool_servers_file=path), McpClient())
    [before] = tools.policies
    assert tools.policies is tools.policies
    path.write_text((SERVER + MONEY).replace("100.00", "9.00"), encoding="utf-8")
    [after] = tools.policies
    assert (after.amount_per_job, after.version == before.version) == (Decimal("9.00"), False)
    path.write_text("no", encoding="utf-8")
    with pytest.raises(Unavailable):
        assert tools.policies is None


def test_a_token_is_read_from_a_file_or_a_variable_at_every_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tool_servers_file(tmp_path, "http://127.0.0.1:1/mcp")
    server = next(iter(read_tool_servers(Settings(tool_servers_file=path, secrets_dir=tmp_path)))).server
    with pytest.raises(Unavailable, match="neither a file"):
        server.read_token()
    monkeypatch.setenv("SAMPLE_TOKEN", "from-the-environment")
    assert server.read_token() == "from-the-environment"
    (tmp_path / "SAMPLE_TOKEN").write_text("from-a-file\n")
    assert server.read_token() == "from-a-file"
    assert "from" not in repr(server)
    assert "127.0.0.1" not in repr(server)
