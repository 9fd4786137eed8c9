"""One language model for all tests here."""

import pytest

from core.guard.personal.recognition import PersonalDataRecognizer


@pytest.fixture(scope="session")
def recognizer() -> PersonalDataRecognizer:
    return PersonalDataRecognizer()
