rows = [{"id": i, "group": i % 7, "value": (i * 37) % 101} for i in range(6000)]
groups = {g: [r["value"] for r in rows if r["group"] == g] for g in range(7)}
means = {g: sum(v) / len(v) for g, v in groups.items()}
pairs = [(a, b) for a in range(150) for b in range(150) if (a * b) % 11 == 3]
flat = sorted({r["value"] for r in rows}, reverse=True)
final_answer((round(sum(means.values()), 6), len(pairs), flat[:3]))
