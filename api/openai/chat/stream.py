"""A chat completion in chunks."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import Request

from api.openai.chat.wire import answers, choice, chunk, finish_reason, logprobs, ours, tool_call, usage
from api.openai.errors import Failure, of_job
from api.openai.reported import ReportedText, StreamDiverged
from api.openai.streams import DialectStream, JobEvent, sse
from core.jobs.records import JobRecord

_DONE = b"data: [DONE]\n\n"
_INTERRUPTED = Failure(
    503, "stream_interrupted", "the stream was interrupted before the answer was complete; send the request again"
)
_DIVERGED = Failure(
    502,
    "answer_begun_anew",
    ("the model was interrupted and a second attempt answered differently; send the request again without stream"),
)


class CompletionStream(DialectStream):
    """``chat.completion.chunk`` events up to ``[DONE]``, or to an error."""

    def __init__(self, request: Request, job: JobRecord, model: str, *, include_usage: bool, cancels: bool) -> None:
        super().__init__(request, job, cancels=cancels)
        self.model = model
        self._text = ReportedText()
        self._has_begun = False
        # OpenAI shows `usage: null` on every chunk when the usage was asked for.
        self._more: dict[str, Any] = {"usage": None} if include_usage else {}

    async def translate(self, event: JobEvent) -> bytes:
        """The chunks of one event."""
        try:
            if event.type == "message.delta":
                return self._send_text(self._text.add(event.attempt, event.data))
            if event.type == "job.waiting":
                return await self._give_up()
            return await self._finish() if event.type in _FINAL else b""
        except StreamDiverged:
            self.give_up()
            return _error(_DIVERGED)

    def to_event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        """An event with these choices."""
        return sse(chunk(self.job, self.model, choices, **more))

    def interrupted(self) -> bytes:
        """See `DialectStream.interrupted`."""
        return _error(_INTERRUPTED)

    def _send_text(self, text: str) -> bytes:
        return self._begin() + self._chunk(choice({"content": text})) if text else b""

    def _begin(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        return self._chunk(choice({"role": "assistant", "content": "", "refusal": None}))

    def _chunk(self, of: dict[str, Any], **more: Any) -> bytes:
        return self.to_event([of], **self._more, **more)

    async def _finish(self) -> bytes:
        job, result = await self.result()
        if result is None:
            return _error(of_job(job))
        pieces = [self._begin(), self._send_text(self._text.complete(result["text"]))]
        for index, answer in enumerate(answers(result)):
            # The other answers are sent whole, once they exist.
            pieces += self._rest(index, answer, ours(job, result))
        if self._more:
            pieces.append(self.to_event([], usage=usage(result["usage"])))
        return b"".join([*pieces, _DONE])

    def _rest(self, index: int, answer: Mapping[str, Any], marks: Mapping[str, Any]) -> Iterator[bytes]:
        deltas = [] if index == 0 else [{"role": "assistant", "content": answer["text"], "refusal": None}]
        calls = enumerate(answer["tool_calls"])
        deltas += [{"tool_calls": [{"index": number, **tool_call(call)}]} for number, call in calls]
        for delta in deltas:
            yield self._chunk(choice(delta, index=index))
        yield self._chunk(choice({}, finish_reason(answer), index=index, logprobs=logprobs(answer)), **marks)

    async def _give_up(self) -> bytes:
        """End with an error: a completion's client waits for an answer, not for another person's input."""
        job, _ = await self.result()
        self.give_up()
        return _error(of_job(job))


_FINAL = frozenset({"job.succeeded", "job.failed", "job.cancelled", "job.expired", "job.rejected"})


def _error(failure: Failure) -> bytes:
    return sse({"error": failure.body()})
