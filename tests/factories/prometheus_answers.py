"""A server that speaks the query API of Prometheus, with figures that a test sets, in the shape that one gave."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_PROCESS = re.compile(r'waybill_io_process="([\w-]+)"')
# Requests or attempts, how many of them failed, and the 95th percentile in seconds.
Figures = tuple[float, float, float]


class PrometheusAnswers:
    """Answers what `figures` says of a process; None is an empty vector, a `status` other than 200 a failure."""

    def __init__(self, figures: Callable[[str], Figures | None]) -> None:
        self.figures = figures
        self.status = 200
        self.queries: list[str] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(answers.answer(parse_qs(urlsplit(self.path).query)["query"][0])).encode()
                self.send_response(answers.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, query: str) -> dict[str, Any]:
        """The document for one query, as Prometheus 2.42 writes it."""
        self.queries.append(query)
        found = _PROCESS.search(query)
        assert found is not None, query
        figures = self.figures(found[1])
        result: list[dict[str, Any]] = []
        if figures is not None:
            place = 2 if "quantile" in query else 1 if '5xx"' in query or '"failed"' in query else 0
            result.append({"metric": {}, "value": [1795953600.781, str(figures[place])]})
        return {"status": "success", "data": {"resultType": "vector", "result": result}}
