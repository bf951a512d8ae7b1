# needs: packages=pypdf
import pypdf

writer = pypdf.PdfWriter()
for _number in range(3):
    writer.add_blank_page(width=200, height=200)
writer.add_metadata({"/Title": "Three pages"})
writer.write("three.pdf")
reader = pypdf.PdfReader("three.pdf")
assert (len(reader.pages), reader.metadata.title) == (3, "Three pages")
assert reader.pages[0].extract_text() == ""
