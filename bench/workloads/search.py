import heapq
from collections import deque


class Graph:
    def __init__(self, size):
        self.size = size
        self.edges = {}

    def connect(self, a, b, cost):
        self.edges.setdefault(a, []).append((b, cost))
        self.edges.setdefault(b, []).append((a, cost))

    def shortest(self, start, end):
        queue, seen = [(0, start)], {}
        while queue:
            cost, node = heapq.heappop(queue)
            if node in seen:
                continue
            seen[node] = cost
            if node == end:
                return cost
            for other, more in self.edges.get(node, ()):
                if other not in seen:
                    heapq.heappush(queue, (cost + more, other))
        return None

    def reachable(self, start, steps):
        queue, seen = deque([(start, 0)]), {start}
        while queue:
            node, depth = queue.popleft()
            if depth == steps:
                continue
            for other, _ in self.edges[node]:
                if other not in seen:
                    seen.add(other)
                    queue.append((other, depth + 1))
        return len(seen)


def queens(size, row=0, columns=0, left=0, right=0):
    if row == size:
        return 1
    count = 0
    for column in range(size):
        bit = 1 << column
        if not (columns & bit or left & bit or right & bit):
            count += queens(size, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return count


def permutations(items):
    if len(items) <= 1:
        return [items]
    return [[x] + rest for i, x in enumerate(items) for rest in permutations(items[:i] + items[i + 1 :])]


graph = Graph(600)
for i in range(600):
    graph.connect(i, (i * 7 + 3) % 600, i % 11 + 1)
    graph.connect(i, (i * 13 + 5) % 600, i % 5 + 2)
(graph.shortest(0, 599), graph.reachable(0, 4), queens(6), len(permutations(list(range(6)))))
