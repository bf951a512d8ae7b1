class Account:
    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance
        self.history = []

    def deposit(self, amount):
        self.balance += amount
        self.history.append(("deposit", amount))
        return self

    def withdraw(self, amount):
        if amount > self.balance:
            raise ValueError("too little")
        self.balance -= amount
        self.history.append(("withdraw", amount))
        return self


class Savings(Account):
    def __init__(self, owner, rate):
        super().__init__(owner)
        self.rate = rate

    @property
    def interest(self):
        return self.balance * self.rate


failed = 0
accounts = [Savings(f"owner{i}", 0.01 * (i % 5)) for i in range(200)]
for step in range(60):
    for k, account in enumerate(accounts):
        account.deposit(step * k % 17)
        try:
            account.withdraw(step % 13)
        except ValueError:
            failed += 1
final_answer((failed, round(sum(a.interest for a in accounts), 6), len(accounts[7].history)))
