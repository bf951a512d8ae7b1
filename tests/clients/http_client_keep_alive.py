# needs: network
import http.client
import os
from urllib.parse import urlsplit

connection = http.client.HTTPConnection(urlsplit(os.environ["URL"]).netloc)
for number in range(3):
    connection.request("GET", f"/json?{number}")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"path": "/json?%d"}' % number)
connection.close()
