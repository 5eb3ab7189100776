"""A web service as they were once written: plain HTTP on 127.0.0.1:8000, and not to be touched.

It counts its visitors, says what it was told of them, and knows nothing of HTTPS.
"""

import http.server
import os

PORT = int(os.environ.get("PORT", "8000"))
TOLD = ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET with a page of plain text."""

    visitors = 0

    def do_GET(self) -> None:
        """Say who came, as far as it is known here."""
        Handler.visitors += 1
        lines = [f"visitor {Handler.visitors} of {self.path}"]
        lines += [f"{name}: {self.headers.get(name, '')}" for name in TOLD]
        content = "\n".join([*lines, ""]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Write no log."""


if __name__ == "__main__":
    http.server.HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
