// SPDX-License-Identifier: MIT
#if Keel
    /// Plugins as others write them, in Python.
    enum PluginPrograms {
        /// A plugin that answers what it is told to, byte for byte, and keeps what it was asked.
        ///
        /// `/_set` takes texts by their paths; `/_seen` has the requests.
        static let scripted = """
            import json, sys
            from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

            answers, seen = {}, []


            class Plugin(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                wbufsize = -1

                def serve(self):
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                    path = self.path.split("?")[0]
                    if path == "/_set":
                        answers.update(json.loads(body))
                        text = "{}"
                    elif path == "/_seen":
                        text = json.dumps(seen)
                    else:
                        headers = {name.lower(): value for name, value in self.headers.items()}
                        seen.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
                        text = answers.get(path)
                    sent = (text or "").encode()
                    self.send_response(404 if text is None else 200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(sent)))
                    self.end_headers()
                    self.wfile.write(sent)

                do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

                def log_message(self, *_):
                    pass


            server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Plugin)
            print("up plugin http://127.0.0.1:%d" % server.server_port, flush=True)
            server.serve_forever()
            """

        /// A plugin at `before-send-callback` that does what is worst, as `/_mood` says.
        static let rude = """
            import json, socket, struct, sys, time
            from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

            IDENTITY = {
                "ret": 0, "msg": "ok", "plugin_id": "acme-rude", "version": "1.0",
                "main_plugin": [{"id": "chat", "endpoints": [{"addons": "before-send-callback", "endpoint": "/said"}]}],
            }
            mood = "good"


            class Plugin(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                wbufsize = -1

                def do_GET(self):
                    status = {"ret": 0, "msg": "ok", "status": "ACTIVE"}
                    self.answer(IDENTITY if self.path == "/v1/identify" else status)

                def do_POST(self):
                    global mood
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    if self.path == "/_mood":
                        mood = body.decode()
                    elif mood != "good":
                        return getattr(self, mood)()
                    self.answer({"ret": 0, "msg": "ok"})

                def silent(self):
                    time.sleep(10)
                    self.close_connection = True

                def garbled(self):
                    self.wfile.write(b"\\x00\\xff no HTTP at all\\r\\n\\r\\n")
                    self.close_connection = True

                def endless(self):
                    self.head("Transfer-Encoding", "chunked")
                    self.close_connection = True
                    try:
                        while True:
                            self.wfile.write(b"1000\\r\\n" + b"x" * 4096 + b"\\r\\n")
                            time.sleep(0.001)
                    except OSError:
                        self.wfile = open("/dev/null", "wb")

                def torn(self):
                    self.head("Content-Length", "100")
                    self.wfile.write(b'{"ret":0,"msg":"')
                    self.wfile.flush()
                    # Then the end of the connection is a reset.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True

                def huge(self):
                    self.answer({"ret": 0, "msg": "ok", "data": {"body": "x" * (2 << 20)}})

                def head(self, name, value):
                    self.send_response(200)
                    self.send_header(name, value)
                    self.end_headers()

                def answer(self, value):
                    body = json.dumps(value).encode()
                    self.head("Content-Length", str(len(body)))
                    self.wfile.write(body)

                def log_message(self, *_):
                    pass


            server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Plugin)
            print("up plugin http://127.0.0.1:%d" % server.server_port, flush=True)
            server.serve_forever()
            """

        /// A plugin written with a library that many use.
        static let flask = """
            import sys
            from flask import Flask, request
            from werkzeug.serving import make_server

            app = Flask("plugin")
            status = "ACTIVE"


            @app.get("/v1/identify")
            def identify():
                return {"ret": 0, "msg": "ok", "plugin_id": sys.argv[2], "version": "1.0"}


            @app.get("/v1/status")
            def tell():
                return {"ret": 0, "msg": "ok", "status": status}


            @app.get("/hello")
            def hello():
                return {"ret": 0, "msg": "ok", "data": "hello"}


            @app.post("/_status")
            def change():
                global status
                status = request.get_data(as_text=True)
                return {}


            server = make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True)
            print("up plugin http://127.0.0.1:%d" % server.server_port, flush=True)
            server.serve_forever()
            """
    }
#endif
