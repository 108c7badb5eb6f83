"""Prints the body of a request for image files.

python make_request.py a.jpg b.jpg > request.json           for an online endpoint of Azure ML
python make_request.py --mlflow a.jpg b.jpg > body.json     for `mlflow models serve`
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

IS_FOR_MLFLOW = "--mlflow" in sys.argv
FILES = [Path(name) for name in sys.argv[1:] if name != "--mlflow"]
if not FILES:
    sys.exit(__doc__)
IMAGES = [[base64.b64encode(file.read_bytes()).decode("ascii")] for file in FILES]
if IS_FOR_MLFLOW:
    print(json.dumps({"dataframe_split": {"columns": ["image"], "data": IMAGES}}, indent=2))
else:
    table = {"columns": ["image"], "index": list(range(len(IMAGES))), "data": IMAGES}
    print(json.dumps({"input_data": table}, indent=2))
