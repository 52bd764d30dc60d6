#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A plugin with the id that is kept for it, in Python's standard library: issues login tokens, and says who calls
plugins from outside, so that nobody does without one.

PLUGIN_PORT               where it listens; any free port of 127.0.0.1 without it
AUTH_USERS                name:password, with commas between them
AUTH_SECONDS              how long a token is good: 3600 without it
DAPR_HTTP_PORT            where the platform listens: 3500 without it
POMELO_KEEL_BOOTSTRAP     admits it; without it somebody else registers it
"""
import base64, hashlib, hmac, json, os, signal, threading, time, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ID = "auth"
IDENTITY = {
    "ret": 0, "msg": "ok", "plugin_id": ID, "version": "1.0",
    "main_plugin": [{"id": "keel", "version": "1.0", "endpoints": [
        {"addons": "externalPreRouteCheck", "endpoint": "/v1/check"}]}],
}
USERS = dict(user.split(":", 1) for user in os.environ.get("AUTH_USERS", "").split(",") if ":" in user)
SECONDS = float(os.environ.get("AUTH_SECONDS") or 3600)
KEY = os.urandom(32)  # tokens end with the process


def signed(text):
    return base64.urlsafe_b64encode(hmac.digest(KEY, text.encode(), hashlib.sha256)).decode()


def token(user):
    text = base64.urlsafe_b64encode(json.dumps([user, time.time() + SECONDS]).encode()).decode()
    return text + "." + signed(text)


def user_of(word):
    """None for what is no token of ours, or was one."""
    text, _, signature = word.partition(".")
    if not hmac.compare_digest(signature.encode(), signed(text).encode()):
        return None
    user, end = json.loads(base64.urlsafe_b64decode(text))
    return user if time.time() < end else None


def login(_, body):
    try:
        wish = json.loads(body)
        user, password = wish["user"], wish["password"]
    except (ValueError, TypeError, KeyError):
        return {"ret": -400, "msg": "user and password are needed"}
    known = USERS.get(user, "") if isinstance(user, str) else ""
    if not known or not isinstance(password, str) or not hmac.compare_digest(known.encode(), password.encode()):
        return {"ret": -401, "msg": "no such user and password"}
    return {"ret": 0, "msg": "ok", "data": {"token": token(user), "seconds": SECONDS}}


def check(headers, _):
    """Who calls: the platform asks for everybody who has not shown that it is a plugin."""
    if probe := headers.get("x-keel-check"):  # at its registration it is tried both ways
        return {"ret": 0 if probe == "True" else -1, "msg": "checked"}
    if (headers.get("x-keel-plugin"), headers.get("x-keel-path")) == (ID, "/v1/login"):
        return {"ret": 0, "msg": "who logs in has no token yet"}
    user = user_of(headers.get("Authorization", "").removeprefix("Bearer "))
    return {"ret": 0, "msg": "ok", "data": {"user": user}} if user else {"ret": -401, "msg": "log in first"}


class Plugin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        known = {"/v1/identify": IDENTITY, "/v1/status": {"ret": 0, "msg": "ok", "status": "ACTIVE"}}
        self.answer(known.get(self.path))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        serve = {"/v1/login": login, "/v1/check": check}.get(self.path)
        self.answer(serve and serve(self.headers, body))

    def answer(self, value):
        body = json.dumps(value or {"ret": -404, "msg": "nothing is served here"}).encode()
        self.send_response(200 if value else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def register(url, secret):
    wish = json.dumps({"id": ID, "url": url, "secret": secret, "replace": True}).encode()
    platform = "http://127.0.0.1:%s/v1.0/invoke/plugins/method/register" % os.environ.get("DAPR_HTTP_PORT", 3500)
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(platform, wish), timeout=30).close()
            return print("registered", ID, flush=True)
        except urllib.error.HTTPError as error:
            print("not registered yet:", error.read().decode(), flush=True)
        except OSError:
            pass
        time.sleep(1)


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PLUGIN_PORT") or 0)), Plugin)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
url = "http://127.0.0.1:%d" % server.server_port
print("up auth", url, flush=True)
if secret := os.environ.get("POMELO_KEEL_BOOTSTRAP"):
    threading.Thread(target=register, args=(url, secret), daemon=True).start()
server.serve_forever()
