"""Derives the signals of one job from its stored data. Pure: no text leaves this module, only numbers.

Results are read by the names of their fields, so that your own capability gets a signal by using the same name:
``answered``, ``citations`` with ``dropped_quotes``, ``sections[].claims[].support`` with ``removed``, ``valid``,
``fields{}.confidence``, ``intent.confidence``, ``needs_human``, ``finish``, and the text in ``answer``, ``markdown``,
``reply`` or ``text``.
"""

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from core.jobs.states import JobState
from core.kit.ids import MODEL_VERSION, encode
from core.kit.json_values import dumps
from core.quality.records import Context, EndedJob
from core.quality.signals import Signal, Value

BUCKETS = 512
_TEXTS = ("answer", "markdown", "reply", "text")
# Only this much of an input is read for its words; the rest hardly changes their shares.
_CHARACTERS_MAX = 20_000
_WORD = re.compile(r"[^\W_]{2,30}")
_APPROVAL = frozenset({"approved", "note"})
_COUNTED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED})


def context_of(job: EndedJob) -> Context:
    """The dimensions by which the job's signals are grouped."""
    return Context(
        job.id,
        job.organization_id,
        job.project_id,
        job.capability,
        _model_version(job),
        _prompt_version(job.result or {}),
        job.arm_id,
        job.is_shadow,
        job.finished_at,
    )


def values_of(job: EndedJob) -> list[Value]:
    """The job's signals; empty for a cancelled or rejected one, which says nothing about its version."""
    if job.state not in _COUNTED:
        return []
    found = [
        _flag(Signal.SUCCEEDED, job.state is JobState.SUCCEEDED),
        _flag(Signal.RETRIED, job.failures > 0),
        _flag(Signal.OUTAGE, job.outages > 0),
        _flag(Signal.GUARD_FOUND, job.has_findings),
        *_of_tools(job),
        *_of_people(job.answers),
    ]
    if job.feedback is not None:
        found.append(Value(Signal.FEEDBACK, job.feedback))
    if job.labeled_good is not None:
        found.append(Value(Signal.LABELED_GOOD, job.labeled_good))
    if job.judged_good is not None:
        found.append(Value(Signal.JUDGED_GOOD, job.judged_good))
    if job.input is not None:
        found.append(Value(Signal.INPUT_LENGTH, float(sum(map(len, texts_in(job.input))))))
    if job.state is JobState.SUCCEEDED:
        if job.started_at is not None:
            found.append(Value(Signal.RUN_SECONDS, (job.finished_at - job.started_at).total_seconds()))
        if job.result is not None:
            found += _of_result(job.result)
    return found


def words_of(payload: Mapping[str, Any]) -> bytes | None:
    """The word frequencies of an input, as `BUCKETS` bytes: square roots of shares, 255 for all. None without words.

    A word counts in the bucket of its hash, so that no word can be recovered. As roots, the vectors have length 1,
    and their distance is Hellinger's.
    """
    counts: Counter[int] = Counter()
    left = _CHARACTERS_MAX
    for text in texts_in(payload):
        counts.update(zlib.crc32(word.encode()) % BUCKETS for word in _WORD.findall(text[:left].lower()))
        left -= len(text)
        if left <= 0:
            break
    total = counts.total()
    if not total:
        return None
    histogram = bytearray(BUCKETS)
    for bucket, count in counts.items():
        histogram[bucket] = round(255 * (count / total) ** 0.5)
    return bytes(histogram)


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a payload that is not one of our ids, at any depth."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            stack.extend(reversed([item for name, item in each.items() if not _is_reference(name)]))
        elif isinstance(each, list):
            stack.extend(reversed(each))


def _is_reference(name: str) -> bool:
    return name in {"knowledge_base", "knowledge_bases", "files", "documents", "model", "data", "mode"}


def _model_version(job: EndedJob) -> str:
    if job.model_version is None:
        return job.model or ""
    try:
        return encode(MODEL_VERSION, UUID(job.model_version))
    except ValueError:
        return job.model_version


