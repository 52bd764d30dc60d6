#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A plugin of the chat, in Python's standard library: hides words in what guests say, before others hear it.

PLUGIN_PORT               where it listens; any free port of 127.0.0.1 without it
PLUGIN_URL                where the platform finds it, when that is elsewhere: then it listens on every address
MODERATION_WORDS          the words, with commas between them
DAPR_HTTP_ENDPOINT        where the platform is: 127.0.0.1 without it, at
DAPR_HTTP_PORT            3500 without it
POMELO_KEEL_BOOTSTRAP     admits it; without it somebody else registers it
"""
import json, os, re, signal, sys, threading, time, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.setrecursionlimit(4000)  # the chat lets JSON be 512 deep
ID = "pomelo-moderation"
IDENTITY = {
    "ret": 0, "msg": "ok", "plugin_id": ID, "version": "1.0",
    "main_plugin": [{"id": "chat", "version": "1.0", "endpoints": [
        {"addons": "before-send-callback", "endpoint": "/before-send"}]}],
}
WORDS = [word.strip() for word in os.environ.get("MODERATION_WORDS", "darn,heck,dang").split(",") if word.strip()]
FOUND = re.compile(r"(?<!\w)(?:%s)(?!\w)" % "|".join(map(re.escape, WORDS)) if WORDS else r"(?!)", re.IGNORECASE)


def hidden(value):
    """What is said may be any JSON; texts are looked at wherever they stand in it."""
    if isinstance(value, str):
        return FOUND.sub("***", value)
    if isinstance(value, list):
        return [hidden(part) for part in value]
    return {key: hidden(part) for key, part in value.items()} if isinstance(value, dict) else value


class Plugin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    wbufsize = -1  # an answer leaves in one piece: its second half would wait for the other side's word

    def do_GET(self):
        known = {"/v1/identify": IDENTITY, "/v1/status": {"ret": 0, "msg": "ok", "status": "ACTIVE"}}
        self.answer(known.get(self.path))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/before-send":
            return self.answer(None)
        said = json.loads(body)["data"]
        self.answer({"ret": 0, "msg": "ok", "data": {**said, "body": hidden(said["body"])}})

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
    """Until the platform is there; it may have started later, or be without its Redis for a while."""
    wish = json.dumps({"id": ID, "url": url, "secret": secret, "replace": True}).encode()
    platform = os.environ.get("DAPR_HTTP_ENDPOINT") or "http://127.0.0.1:%s" % os.environ.get("DAPR_HTTP_PORT", 3500)
    platform += "/v1.0/invoke/plugins/method/register"
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(platform, wish), timeout=30).close()
            return print("registered", ID, flush=True)
        except urllib.error.HTTPError as error:
            print("not registered yet:", error.read().decode(), flush=True)
        except OSError:
            pass
        time.sleep(1)


url = os.environ.get("PLUGIN_URL")
address = ("" if url else "127.0.0.1", int(os.environ.get("PLUGIN_PORT") or 0))
server = ThreadingHTTPServer(address, Plugin)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
url = url or "http://127.0.0.1:%d" % server.server_port
print("up moderation", url, flush=True)
if secret := os.environ.get("POMELO_KEEL_BOOTSTRAP"):
    threading.Thread(target=register, args=(url, secret), daemon=True).start()
server.serve_forever()
