"""api.example is of the internet when it is looked up first, and this machine, its network or the cloud's metadata later."""

import socket
import urllib.request

for _ in range(12):
    try:
        print(urllib.request.urlopen("http://api.example:{{PORT}}/inward", timeout=2).read())
    except OSError as error:
        print(error)
    print(socket.getaddrinfo("api.example", {{PORT}})[0][4])
