# needs: packages=openpyxl
import openpyxl
from openpyxl.chart import BarChart, Reference

book = openpyxl.Workbook()
sheet = book.active
sheet.append(["month", "sum"])
for row in [("May", 3), ("June", 5)]:
    sheet.append(row)
sheet["B4"] = "=SUM(B2:B3)"
chart = BarChart()
chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
sheet.add_chart(chart, "D2")
book.save("sales.xlsx")
assert openpyxl.load_workbook("sales.xlsx").active["B4"].value == "=SUM(B2:B3)"
