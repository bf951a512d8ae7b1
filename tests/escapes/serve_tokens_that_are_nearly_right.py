# attack: serve/tokens-that-are-nearly-right
# oracle: reach
# source: own
# note: a token that is cut, longer, of other case, in another header, twice, or no text at all
import socket


def attack(world):
    good = world.alice.encode()
    heads = [b"Authorization: Bearer " + each for each in (good[:-1], good + b"x", good.upper(), good[1:], b"", b"*", b"null", b"undefined", good[:-1] + b"\xff", good + b"\0",
                                                           b"\xed\xa0\x80", good.replace(b"-", b"_"), b"x" * 60000)]
    heads += [b"Authorization: " + each for each in (good, b"Basic " + good, b"bearer", b"Bearer\t", b"Bearer: " + good)]
    heads += [b"X-API-Key: " + good[:-1], b"X-Access-Token: " + good[:8], b"Cookie: token=" + good, b"X-Forwarded-User: alice", b"X-Tenant: alice", b"Authorization : Bearer " + good]
    heads += [b"Authorization: Bearer wrong\r\nAuthorization: Bearer " + good[:-1], b"X-Token:\r\n Authorization: Bearer " + good]
    reached = []
    for head in heads:
        for target in (b"/v1/sessions", b"/v1/sessions?token=" + good, b"/v1/sessions?access_token=" + good):
            with socket.create_connection(world.address, timeout=10) as raw:
                raw.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + head + b"\r\n\r\n")
                try:
                    status = raw.recv(65536)[:12]
                except OSError:
                    status = b""
            if b" 200" in status:
                reached.append((head[:60], target))
    return reached
