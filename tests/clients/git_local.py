# needs: programs=git
import subprocess


def git(*words):
    done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


git("init", "-q", "repo")
with open("repo/a.txt", "w") as file:
    file.write("one\n")
git("-C", "repo", "add", ".")
git("-C", "repo", "commit", "-qm", "First")
git("clone", "-q", "repo", "copy")
assert git("-C", "copy", "log", "--format=%s") == "First\n"
assert "one" in git("-C", "copy", "show", "HEAD:a.txt")
