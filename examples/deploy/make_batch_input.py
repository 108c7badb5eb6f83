"""Writes the images of a folder as Parquet files, the input of the batch deployment.

python make_batch_input.py FOLDER OUTPUT     OUTPUT.csv tells which image is in which row of which file
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

IMAGES_PER_FILE = 256
EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

if len(sys.argv) != 3:
    sys.exit(__doc__)
folder, output = Path(sys.argv[1]), Path(sys.argv[2])
output.mkdir(parents=True, exist_ok=True)
files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in EXTENSIONS)
rows = []
for start in range(0, len(files), IMAGES_PER_FILE):
    part = files[start : start + IMAGES_PER_FILE]
    name = f"images_{start:08}.parquet"
    pd.DataFrame({"image": [file.read_bytes() for file in part]}).to_parquet(output / name)
    rows += [(name, row, file.relative_to(folder).as_posix()) for row, file in enumerate(part)]
pd.DataFrame(rows, columns=["parquet_file", "row", "image_file"]).to_csv(f"{output}.csv", index=False)
print(f"Wrote {len(files)} images.")
