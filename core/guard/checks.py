"""Checks of a policy's document beyond its schema, before it is stored or tried."""

from core.guard.policy import GuardPolicy
from core.guard.terms import TERM_MAX_WORDS, compile_pattern, words_of
from core.kit.errors import Unprocessable
from core.kit.json_values import dumps

DOCUMENT_MAX_BYTES = 1024 * 1024
TERM_MAX_CHARACTERS = 200
ALLOW_MAX = 10_000
CLASSES_MAX = 200


def check(policy: GuardPolicy, path: str = "body.policy") -> None:
    """Raise `Unprocessable`, naming the field below `path`, for a policy that cannot be applied.

    Terms have 1 to 200 characters and at most 24 words; expressions are RE2's, and must not match the empty text.
    """
    if len(dumps(policy.model_dump(mode="json"))) > DOCUMENT_MAX_BYTES:
        raise _refused(path, f"the whole policy has at most {DOCUMENT_MAX_BYTES:,} bytes as JSON")
    if len(policy.allow) > ALLOW_MAX:
        raise _refused(f"{path}.allow", f"at most {ALLOW_MAX:,} texts")
    if len(policy.classes) > CLASSES_MAX:
        raise _refused(f"{path}.classes", f"at most {CLASSES_MAX} kinds")
    for number, text in enumerate(policy.allow):
        check_text(text, f"{path}.allow.{number}")
    for number, tool in enumerate(policy.untrusted.reading_tools):
        check_text(tool, f"{path}.untrusted.reading_tools.{number}")
    for number, host in enumerate(policy.link_hosts):
        check_text(host, f"{path}.link_hosts.{number}")
    _check_terms(policy, path)
    for number, pattern in enumerate(policy.patterns):
        try:
            compile_pattern(pattern.expression)
        except ValueError as error:
            raise _refused(f"{path}.patterns.{number}.expression", str(error)) from None


def _check_terms(policy: GuardPolicy, path: str) -> None:
    for number, dictionary in enumerate(policy.dictionaries):
        for place, term in enumerate(dictionary.terms):
            at = f"{path}.dictionaries.{number}.terms.{place}"
            check_text(term, at)
            if len(words_of(term)) > TERM_MAX_WORDS:
                raise _refused(at, f"a term has at most {TERM_MAX_WORDS} words and signs")


def check_text(text: str, path: str) -> None:
    """Raise `Unprocessable`, naming `path`, for a text that cannot be a term or an entry of the allow-list."""
    if not text.strip() or len(text) > TERM_MAX_CHARACTERS:
        raise _refused(path, f"1 to {TERM_MAX_CHARACTERS} characters, not only white space")


def _refused(path: str, message: str) -> Unprocessable:
    problem = {"path": path, "code": "guard_policy_invalid", "message": message}
    return Unprocessable(f"{path}: {message}", errors=[problem])
