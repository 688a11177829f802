# SPDX-License-Identifier: Apache-2.0
"""An HTTP server where clients of the AUTOMATIC1111 API expect theirs: each call goes through the queue."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import typing as t

from tests.worker.harness import Deployment

_SCRIPTS = {"txt2img": ["controlnet m2m", "adetailer", "animatediff"], "img2img": []}
"""Scripts whose presence makes clients name them in every call, if only to switch them off."""


class Webui:
    """Captures each call's body as it came over the wire, has it drawn, and answers as that API does."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.calls: list[tuple[str, dict[str, t.Any]]] = []
        self.results: list[dict[str, t.Any]] = []
        webui = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request."""

            def do_GET(self) -> None:
                """What clients ask at their start."""
                self._answer(200 if self.path.endswith("/scripts") else 404, _SCRIPTS)

            def do_POST(self) -> None:
                """A call."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(*webui.call(self.path, json.loads(body)))

            def log_message(self, format: str, *args: t.Any) -> None:
                """Nothing."""

            def _answer(self, status: int, document: t.Any) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def call(self, path: str, payload: dict[str, t.Any]) -> tuple[int, dict[str, t.Any]]:
        """Status and document of the answer to a call."""
        self.calls.append((path, payload))
        result = self.deployment.wait(self.deployment.send({"api": path, "payload": payload}))
        self.results.append(result)
        if result["status"] != "succeeded":
            return 422, {"detail": result["error"]["message"]}
        images = [base64.b64encode(self.deployment.read(image["key"])).decode() for image in result["images"]]
        info = json.dumps({"all_seeds": [image["seed"] for image in result["images"]]})
        return 200, {"images": images, "parameters": result["parameters"], "info": info}

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
