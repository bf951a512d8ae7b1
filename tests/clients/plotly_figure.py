# needs: packages=plotly,pandas,numpy
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go

figure = px.bar(pd.DataFrame({"month": ["May", "June"], "sum": [3, 5]}), x="month", y="sum")
figure.add_trace(go.Scatter(x=["May", "June"], y=[1, 2]))
figure.write_html("figure.html")
with open("figure.html") as file:
    assert "plotly" in file.read()
assert len(figure.to_dict()["data"]) == 2
