# needs: packages=pillow
from PIL import Image, ImageDraw, ImageFilter

image = Image.new("RGB", (60, 40), "white")
ImageDraw.Draw(image).ellipse((5, 5, 30, 30), fill="red")
image.filter(ImageFilter.BLUR).save("a.png")
image.save("a.jpg")
assert Image.open("a.png").size == (60, 40)
