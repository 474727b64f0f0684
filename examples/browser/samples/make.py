"""Makes the sample pictures again: Open Clip Art on plain backgrounds, and a photo.

python make.py OPENCLIPART CHELSEA

OPENCLIPART: png folder of Debian's openclipart-png 0.18; CHELSEA: chelsea.png of scikit-image 0.26.
"""

import os
import sys

from PIL import Image

SIDE = 128
SKY, SEA, GRASS, ROAD, WALL = (150, 190, 230), (60, 105, 140), (105, 140, 70), (120, 120, 118), (196, 186, 172)

# Name: picture, colour above and below, share of the side it fills
PICTURES = {
    "airplane-1": ("transportation/vehicles/military_airplane_mo_01.png", SKY, (205, 222, 240), 0.95),
    "car-1": ("transportation/car_jamin_ellis_.png", SKY, ROAD, 0.92),
    "car-2": ("transportation/sportcar_sergio_luiz_ara_01.png", SKY, ROAD, 0.92),
    "bird-1": ("animals/birds/puffin-md.png", SKY, GRASS, 0.9),
    "cat-1": ("animals/mammals/housecats/gatto_cat_architetto_fra_01.png", WALL, WALL, 0.95),
    "deer-1": ("animals/mammals/fawn_mo_01.png", GRASS, GRASS, 0.9),
    "dog-1": ("animals/mammals/dogs/bulldog_puppy_ganson.png", WALL, WALL, 1.0),
    "frog-1": ("animals/rana02_architetto_france_01.png", GRASS, GRASS, 0.9),
    "horse-1": ("animals/mammals/horses/cavallo_architetto_franc_01.png", GRASS, (190, 160, 110), 1.0),
    "ship-1": ("transportation/boating/boat_jarno_vasamaa_.png", SKY, SEA, 0.85),
    "ship-2": ("transportation/boating/sailing_sunset.png", SKY, SEA, 1.0),
    "truck-1": ("transportation/truck_jarno_vasamaa_.png", SKY, ROAD, 0.92),
}


def background(above, below):
    """Two plain colours that meet in the lower half."""
    picture = Image.new("RGB", (SIDE, SIDE), above)
    picture.paste(below, (0, round(SIDE * 0.6), SIDE, SIDE))
    return picture


def place(drawing, above, below, share):
    drawing = drawing.crop(drawing.getbbox())
    scale = SIDE * share / max(drawing.size)
    drawing = drawing.resize([max(1, round(side * scale)) for side in drawing.size], Image.LANCZOS)
    picture = background(above, below)
    left, top = (SIDE - drawing.width) // 2, (SIDE - drawing.height) // 2
    picture.paste(drawing, (left, top), drawing)
    return picture


def main(openclipart, chelsea):
    for name, (path, *look) in PICTURES.items():
        drawing = Image.open(os.path.join(openclipart, path)).convert("RGBA")
        place(drawing, *look).save(f"{name}.webp", quality=85, method=6)
    photo = Image.open(chelsea).convert("RGB").crop((70, 0, 370, 300))
    photo.resize((SIDE, SIDE), Image.LANCZOS).save("cat-2.webp", quality=85, method=6)


main(*sys.argv[1:])
