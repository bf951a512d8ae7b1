def multiply(a, b):
    n, m, k = len(a), len(b[0]), len(b)
    result = [[0] * m for _ in range(n)]
    for i in range(n):
        for j in range(m):
            total = 0
            for x in range(k):
                total += a[i][x] * b[x][j]
            result[i][j] = total
    return result


def distance(a, b):
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            current.append(min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (x != y)))
        previous = current
    return previous[-1]


size = 26
a = [[(i * 3 + j) % 11 for j in range(size)] for i in range(size)]
b = [[(i + 5 * j) % 13 for j in range(size)] for i in range(size)]
c = multiply(multiply(a, b), a)
grid = [[1 if (x * y) % 7 == 1 else 0 for x in range(60)] for y in range(60)]
for _ in range(2):
    grid = [
        [
            sum(grid[(y + dy) % 60][(x + dx) % 60] for dy in (-1, 0, 1) for dx in (-1, 0, 1)) in (3, 4)
            for x in range(60)
        ]
        for y in range(60)
    ]
(
    sum(map(sum, c)),
    distance("intention of the writer" * 3, "execution of the reader" * 3),
    sum(map(sum, grid)),
)
