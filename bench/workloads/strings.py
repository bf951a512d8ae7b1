import re

text = " ".join(f"user{i}@example{i % 13}.org, {i * 3} items; " for i in range(1500))
found = re.findall(r"(\w+)@(\w+)\.org", text)
by_host = {}
for name, host in found:
    by_host.setdefault(host, []).append(name.upper())
lines = [f"{host:>12}: {len(names):4d} {','.join(names)[:20]}" for host, names in sorted(by_host.items())]
out = []
for line in lines * 40:
    key, _, rest = line.partition(":")
    out.append(key.strip() + "=" + rest.strip().split(" ")[0])
final_answer((len(out), out[0], out[-1]))
