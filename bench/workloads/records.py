import json

orders = []
for i in range(900):
    orders.append(
        {
            "id": i,
            "customer": {"name": f"customer {i % 37}", "region": ["north", "south", "east"][i % 3]},
            "items": [{"sku": f"sku-{j}", "price": (i * 7 + j) % 50 + 0.5, "count": j % 4} for j in range(5)],
        }
    )
text = json.dumps(orders)
totals = {}
for order in json.loads(text):
    amount = 0.0
    for item in order["items"]:
        amount += item["price"] * item["count"]
    region = order["customer"]["region"]
    totals.setdefault(region, []).append(amount)


def flatten(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from flatten(inner, f"{path}[{index}]")
    else:
        yield path, value


flat = dict(pair for order in orders[:120] for pair in flatten(order))
ranked = sorted(orders, key=lambda order: (-sum(i["price"] for i in order["items"]), order["id"]))
({name: (len(found), round(sum(found), 2)) for name, found in totals.items()}, len(flat), ranked[0]["id"])
