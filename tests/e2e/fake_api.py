"""Telnyx' REST side as far as the agent needs it (telnyx-protocol.md 3, appendix B.6): remembers every request, answers
what a test has laid out for a path, else as if all were well."""
import http.server
import json
import threading

from harness import until


def error(code, title="no"):
    return {"errors": [{"code": str(code), "title": title}]}


class Answer:
    def __init__(self, status=200, body=None, headers=None, hold=None, drop=False):
        self.status, self.headers, self.hold, self.drop = status, headers or {}, hold, drop
        self.body = body if isinstance(body, bytes) else json.dumps(
            {"data": {"result": "ok"}} if body is None else body).encode()


class Api:
    def __init__(self):
        self.requests, self.answers, self.lock = [], {}, threading.Lock()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                answer = api.take(self.command, self.path, dict(self.headers), body)
                if answer.hold is not None:
                    answer.hold.wait(20)
                if answer.drop:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = serve

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}/v2"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, method, path, headers, body):
        with self.lock:
            self.requests.append({"method": method, "path": path, "headers": headers,
                                  "body": json.loads(body) if body else None})
            waiting = self.answers.get((method, path.rsplit("/", 1)[-1] if method == "POST" else "call"))
            return waiting.pop(0) if waiting else Answer(
                body={"data": {"is_alive": True}} if method == "GET" else None)

    def answer(self, what, *answers):
        """`what`: a command's name, or "call" for the question whether a leg is alive."""
        self.answers[("GET" if what == "call" else "POST", what)] = list(answers)

    def of(self, what):
        with self.lock:
            return [r for r in self.requests if r["path"].endswith(f"/actions/{what}")
                    or (what == "call" and r["method"] == "GET")]

    def wait(self, what, count=1):
        return until(f"{count} requests {what}", lambda: (seen := self.of(what)) and len(seen) >= count and seen)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
