"""/metrics, /health/live and /health/ready on a port of their own, served by a thread."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from stream.errors import Stop

Check = Callable[[], dict[str, bool]]
"""Named conditions, all of which must hold."""


class HealthServer:
    """Live: the loop moves. Ready: partitions restored, tables read, model loaded. Neither depends on lag."""

    def __init__(self, port: int, registry: CollectorRegistry, live: Check, ready: Check) -> None:
        checks = {"/health/live": live, "/health/ready": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif path in checks:
                    result = checks[path]()
                    self._answer(200 if all(result.values()) else 503, "application/json", json.dumps(result).encode())
                else:
                    self._answer(404, "text/plain", b"/metrics /health/live /health/ready\n")

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Requests for metrics are not worth a line each."""

        try:
            self._server = ThreadingHTTPServer(("", port), Handler)
        except OSError as error:
            raise Stop(
                f"cannot listen on port {port}: {error.strerror}",
                hint="choose another --metrics-port, or 0 for a free one",
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
