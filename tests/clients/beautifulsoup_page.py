# needs: packages=requests,beautifulsoup4,lxml network
import os
import requests
from bs4 import BeautifulSoup

page = BeautifulSoup(requests.get(os.environ["URL"] + "/page").text, "lxml")
assert [link["href"] for link in page.select("ul a")] == ["/a", "/b"]
