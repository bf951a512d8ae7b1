def collatz(limit):
    best, best_n = 0, 0
    for n in range(1, limit):
        steps, m = 0, n
        while m != 1:
            m = m // 2 if m % 2 == 0 else 3 * m + 1
            steps += 1
        if steps > best:
            best, best_n = steps, n
    return best_n, best


matrix = [[(i * j) % 10 for j in range(40)] for i in range(40)]
product = [[0] * 40 for _ in range(40)]
for i in range(40):
    for j in range(40):
        total = 0
        for k in range(40):
            total += matrix[i][k] * matrix[k][j]
        product[i][j] = total
final_answer((collatz(2500), sum(map(sum, product))))
