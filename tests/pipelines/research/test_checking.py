"""What the check finds without a model that reads; the embedded model compares meanings."""

import pytest

from core.gateway.routing import EMBEDDING
from core.gateway.service import open_gateway
from core.kit.settings import Settings
from pipelines.research.critique.checking import Finding, check_claims
from pipelines.research.critique.claims import Claim
from tests.factories.context import RecordingContext

COVER = (
    "Extended cover costs 1.2 % of the declared value, with a minimum of EUR 3.00 per shipment. It must be booked"
    " before the label is printed. Extended cover is not offered for jewellery. The inspector comes within five working"
    " days."
)
DEPOT = "The depot in Ghent opens at six. Its canteen serves soup on Tuesdays."


def check(text: str, *cited: int) -> Finding:
    gateway = open_gateway(Settings(model_base_url=None))
    [finding] = check_claims([Claim(text, cited)], [COVER, DEPOT], gateway.for_job(RecordingContext()), EMBEDDING)
    gateway.close()
    return finding


@pytest.mark.parametrize(
    ("text", "support"),
    [
        ("It must be booked before the label is printed.", "quoted"),
        ("\u201cThe depot in Ghent opens at six.\u201d", "quoted"),
        ("Extended cover costs 1.2 % of the declared value, and at least EUR 3.00 per shipment.", "entailed"),
        ("Extended cover must be booked before the label is printed.", "entailed"),
        ("The inspector comes within 5 working days.", "entailed"),
        ("Jewellery is not offered extended cover.", "entailed"),
    ],
)
def test_what_the_source_says_is_supported(text: str, support: str) -> None:
    cited = 2 if "depot" in text else 1
    assert check(text, cited).support == support


@pytest.mark.parametrize(
    ("text", "cited", "reason"),
    [
        ("Extended cover costs 1.2 % of the declared value.", (), "names no source"),
        ("Extended cover costs 1.2 % of the declared value.", (3,), "does not exist"),
        ("Extended cover costs 1.4 % of the declared value.", (1,), "does not hold 1.4"),
        ("Extended cover costs 1.2 % in Norway.", (1,), "does not hold Norway"),
        ("The rule says \u201cit may be booked later\u201d about extended cover.", (1,), "do not stand in the source"),
        ("Extended cover costs 1.2 % of the declared value.", (2,), "does not hold 1.2"),
        ("Soup is served in the canteen.", (1,), "no sentence of the source"),
        ("Extended cover is offered for jewellery.", (1,), "denies"),
    ],
)
def test_what_the_source_does_not_say_is_not(text: str, cited: tuple[int, ...], reason: str) -> None:
    finding = check(text, *cited)
    assert finding.support is None
    assert reason in finding.reason


def test_what_is_near_but_not_near_enough_is_left_for_a_model_that_reads() -> None:
    finding = check("Whoever wants extended cover has to order it early, prior to printing.", 1)
    assert finding.is_open
