"""What says that a machine wrote something: which policy turns it off, the sentence for people, the mark's fields."""

from uuid import UUID
from xml.etree import ElementTree as ET

import pytest

from core.guard.disclosure import NOTICES, SOURCE_TYPE, Mark, language_of, with_notice, writing_models
from core.guard.policy import CombinedPolicy, Disclosure, GuardPolicy
from core.kit.clock import utc_now

_REPLIES = {
    "en": "Dear Ms Jones,\n\nWe are sorry that the parcel was late. We have refunded the charge to your card.",
    "de": "Guten Tag Frau Weber,\n\nIhre Sendung ist leider verspätet. Wir haben Ihnen den Betrag erstattet.",
    "fr": "Bonjour,\n\nNous sommes désolés pour le retard de votre colis. Le montant a été remboursé sur votre carte.",
    "nl": "Beste mevrouw Janssen,\n\nUw pakket is te laat. Wij hebben het bedrag op uw rekening teruggestort.",
    "es": "Estimada señora:\n\nLamentamos el retraso de su paquete. Hemos devuelto el importe a la tarjeta.",
}


def _combined(*said: Disclosure) -> Disclosure:
    return CombinedPolicy([GuardPolicy(disclosure=each) for each in said]).disclosure


def test_both_are_on_until_a_policy_turns_them_off_and_any_other_may_insist() -> None:
    assert _combined() == _combined(Disclosure(), Disclosure()) == Disclosure(notice=True, marks=True)
    # What says nothing, as the operator's floor, does not turn on what another turns off.
    off = _combined(Disclosure(), Disclosure(notice=False, marks=False))
    assert off == Disclosure(notice=False, marks=False)
    assert _combined(Disclosure(marks=True), Disclosure(notice=False, marks=False)).marks
    assert _combined(Disclosure(text="ours"), Disclosure(text="the project's"), Disclosure()).text == "the project's"
    assert GuardPolicy.model_validate_json(GuardPolicy().model_dump_json()).disclosure == Disclosure()


@pytest.mark.parametrize("language", _REPLIES)
def test_the_notice_is_the_last_line_in_the_language_of_the_reply(language: str) -> None:
    reply = _REPLIES[language]
    assert language_of(reply) == language
    noticed = with_notice(reply, Disclosure())
    assert noticed == f"{reply}\n\n{NOTICES[language]}"
    assert with_notice(noticed, Disclosure()) == noticed


def test_a_policy_has_its_own_sentence_or_none() -> None:
    own = Disclosure(text="A robot of Veldhaven wrote this.")
    noticed = with_notice("Hello.\n", own)
    assert noticed == "Hello.\n\nA robot of Veldhaven wrote this."
    assert with_notice(noticed, own) == noticed
    assert with_notice("Hello.", Disclosure(notice=False, text="never")) == "Hello."
    assert language_of("4711 / 0815") == "en"


def test_xmp_holds_the_mark_whatever_a_model_is_called() -> None:
    mark = Mark(UUID(int=7), utc_now(), 'evil</rdf:RDF>&"\x00', "2026-01")
    packet = mark.xmp()
    assert packet is not None
    found = {element.tag.rpartition("}")[2]: element.text for element in ET.fromstring(packet).iter()}
    assert found["DigitalSourceType"] == SOURCE_TYPE
    assert (found["AISystemUsed"], found["AISystemVersionUsed"]) == ('evil</rdf:RDF>&"', "2026-01")
    assert found["Identifier"] == mark.plain()["job_id"]
    again = Mark(UUID(int=8), utc_now()).xmp(packet)
    assert again is not None
    assert len(list(ET.fromstring(again).iter("{http://ns.adobe.com/xap/1.0/}Identifier"))) == 2
    assert mark.xmp(b"no packet") is None


def test_who_only_quotes_writes_nothing() -> None:
    lines = [("local/extractive", 9), ("writer", 5), ("embedder", 0)]
    assert writing_models([{"model": name, "output_tokens": tokens} for name, tokens in lines]) == ["writer"]
