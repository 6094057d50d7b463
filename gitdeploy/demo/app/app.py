"""The demo's application: says its version on port 80."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = Path("VERSION").read_text().strip()


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with one line of text."""

    def do_GET(self) -> None:
        """Answer with the version."""
        text = f"hello from dev-app {VERSION}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container has no default action
ThreadingHTTPServer(("", 80), Handler).serve_forever()
