# needs: packages=pandas,openpyxl
import pandas as pd

frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=60), "sum": range(60)})
frame.to_csv("a.csv", index=False)
frame.to_excel("a.xlsx", index=False)
frame.to_json("a.json")
by_month = pd.read_csv("a.csv", parse_dates=["when"]).set_index("when")["sum"].resample("MS").sum()
assert by_month.tolist() == [465, 1305]
assert pd.read_excel("a.xlsx")["sum"].sum() == frame["sum"].sum()
