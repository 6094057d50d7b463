"""The application of these tests: says its version, and misbehaves as its environment asks.

VERSION        what it answers
PORTS          where it listens, "80" or "80,81"; "" for nowhere
START_DELAY    seconds before it listens
EXIT           exit code with which it ends at once
FAIL_EVERY     every Nth request to / is answered 500
CRASH_AFTER    it ends at that request to /
DEAF           ignores the stop signal
LINGER         after the stop signal, it ends when its connections have been closed, as servers do that end in peace
"""

import base64
import hashlib
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

VERSION = os.environ.get("VERSION", "0")
REQUESTS = count(1)


def setting(name: str) -> float:
    return float(os.environ.get(name) or 0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        verb, _, argument = self.path.strip("/").partition("/")
        number = next(REQUESTS) if not verb else 0
        if number and number == setting("CRASH_AFTER"):
            print("crashing", flush=True)
            os._exit(3)
        if number and setting("FAIL_EVERY") and number % setting("FAIL_EVERY") == 0:
            self.say("failed", 500)
        elif verb == "slow":
            time.sleep(float(argument))
            self.say(VERSION)
        elif verb == "from":
            self.say(self.headers.get("X-Forwarded-For", ""))
        elif verb == "host":
            self.say(self.headers.get("Host", ""), 200 if self.headers.get("Host") == argument else 421)
        elif verb == "headers":
            self.say("".join(f"{name}: {value}\n" for name, value in self.headers.items()))
        elif verb == "events":
            self.events()
        elif verb == "socket":
            self.websocket()
        else:
            self.say(VERSION, 404 if verb == "missing" else 200)

    def say(self, text: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def events(self) -> None:
        """Server-sent events: three, 0.2 s apart."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3):
            data = f"data: {number}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            time.sleep(0.2)
        self.wfile.write(b"0\r\n\r\n")

    def websocket(self) -> None:
        """A WebSocket (RFC 6455) that counts, ten numbers a second, until the client goes away."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        for number in count():
            text = f"{VERSION} {number}".encode()
            try:
                self.wfile.write(bytes([0x81, len(text)]) + text)
            except OSError:
                return
            time.sleep(0.1)

    def log_message(self, format: str, *args: object) -> None:
        """Logs no requests."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Takes off a PROXY protocol header (version 1), where the tests ask for it."""
        if os.environ.get("PROXY"):
            line = b""
            while not line.endswith(b"\r\n"):
                byte = request.recv(1)
                if not byte:
                    request.close()
                    return
                line += byte
            print(line.decode().strip(), flush=True)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        OPEN.append(request)
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            OPEN.remove(request)


OPEN: list[socket.socket] = []


def linger() -> None:
    while OPEN:
        time.sleep(0.01)
    os._exit(0)


def stop(*_: object) -> None:
    if os.environ.get("LINGER"):
        threading.Thread(target=linger).start()
    elif not os.environ.get("DEAF"):
        os._exit(0)


signal.signal(signal.SIGTERM, stop)
print("version", VERSION, flush=True)
if "EXIT" in os.environ:
    print("cannot find my database", file=sys.stderr, flush=True)
    sys.exit(int(os.environ["EXIT"]))
time.sleep(setting("START_DELAY"))
for port in filter(None, os.environ.get("PORTS", "80").split(",")):
    threading.Thread(target=Server(("", int(port)), Handler).serve_forever).start()
threading.Event().wait()
