def numbers(n):
    value = 1
    for _ in range(n):
        value = value * 48271 % 2147483647
        yield value


def batches(source, size):
    batch = []
    for item in source:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def running(source):
    total = 0
    for item in source:
        total += item
        yield total


class Tree:
    def __init__(self, low, high):
        middle = (low + high) // 2
        self.value = middle
        self.left = Tree(low, middle) if low < middle else None
        self.right = Tree(middle + 1, high) if middle + 1 < high else None

    def __iter__(self):
        if self.left is not None:
            yield from self.left
        yield self.value
        if self.right is not None:
            yield from self.right


best = max(sum(batch) % 1009 for batch in batches(numbers(6000), 7))
last = 0
for last in running(x % 13 for x in numbers(4000)):
    pass
(best, last, sum(Tree(0, 700)), sum(a * b for a, b in zip(numbers(3000), range(3000))) % 997)
