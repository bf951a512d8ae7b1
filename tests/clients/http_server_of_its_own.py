# needs: network
import threading
import urllib.request
from http.server import HTTPServer, SimpleHTTPRequestHandler

with open("index.html", "w") as file:
    file.write("mine")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


with HTTPServer(("localhost", 0), Quiet) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with urllib.request.urlopen(f"http://localhost:{server.server_port}/") as answer:
        assert answer.read() == b"mine"
    server.shutdown()
