"""Presidio with its defaults, as the baseline."""

from collections.abc import Callable, Sequence

from core.guard.records import Finding
from waybill.evals.guard.labels import KINDS_OF_PRESIDIO


def baseline() -> Callable[[Sequence[str]], list[list[Finding]]]:
    """Presidio with its own recognizers on the model that ours uses; as it has no threshold, every score counts."""
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    from core.guard.personal.language import NameModel

    configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": NameModel().model}]}
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def find(texts: Sequence[str]) -> list[list[Finding]]:
        return [
            [
                Finding(KINDS_OF_PRESIDIO[each.entity_type], each.start, each.end, 1.0, "presidio")
                for each in analyzer.analyze(text, language="en")
                if each.entity_type in KINDS_OF_PRESIDIO
            ]
            for text in texts
        ]

    return find
