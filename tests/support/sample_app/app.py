"""Says its version. Also: /health, /env/NAME, and /slow/SECONDS for a request that is under way at a switch."""

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = Path("VERSION").read_text().strip()


class Handler(BaseHTTPRequestHandler):
    """Answers GET with one line of text."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The version, unless the path asks for something else."""
        verb, _, argument = self.path.strip("/").partition("/")
        text = f"dev-app {VERSION}\n"
        if verb == "env":
            text = os.environ.get(argument, "") + "\n"
        elif verb == "slow":
            time.sleep(float(argument))
        elif verb not in ("", "health"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Logs no requests."""


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container has no default action
print("dev-app", VERSION, "listens on port 80", flush=True)
ThreadingHTTPServer(("", 80), Handler).serve_forever()
