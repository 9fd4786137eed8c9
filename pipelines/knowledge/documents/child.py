"""The process in which files are parsed: ``python -m pipelines.knowledge.documents.child LIMITS``.

It takes files on standard input and answers on standard output until the input ends, so it does not outlive its parent;
and it limits its own memory and processor time, so that a file that nobody foresaw ends this process and no other.
"""

import logging
import resource
import signal
import sys

import orjson

from pipelines.knowledge.documents import wire
from pipelines.knowledge.documents.errors import CORRUPT, TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.readers import read


def main(limits: Limits) -> None:
    """Answer until the input ends."""
    # Ctrl-C in a terminal reaches the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parsers warn about every flaw of every file, and quote it.
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(wire.frame(wire.READY))
    sink.flush()
    while True:
        about = wire.read_frame(source.read)
        data = wire.read_frame(source.read) if about is not None else None
        if about is None or data is None:
            return
        _limit_processor_time(limits.seconds)
        sink.write(wire.frame(_answer(wire.decode_task(about, data), limits)))
        sink.flush()


def _limit_processor_time(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(task: wire.Task, limits: Limits) -> bytes:
    try:
        return wire.encode_document(read(task.data, name=task.name, content_type=task.content_type, limits=limits))
    except UnreadableDocument as error:
        return wire.encode_refusal(error)
    except MemoryError:
        refusal = UnreadableDocument("Reading this file needs more memory than is allowed.", code=TOO_LARGE)
    except Exception as error:  # noqa: BLE001 - a parser's defect must cost one file, not the job
        refusal = UnreadableDocument(f"This file cannot be read ({type(error).__name__}).", code=CORRUPT)
    return wire.encode_refusal(refusal)


if __name__ == "__main__":
    main(Limits(**orjson.loads(sys.argv[1])))
