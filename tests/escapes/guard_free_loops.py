# Loops that nobody pays for, nested: the budget has to end them.
def nested():
    for a in (1, 2, 3, 4, 5, 6, 7, 8):
        for b in [1, 2, 3, 4, 5, 6, 7, 8]:
            for c in range(8):
                for d in {1, 2, 3, 4, 5, 6, 7, 8}:
                    for e in (1, 2, 3, 4, 5, 6, 7, 8):
                        for f in "abcdefgh":
                            for g in (1, 2, 3, 4, 5, 6, 7, 8):
                                for h in range(8):
                                    for i in (1, 2, 3, 4, 5, 6, 7, 8):
                                        for j in (1, 2, 3, 4, 5, 6, 7, 8):
                                            pass


nested()