def _prompt_version(result: Mapping[str, Any]) -> str:
    """The digest of the prompt; of several prompts, the digest of their names and digests."""
    one = result.get("prompt")
    if isinstance(one, str):
        return one
    several = result.get("prompts")
    if not isinstance(several, Mapping) or not several:
        return ""
    if len(several) == 1:
        return str(next(iter(several.values())))
    return f"sha256:{hashlib.sha256(dumps(dict(several), sort_keys=True)).hexdigest()}"


def _flag(signal: Signal, is_so: bool) -> Value:
    return Value(signal, float(is_so))


def _share(signal: Signal, part: int, whole: int) -> list[Value]:
    return [Value(signal, float(part), float(whole))] if whole > 0 else []


def _of_tools(job: EndedJob) -> list[Value]:
    return _share(Signal.TOOL_FAILED, max(0, job.tools_called - job.tools_finished), job.tools_called)


def _of_people(answers: Sequence[Any]) -> list[Value]:
    approvals = [each for each in answers if isinstance(each, Mapping) and isinstance(each.get("approved"), bool)]
    refused = sum(not each["approved"] for each in approvals)
    corrected = sum(each["approved"] and not each.keys() <= _APPROVAL for each in approvals)
    return [
        *_share(Signal.HUMAN_APPROVED, len(approvals) - refused - corrected, len(approvals)),
        *_share(Signal.HUMAN_CORRECTED, corrected, len(approvals)),
        *_share(Signal.HUMAN_REFUSED, refused, len(approvals)),
    ]


def _of_result(result: Mapping[str, Any]) -> Iterator[Value]:
    if isinstance(result.get("answered"), bool) and result.get("mode") != "passages":
        yield _flag(Signal.ABSTAINED, not result["answered"])
    if isinstance(result.get("finish"), str):
        yield _flag(Signal.CUT_OFF, result["finish"] == "length")
    if isinstance(result.get("valid"), bool):
        yield _flag(Signal.SCHEMA_VALID, result["valid"])
    if "needs_human" in result:
        yield _flag(Signal.HANDED_OVER, result["needs_human"] is not None)
    yield from _of_quotes(result)
    yield from _of_claims(result)
    yield from _of_confidence(result)
    texts = [result[name] for name in _TEXTS if isinstance(result.get(name), str)]
    if texts:
        yield Value(Signal.RESULT_LENGTH, float(len(texts[0])))


def _of_quotes(result: Mapping[str, Any]) -> list[Value]:
    verified, dropped = result.get("citations"), result.get("dropped_quotes")
    if not isinstance(verified, list) or not isinstance(dropped, int):
        return []
    return _share(Signal.QUOTES_VERIFIED, len(verified), len(verified) + dropped)


def _of_claims(result: Mapping[str, Any]) -> list[Value]:
    sections, removed = result.get("sections"), result.get("removed")
    if not isinstance(sections, list) or not isinstance(removed, list):
        return []
    claims = [claim for section in _mappings(sections) for claim in _mappings(section.get("claims"))]
    quoted = sum(claim.get("support") == "quoted" for claim in claims)
    return [
        *_share(Signal.CLAIMS_SUPPORTED, len(claims), len(claims) + len(removed)),
        *_share(Signal.CLAIMS_QUOTED, quoted, len(claims)),
    ]


def _of_confidence(result: Mapping[str, Any]) -> list[Value]:
    fields, intent = result.get("fields"), result.get("intent")
    if isinstance(fields, Mapping) and fields:
        data = result.get("data")
        given = data if isinstance(data, Mapping) else fields
        # A value below the required confidence is withheld; its confidence is still given.
        found = [sure for name, each in fields.items() if (sure := _confidence(each)) and given.get(name) is not None]
        mean = [Value(Signal.CONFIDENCE, sum(found) / len(found))] if found else []
        return [*_share(Signal.FIELDS_FOUND, len(found), len(fields)), *mean]
    if isinstance(intent, Mapping) and "confidence" in intent:
        return [Value(Signal.CONFIDENCE, _confidence(intent))]
    return []


def _confidence(value: Any) -> float:
    given = value.get("confidence") if isinstance(value, Mapping) else None
    return min(1.0, max(0.0, float(given))) if isinstance(given, int | float) else 0.0


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
