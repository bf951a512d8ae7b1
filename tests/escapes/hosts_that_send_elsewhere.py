"""The host that may be reached, with a secret, sends to others: to this machine by its address, and to a host of the attacker's."""

import urllib.request

import requests

start = "http://api.example:{{PORT}}/away?"
for target in (
    "http://127.0.0.1:{{PORT}}/x",
    "http://localhost:{{PORT}}/x",
    "http://[::1]:{{PORT}}/x",
    "http://2130706433:{{PORT}}/x",
    "http://evil.example:{{PORT}}/x",
    "http://api.example.evil.example:{{PORT}}/x",
    "http://api.example:{{PORT}}@evil.example/x",
    "http://api.example:80/x",
):
    for ask in (lambda url: requests.get(url, timeout=2).text, lambda url: urllib.request.urlopen(url, timeout=2).read()):
        try:
            print(target, ask(start + target))
        except Exception as error:
            print(target, error)
