"""``waybill models`` and ``waybill prompts``, for an organisation and for everybody."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.waybill.cli.conftest import Cli
from waybill.cli.exits import Exit

pytestmark = pytest.mark.own_database

VERSION = ("--deployment", "local/smollm2", "--model", "local/smollm2", "--context-window", "4096")


def done(cli: Cli, *arguments: str) -> str:
    result = cli(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def document(cli: Cli, *arguments: str) -> Any:
    return json.loads(done(cli, *arguments, "--json"))


def test_a_model_goes_through_its_life(cli: Cli) -> None:
    assert done(cli, "models", "create", "writer", "--description", "Writes.").startswith("mdl_")
    more = ("--ability", "streams", "--ability", "writes", "--parameter", "temperature=0.2", "--ceiling", "public")
    first = document(cli, "models", "add-version", "writer", *VERSION, *more, "--promote", "the first")
    assert (first["version"], first["parameters"], first["data_class_ceiling"]) == (1, {"temperature": 0.2}, "public")
    unpriced = ("--price-provider", "nobody", "--price-model", "knows", "--parameter", "reasoning_effort=low")
    added = cli("models", "add-version", "writer", *VERSION, *unpriced)
    assert (added.exit_code, added.stdout.strip()) == (0, "2")
    assert "no price is known for nobody/knows" in added.stderr
    assert "version 2 is the champion" in done(cli, "models", "promote", "writer", "2", "--reason", "better")
    assert "writer version 2" in done(cli, "models", "resolve", "writer")
    assert "version 1 is the champion" in done(cli, "models", "rollback", "writer", "--reason", "worse")
    assert "retired" in done(cli, "models", "retire", "writer", "2", "-r", "bad")
    assert "candidate" in done(cli, "models", "restore", "writer", "2", "-r", "not so bad")
    shown = document(cli, "models", "show", "writer")
    assert (shown["champion"], [each["stage"] for each in shown["versions"]]) == (1, ["candidate", "champion"])
    assert "local/smollm2" in done(cli, "models", "show", "writer")
    assert "not so bad" in done(cli, "models", "history", "writer")
    assert document(cli, "models", "history", "writer", "--limit", "1")["data"][0]["cause"] == "restored"
    listed = done(cli, "models", "list")
    assert "writer" in listed
    assert "local/extractive" in listed
    assert "local/minilm" in str(document(cli, "models", "list"))
    assert "local/smollm2" in done(cli, "models", "deployments")


def test_what_is_wrong_is_said(cli: Cli) -> None:
    absent = cli("models", "promote", "nobody", "1", "--reason", "x")
    assert absent.exit_code == Exit.FAILED
    assert "no model named nobody" in absent.stderr
    done(cli, "models", "create", "strict")
    assert cli("models", "rollback", "strict", "--reason", "x").exit_code == Exit.REFUSED
    refused = cli("models", "add-version", "strict", *VERSION, "--parameter", "n=2")
    assert refused.exit_code == Exit.REFUSED
    assert "temperature" in refused.stderr
    for wrong in (("--parameter", "n"), ("--parameter", "n={"), ("--ceiling", "secret"), ("--prompt", "=x")):
        assert cli("models", "add-version", "strict", *VERSION, *wrong).exit_code == Exit.USAGE
    assert cli("models", "alias", "x", "strict", "--shared", "--capability", "a.b").exit_code == Exit.USAGE


def test_aliases_are_given_and_taken(cli: Cli) -> None:
    alias = done(cli, "models", "alias", "quick", "local/smollm2", "--capability", "knowledge.search")
    assert "quick" in done(cli, "models", "aliases")
    found = document(cli, "models", "resolve", "quick", "--capability", "knowledge.search")
    assert found["because"] == "organization_capability_alias"
    assert cli("models", "resolve", "quick").exit_code == Exit.FAILED
    assert "quick was local/smollm2" in done(cli, "models", "unalias", alias)
    assert all(each["id"] != alias for each in document(cli, "models", "aliases")["data"])


def test_shared_models_are_changed_on_the_database_itself(cli: Cli) -> None:
    shared = ("--shared",)
    done(cli, "models", "create", "house", *shared)
    assert done(cli, "models", "add-version", "house", *VERSION, "--ceiling", "internal", *shared) == "1"
    done(cli, "models", "add-version", "house", *VERSION, "--promote", "newer", *shared)
    assert "version 1 is the champion" in done(cli, "models", "promote", "house", "1", "-r", "older", *shared)
    assert "version 2 is the champion" in done(cli, "models", "rollback", "house", "-r", "newer", *shared)
    assert "retired" in done(cli, "models", "retire", "house", "1", "-r", "old", *shared)
    assert "candidate" in done(cli, "models", "restore", "house", "1", "-r", "needed", *shared)
    assert done(cli, "models", "alias", "our-house", "house", *shared).startswith("als_")
    assert document(cli, "models", "show", "house")["applies_to"] == "shared"
    assert cli("models", "promote", "house", "1", "-r", "mine").exit_code == Exit.DENIED
    assert cli("models", "promote", "nobody", "1", "-r", "x", *shared).exit_code == Exit.FAILED
    assert document(cli, "models", "history", "house")["data"][0]["actor_kind"] == "system"


def test_prompts_are_seeded_added_and_activated(cli: Cli, tmp_path: Path) -> None:
    assert document(cli, "prompts", "seed")["added"] >= 2
    assert "0 prompts added" in done(cli, "prompts", "seed")
    (shared,) = document(cli, "prompts", "list", "--name", "knowledge/answer")["data"]
    assert (shared["applies_to"], shared["in_force"]) == ("shared", True)
    file = tmp_path / "answer.md"
    file.write_text("Be brief.\n", encoding="utf-8")
    digest = done(cli, "prompts", "add", "knowledge/answer", str(file), "--activate")
    newest = document(cli, "prompts", "list")["data"][0]
    assert (newest["digest"], newest["in_force"], newest["applies_to"]) == (digest, True, "organization")
    assert done(cli, "prompts", "show", newest["id"]) == "Be brief."
    assert digest[:15] in done(cli, "prompts", "list")
    back = document(cli, "prompts", "activate", "knowledge/answer", shared["digest"])
    assert (back["in_force"], back["text"]) == (True, shared["text"])
    assert done(cli, "prompts", "activate", "knowledge/answer", newest["id"]) == digest
    file.write_bytes(b"\xff")
    assert cli("prompts", "add", "knowledge/answer", str(file)).exit_code == Exit.USAGE
