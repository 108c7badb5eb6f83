"""Datasets as people have them: the layouts of public datasets and of annotation tools, and what each is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.directories.hand_built import PNG


@dataclass(frozen=True)
class Labeled:
    """The dataset is read: how many images each class has."""

    counts: dict[str, int]
    layout: str = "Class folders"
    labels_from: str = ""
    left_out: tuple[str, ...] = ()
    unlabeled: int = 0


@dataclass(frozen=True)
class Unlabeled:
    """The images are read without labels."""

    num_images: int
    layout: str = "Images without labels"


@dataclass(frozen=True)
class Refused:
    """The dataset is refused, in these words."""

    reason: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A dataset: paths of images and folders, separated by spaces; the content of text files by path."""

    name: str
    images: str
    expected: Labeled | Unlabeled | Refused
    texts: dict[str, str | bytes]


def case(
    name: str, images: str, expected: Labeled | Unlabeled | Refused, texts: dict[str, str | bytes] | None = None
) -> Case:
    return Case(name, images, expected, texts or {})


def coco(files: list[str], **changes: Any) -> str:
    """A COCO json: the image at an even place is a cat, at an odd one a dog."""
    document = {
        "images": [{"id": number, "file_name": file} for number, file in enumerate(files)],
        "annotations": [{"image_id": number, "category_id": number % 2} for number in range(len(files))],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        **changes,
    }
    return json.dumps(document)


def boxes(files: list[str]) -> str:
    annotations = [{"image_id": number, "category_id": 0, "bbox": [0, 0, 1, 1]} for number in range(len(files))]
    return coco(files, annotations=annotations)


CATS_DOGS = Labeled({"cat": 1, "dog": 1})
COCO = Labeled({"cat": 1, "dog": 1}, "COCO")
TABLE = Labeled({"cat": 1, "dog": 1}, "Table of labels")
YOLO_TEXT = "0 0.5 0.5 0.2 0.2\n"
VOC_XML = "<annotation><filename>1.jpg</filename><object><name>cat</name></object></annotation>"

CLASS_FOLDERS = [
    case(
        "Malaria cells, with all images twice",
        "cells/Parasitized/1.png cells/Uninfected/2.png cells/cells/Uninfected/2.png",
        Refused("unclear_layout", ("cells/cells/Uninfected",)),
    ),
    case("SUN397", "a/abbey/1.jpg a/airport/2.jpg b/bakery/3.jpg", Refused("unclear_layout", ("a, b", "abbey"))),
    case(
        "DTD",
        "dtd/images/banded/1.jpg dtd/images/dotted/2.jpg",
        Labeled({"banded": 1, "dotted": 1}),
        {"dtd/labels/train1.txt": "banded/1.jpg", "dtd/imdb/imdb.mat": "MATLAB"},
    ),
    case(
        "EuroSAT",
        "2750/Forest/Forest_1.jpg 2750/River/River_1.jpg",
        Labeled({"Forest": 1, "River": 1}),
        {
            "train.csv": ",Filename,Label,ClassName\n0,Forest/Forest_1.jpg,0,Forest\n",
            "test.csv": ",Filename,Label,ClassName\n0,River/River_1.jpg,1,River\n",
            "label_map.json": '{"Forest": 0, "River": 1}',
        },
    ),
    case(
        "Plant Village",
        "color/Apple/1.jpg grayscale/Apple/1.jpg segmented/Apple/1.jpg",
        Refused("unclear_layout", ("Apple",)),
    ),
    case(
        "AwA2",
        "JPEGImages/antelope/1.jpg JPEGImages/bat/2.jpg",
        Labeled({"antelope": 1, "bat": 1}),
        {"classes.txt": "1 antelope"},
    ),
    case(
        "cats and dogs of Microsoft",
        "PetImages/Cat/1.jpg PetImages/Dog/2.jpg",
        Labeled({"Cat": 1, "Dog": 1}),
        {"readme[1].txt": "x", "MSR-LA.docx": "x"},
    ),
    case("plain", "cat/1.jpg dog/2.jpg", CATS_DOGS),
    case("one class empty", "cat/1.jpg dog/2.jpg emu/", Labeled({"cat": 1, "dog": 1, "emu": 0})),
    case(
        "one stray text beside",
        "cat/1.jpg dog/2.jpg",
        Labeled({"cat": 1, "dog": 1}, left_out=("readme.md",)),
        {"readme.md": "Pets"},
    ),
    case(
        "one stray image beside",
        "cat/1.jpg dog/2.jpg preview.jpg",
        Labeled({"cat": 1, "dog": 1}, left_out=("preview.jpg",)),
    ),
    case(
        "many images beside",
        "cat/1.jpg dog/2.jpg a.jpg b.jpg c.jpg",
        Refused("unclear_layout", ("3 images", "cat, dog", "a.jpg", "PYTORCH_DESIGNER_LAYOUT=class-folders")),
    ),
    case("images beside one folder", "cat/1.jpg 2.jpg", Refused("unclear_layout", ("2.jpg",))),
    case("nested below a class", "cat/kittens/1.jpg cat/2.jpg dog/3.jpg", Labeled({"cat": 2, "dog": 1})),
    case("all nested below classes", "cat/kittens/1.jpg dog/puppies/3.jpg", CATS_DOGS),
    case(
        "Tiny ImageNet's train",
        "n01/images/1.JPEG n02/images/2.JPEG",
        Labeled({"n01": 1, "n02": 1}),
        {"n01/n01_boxes.txt": "1.JPEG 0 0 1 1"},
    ),
    case(
        "Synology and Windows litter",
        "cat/1.jpg dog/2.jpg @eaDir/1.jpg/SYNOPHOTO.jpg cat/@eaDir/1.jpg lost+found/x.jpg __pycache__/x.png "
        ".thumbnails/1.png $RECYCLE.BIN/1.jpg",
        Labeled(
            {"cat": 1, "dog": 1},
            left_out=("$RECYCLE.BIN/", ".thumbnails/", "@eaDir/", "__pycache__/", "cat/@eaDir/", "lost+found/"),
        ),
    ),
    case(
        "System Volume Information",
        "cat/1.jpg dog/2.jpg",
        Labeled({"cat": 1, "dog": 1}, left_out=("System Volume Information/",)),
        {"System Volume Information/IndexerVolumeGuid": "x"},
    ),
    case(
        "odd extensions",
        "cat/1.jfif cat/2.gif cat/3.jpe dog/1.jfi dog/2.avif dog/3.heic dog/4.jp2 dog/5.tga",
        Labeled({"cat": 3, "dog": 5}),
    ),
    case("no extensions", "cat/1 cat/2 dog/a.image", Labeled({"cat": 2, "dog": 1})),
    case(
        "a class without an image",
        "cat/1.jpg dog/2.jpg",
        Refused("class_without_images", ("emu", "emu/1.pdf")),
        {"emu/1.pdf": "%PDF"},
    ),
    case(
        "documents beside",
        "cat/1.jpg dog/2.jpg",
        Labeled({"cat": 1, "dog": 1}, left_out=("docs/",)),
        {"docs/paper.pdf": "%PDF"},
    ),
    case(
        "vehicles with a class train", "train/1.jpg car/2.jpg plane/3.jpg", Labeled({"car": 1, "plane": 1, "train": 1})
    ),
    case(
        "vehicles, nested",
        "train/steam/1.jpg car/fast/2.jpg plane/big/3.jpg",
        Labeled({"car": 1, "plane": 1, "train": 1}),
    ),
    case("kinds of trains", "steam_train/1.jpg bullet_train/2.jpg", Labeled({"bullet_train": 1, "steam_train": 1})),
    case("face masks", "mask/1.jpg no_mask/2.jpg", Labeled({"mask": 1, "no_mask": 1})),
    case(
        "Food-101",
        "food-101/images/cat/1.jpg food-101/images/dog/2.jpg",
        Labeled({"cat": 1, "dog": 1}),
        {
            "food-101/meta/classes.txt": "cat\ndog",
            "food-101/meta/train.json": '{"cat": ["cat/1"]}',
            "food-101/README.txt": "x",
        },
    ),
    case(
        "CUB-200-2011",
        "CUB/images/001.Albatross/1.jpg CUB/images/002.Auklet/2.jpg",
        Labeled({"001.Albatross": 1, "002.Auklet": 1}),
        {
            "CUB/images.txt": "1 001.Albatross/1.jpg\n2 002.Auklet/2.jpg",
            "CUB/image_class_labels.txt": "1 1\n2 2",
            "CUB/attributes/attributes.txt": "1 x",
            "CUB/parts/parts.txt": "1 beak",
        },
    ),
    case(
        "Caltech-101",
        "101_ObjectCategories/cat/1.jpg 101_ObjectCategories/dog/2.jpg",
        CATS_DOGS,
        {"Annotations/cat/annotation_1.mat": "MATLAB"},
    ),
    case(
        "Stanford Dogs",
        "images/Images/n1-cat/1.jpg images/Images/n2-dog/2.jpg",
        Labeled({"n1-cat": 1, "n2-dog": 1}),
        {"annotations/Annotation/n1-cat/1": VOC_XML},
    ),
    case(
        "ImageNet's train alone",
        "ILSVRC/Data/CLS-LOC/train/n1/1.JPEG ILSVRC/Data/CLS-LOC/train/n2/2.JPEG",
        Labeled({"n1": 1, "n2": 1}),
        {"ILSVRC/Annotations/CLS-LOC/train/n1/1.xml": VOC_XML, "ILSVRC/ImageSets/train.txt": "n1/1 1"},
    ),
    case(
        "XML beside images of classes", "cat/1.jpg dog/2.jpg", CATS_DOGS, {"cat/1.xml": VOC_XML, "dog/2.xml": VOC_XML}
    ),
    case(
        "the same folders below two",
        "anna/cat/1.jpg anna/dog/2.jpg ben/cat/3.jpg ben/dog/4.jpg",
        Refused("unclear_layout", ("cat, dog", "anna, ben")),
    ),
    case(
        "splits inside classes",
        "cat/train/1.jpg cat/test/2.jpg dog/train/3.jpg dog/test/4.jpg",
        Refused("unclear_layout", ("splits inside", "train/cat")),
    ),
    case("images beside classes", "images/1.jpg cat/2.jpg", Refused("unclear_layout", ("images",))),
    case(
        "a split beside images",
        "train/cat/1.jpg train/dog/2.jpg extra/3.jpg",
        Refused("unclear_layout", ("train", "extra")),
    ),
    case(
        "a project with a folder data",
        "data/cat/1.jpg data/dog/2.jpg",
        CATS_DOGS,
        {"models/m.pt": "x", "notebooks/n.ipynb": "{}"},
    ),
]

SPLITS = [
    case(
        "100 sports: a table that repeats the splits",
        "train/golf/1.jpg valid/golf/2.jpg test/golf/3.jpg",
        Refused("several_splits"),
        {"sports.csv": "class id,filepaths,labels,data set\n0,train/golf/1.jpg,golf,train\n"},
    ),
    case(
        "GTSRB of Kaggle",
        "Train/0/1.png Train/1/2.png Test/3.png Meta/0.png",
        Refused("several_splits", ("Meta",)),
        {
            "Train.csv": "Width,ClassId,Path\n8,0,Train/0/1.png\n8,1,Train/1/2.png\n",
            "Test.csv": "Width,ClassId,Path\n8,0,Test/3.png\n",
        },
    ),
    case(
        "Fruits-360",
        "fruits/Training/Apple/1.jpg fruits/Test/Apple/2.jpg fruits/test-multiple_fruits/3.jpg",
        Refused("several_splits"),
    ),
    case(
        "Roboflow's class folders",
        "train/cat/1.jpg valid/cat/2.jpg test/cat/3.jpg",
        Refused("several_splits", ("train, valid, test", "pytorch-designer train", "/valid ")),
    ),
    case("capital letters", "Train/cat/1.jpg Test/cat/2.jpg", Refused("several_splits", ("Train, Test",))),
    case(
        "below a single folder",
        "pets/training/cat/1.jpg pets/validation/cat/2.jpg pets/testing/cat/3.jpg",
        Refused("several_splits", ("training, validation, testing",)),
    ),
    case("train and eval", "train/cat/1.jpg eval/cat/2.jpg", Refused("several_splits", ("train, eval",))),
    case("Food-11", "training/cat/1.jpg validation/cat/2.jpg evaluation/cat/3.jpg", Refused("several_splits")),
    case(
        "Intel scenes",
        "seg_train/seg_train/sea/1.jpg seg_test/seg_test/sea/2.jpg seg_pred/seg_pred/3.jpg",
        Refused("several_splits", ("seg_train, seg_test, seg_pred",)),
    ),
    case(
        "COCO in each",
        "train/1.jpg train/2.jpg valid/3.jpg",
        Refused("several_splits", ("train, valid",)),
        {"train/_annotations.coco.json": coco(["1.jpg", "2.jpg"]), "valid/_annotations.coco.json": coco(["3.jpg"])},
    ),
    case(
        "images/train, images/val",
        "images/train/cat/1.jpg images/val/cat/2.jpg",
        Refused("several_splits"),
        {"annotations/x.txt": "x"},
    ),
    case(
        "ImageNet",
        "ILSVRC/Data/CLS-LOC/train/n1/1.JPEG ILSVRC/Data/CLS-LOC/val/2.JPEG ILSVRC/Data/CLS-LOC/test/3.JPEG",
        Refused("several_splits", ("train, val, test", "Data/CLS-LOC")),
        {"ILSVRC/ImageSets/train.txt": "n1/1 1", "ILSVRC/Annotations/CLS-LOC/val/2.xml": VOC_XML},
    ),
    case(
        "CIFAR-10 as PNG",
        "cifar10/train/airplane/1.png cifar10/test/airplane/2.png",
        Refused("several_splits"),
        {"cifar10/labels.txt": "airplane"},
    ),
    case(
        "splits and one more folder",
        "train/cat/1.jpg test/cat/2.jpg extra/3.jpg",
        Refused("several_splits", ("extra",)),
    ),
    case(
        "Kaggle's cats and dogs",
        "train/cat.0.jpg train/dog.0.jpg test1/1.jpg",
        Unlabeled(3, "Images without labels, in train, test1 (splits by their names, and not classes)"),
    ),
    case(
        "Stanford Cars",
        "cars_train/1.jpg cars_test/2.jpg",
        Unlabeled(2, "Images without labels, in cars_train, cars_test (splits by their names, and not classes)"),
        {"devkit/cars_meta.mat": "MATLAB"},
    ),
    case("one split alone", "train/cat/1.jpg train/dog/2.jpg", CATS_DOGS),
    case("one flat split alone", "test/1.jpg test/2.jpg", Unlabeled(2)),
    case(
        "the typed directories of Split",
        "train/image/1.png val/image/2.png",
        Refused("several_splits"),
        {"train/_meta.yaml": "type: ImageDirectory", "val/_meta.yaml": "type: ImageDirectory"},
    ),
    case(
        "YOLO's class folders",
        "train/cat/1.jpg val/cat/2.jpg",
        Refused("several_splits"),
        {"data.yaml": "train: train\nnames: [cat]"},
    ),
]

UNLABELED = [
    case(
        "Flowers-102",
        "jpg/image_1.jpg jpg/image_2.jpg",
        Unlabeled(2),
        {"imagelabels.mat": "MATLAB", "setid.mat": "MATLAB"},
    ),
    case("flat", "1.jpg 2.jpg", Unlabeled(2)),
    case("a folder of images", "images/1.jpg images/2.jpg", Unlabeled(2)),
    case("a folder data", "download/data/1.jpg download/data/2.jpg", Unlabeled(2)),
    case(
        "Oxford pets without masks",
        "images/Abyssinian_1.jpg images/Bengal_2.jpg",
        Unlabeled(2),
        {"annotations/list.txt": "#Image CLASS-ID SPECIES BREED ID\nAbyssinian_1 1 1 1\nBengal_2 2 1 2\n"},
    ),
]

TABLES = [
    case(
        "ISIC 2019",
        "ISIC_2019_Input/ISIC_2019_Input/ISIC_1.jpg ISIC_2019_Input/ISIC_2019_Input/ISIC_2.jpg",
        Labeled({"MEL": 1, "NV": 1}, "Table of labels"),
        {
            "ISIC_2019_Training_GroundTruth.csv": "image,MEL,NV\nISIC_1,1.0,0.0\nISIC_2,0.0,1.0\n",
            "ISIC_2019_Training_Metadata.csv": "image,age_approx,sex\nISIC_1,55,male\nISIC_2,60,female\n",
        },
    ),
    case(
        "Humpback whales",
        "train/a.jpg train/b.jpg test/c.jpg",
        Labeled({"w_1": 1, "w_2": 1}, "Table of labels", "train.csv, columns `Image` and `Id`"),
        {"train.csv": "Image,Id\na.jpg,w_1\nb.jpg,w_2\n"},
    ),
    case(
        "Cassava",
        "train_images/1.jpg train_images/2.jpg test_images/3.jpg",
        Labeled({"0": 1, "3": 1}, "Table of labels"),
        {
            "train.csv": "image_id,label\n1.jpg,0\n2.jpg,3\n",
            "label_num_to_disease_map.json": '{"0": "CBB"}',
            "train_tfrecords/x.tfrec": "x",
        },
    ),
    case(
        "SageMaker Ground Truth",
        "1.jpg 2.jpg",
        TABLE,
        {
            "output.manifest": '{"source-ref": "s3://b/1.jpg", "pets": 0, "pets-metadata": {"class-name": "cat"}}\n'
            '{"source-ref": "s3://b/2.jpg", "pets": 1, "pets-metadata": {"class-name": "dog"}}\n'
        },
    ),
    case(
        "Vertex AI",
        "1.jpg 2.jpg",
        TABLE,
        {
            "data.jsonl": '{"imageGcsUri": "gs://b/1.jpg", "classificationAnnotation": {"displayName": "cat"}}\n'
            '{"imageGcsUri": "gs://b/2.jpg", "classificationAnnotation": {"displayName": "dog"}}\n'
        },
    ),
    case(
        "image, label beside",
        "1.jpg 2.jpg",
        Labeled({"cat": 1, "dog": 1}, "Table of labels", "labels.csv, columns `image` and `label`"),
        {"labels.csv": "image,label\n1.jpg,cat\n2.jpg,dog\n"},
    ),
    case(
        "above the images", "images/1.jpg images/2.jpg", TABLE, {"labels.csv": "filename,class\n1.jpg,cat\n2.jpg,dog\n"}
    ),
    case(
        "with the folder in the name",
        "images/1.jpg images/2.jpg",
        TABLE,
        {"labels.csv": "path,label\nimages/1.jpg,cat\nimages/2.jpg,dog\n"},
    ),
    case(
        "Kaggle dog breeds",
        "train/a1.jpg train/b2.jpg test/c3.jpg",
        Labeled(
            {"cat": 1, "dog": 1},
            "Table of labels",
            "labels.csv, columns `id` and `breed`",
            ("sample_submission.csv", "test/"),
        ),
        {"labels.csv": "id,breed\na1,cat\nb2,dog\n", "sample_submission.csv": "id,cat,dog\nc3,0.5,0.5\n"},
    ),
    case(
        "Kaggle CIFAR-10",
        "train/1.png train/2.png test/1.png test/2.png",
        TABLE,
        {"trainLabels.csv": "id,label\n1,cat\n2,dog\n", "sampleSubmission.csv": "id,label\n1,cat\n2,cat\n"},
    ),
    case(
        "train.csv and test.csv",
        "train/1.jpg train/2.jpg test/3.jpg",
        TABLE,
        {"train.csv": "image_id,label\n1.jpg,cat\n2.jpg,dog\n", "test.csv": "image_id\n3.jpg\n"},
    ),
    case(
        "numbers as labels",
        "1.jpg 2.jpg 3.jpg",
        Labeled({"0": 2, "10": 1}, "Table of labels"),
        {"train.csv": "id_code,diagnosis\n1,0\n2,10\n3,0\n"},
    ),
    case(
        "name and number of a class",
        "1.jpg 2.jpg",
        TABLE,
        {"train.csv": "file,class_id,class_name\n1.jpg,0,cat\n2.jpg,1,dog\n"},
    ),
    case(
        "one-hot",
        "1.jpg 2.jpg",
        Labeled({"cat": 1, "dog": 1}, "Table of labels", "gt.csv, column `image` and 2 one-hot columns `cat` to `dog`"),
        {"gt.csv": "image,cat,dog\n1,1.0,0.0\n2,0.0,1.0\n"},
    ),
    case(
        "Roboflow's _classes.csv",
        "1.jpg 2.jpg 3.jpg",
        Labeled({"cat": 1, "dog": 1}, "Table of labels", unlabeled=1),
        {"_classes.csv": "filename, cat, dog\n1.jpg, 1, 0\n2.jpg, 0, 1\n3.jpg, 0, 0\n"},
    ),
    case(
        "several classes, one-hot",
        "1.jpg 2.jpg",
        Refused("not_classification", ("several classes",)),
        {"gt.csv": "image,cat,dog\n1,1,1\n2,0,1\n"},
    ),
    case(
        "semicolons and a mark", "1.jpg 2.jpg", TABLE, {"labels.csv": "\ufeffimage;label\r\n1.jpg;cat\r\n2.jpg;dog\r\n"}
    ),
    case("UTF-16", "1.jpg 2.jpg", TABLE, {"labels.csv": "image,label\r\n1.jpg,cat\r\n2.jpg,dog\r\n".encode("utf-16")}),
    case(
        "Windows-1252",
        "1.jpg 2.jpg",
        Labeled(
            {"caf\u00e9": 1, "dog": 1},
            "Table of labels",
            "labels.csv, columns `image` and `label`, read as Windows-1252",
        ),
        {"labels.csv": "image,label\n1.jpg,caf\u00e9\n2.jpg,dog\n".encode("cp1252")},
    ),
    case("tabs", "1.jpg 2.jpg", TABLE, {"labels.tsv": "image\tlabel\n1.jpg\tcat\n2.jpg\tdog\n"}),
    case("a pandas index", "1.jpg 2.jpg", TABLE, {"labels.csv": ",image,label\n0,1.jpg,cat\n1,2.jpg,dog\n"}),
    case("no header", "1.jpg 2.jpg", TABLE, {"labels.csv": "1.jpg,cat\n2.jpg,dog\n"}),
    case(
        "Google AutoML",
        "1.jpg 2.jpg",
        TABLE,
        {"all.csv": "TRAIN,gs://bucket/pets/1.jpg,cat\nTEST,gs://bucket/pets/2.jpg,dog\n"},
    ),
    case(
        "SageMaker's .lst",
        "im/1.jpg im/2.jpg im/3.jpg",
        Labeled({"0": 2, "1": 1}, "Table of labels"),
        {"train.lst": "5\t1\tim/1.jpg\n7\t0\tim/2.jpg\n9\t0\tim/3.jpg\n"},
    ),
    case(
        "Caffe's list",
        "images/2.jpg",
        Labeled({"0": 1, "1": 1}, "Table of labels"),
        {"images/my cat.jpg": PNG, "train.txt": "images/my cat.jpg 0\nimages/2.jpg 1\n"},
    ),
    case(
        "Azure ML's data labeling",
        "1.jpg 2.jpg",
        TABLE,
        {
            "labels.csv": "Url,Label,LabelConfidence\nAmlDatastore://store/pets/1.jpg,cat,1.0\nAmlDatastore://store/pets/2.jpg,dog,1.0\n"
        },
    ),
    case(
        "MLTable's JSON lines",
        "images/1.jpg images/my_2.jpg",
        TABLE,
        {
            "images.jsonl": '{"image_url": "azureml://subscriptions/x/datastores/y/paths/pets/images/1.jpg", '
            '"image_details": {"format": "jpg"}, "label": "cat"}\n{"image_url": "./images/my_2.jpg", "label": "dog"}\n'
        },
    ),
    case(
        "MLTable's JSON lines, several labels",
        "1.jpg",
        Refused("not_classification"),
        {"images.jsonl": '{"image_url": "1.jpg", "label": ["cat", "dog"]}\n'},
    ),
    case(
        "MLTable's JSON lines, boxes",
        "1.jpg",
        Refused("not_classification"),
        {"images.jsonl": '{"image_url": "1.jpg", "label": [{"label": "cat", "topX": 0.1}]}\n'},
    ),
    case(
        "Hugging Face's metadata.csv", "1.png 2.png", TABLE, {"metadata.csv": "file_name,label\n1.png,cat\n2.png,dog\n"}
    ),
    case(
        "Hugging Face's metadata.jsonl",
        "1.png 2.png",
        TABLE,
        {"metadata.jsonl": '{"file_name": "1.png", "label": "cat"}\n{"file_name": "2.png", "label": "dog"}\n'},
    ),
    case(
        "Hugging Face's captions",
        "1.png 2.png",
        Refused("not_classification", ("text",)),
        {"metadata.jsonl": '{"file_name": "1.png", "text": "a cat"}\n{"file_name": "2.png", "text": "a dog"}\n'},
    ),
    case(
        "fastai's labels.csv",
        "images/1.jpg images/2.jpg",
        TABLE,
        {"labels.csv": "name,label\nimages/1.jpg,cat\nimages/2.jpg,dog\n"},
    ),
    case(
        "HAM10000",
        "part_1/ISIC_1.jpg part_2/ISIC_2.jpg",
        Labeled({"bkl": 1, "mel": 1}, "Table of labels", "HAM10000_metadata.csv, columns `image_id` and `dx`"),
        {"HAM10000_metadata.csv": "lesion_id,image_id,dx,dx_type,age\nH1,ISIC_1,bkl,a,80\nH2,ISIC_2,mel,a,81\n"},
    ),
    case(
        "Label Studio's CSV",
        "1.jpg 2.jpg",
        TABLE,
        {"project.csv": "annotation_id,choice,id,image\n1,cat,7,/data/upload/1/1.jpg\n2,dog,8,/data/upload/1/2.jpg\n"},
    ),
    case(
        "Label Studio's JSON-MIN",
        "1.jpg 2.jpg",
        TABLE,
        {
            "project.json": '[{"image": "/data/upload/1/1.jpg", "id": 7, "choice": "cat", "lead_time": 2.5}, '
            '{"image": "/data/upload/1/2.jpg", "id": 8, "choice": "dog", "lead_time": 1.5}]'
        },
    ),
    case(
        "FiftyOne",
        "data/1.jpg data/2.jpg",
        TABLE,
        {"labels.json": '{"classes": ["cat", "dog"], "labels": {"1": 0, "2": 1}}'},
    ),
    case(
        "FiftyOne with attributes",
        "data/1.jpg data/2.jpg",
        TABLE,
        {"labels.json": '{"classes": null, "labels": {"1": {"label": "cat"}, "2": {"label": "dog"}}}'},
    ),
    case("a JSON object of labels", "1.jpg 2.jpg", TABLE, {"labels.json": '{"1.jpg": "cat", "2.jpg": "dog"}'}),
    case(
        "StyleGAN's dataset.json",
        "00000/1.png 00000/2.png",
        Labeled({"0": 1, "1": 1}, "Table of labels"),
        {"dataset.json": '{"labels": [["00000/1.png", 0], ["00000/2.png", 1]]}'},
    ),
    case(
        "labels in a folder",
        "images/1.jpg images/2.jpg",
        TABLE,
        {"labels/train.csv": "image,label\n1.jpg,cat\n2.jpg,dog\n"},
    ),
    case(
        "a row for a file that is not there",
        "1.jpg",
        Refused("missing_files", ("line 3: 2.jpg",)),
        {"labels.csv": "image,label\n1.jpg,cat\n2.jpg,dog\n"},
    ),
    case(
        "no file is there",
        "a.jpg",
        Refused("missing_files", ("1.jpg",)),
        {"labels.csv": "image,label\n1.jpg,cat\n2.jpg,dog\n"},
    ),
    case(
        "two images of a name",
        "a/1.jpg b/1.jpg",
        Refused("ambiguous_files", ("line 2: 1.jpg",)),
        {"labels.csv": "image,label\n1.jpg,x\n"},
    ),
    case(
        "images that no row names",
        "1.jpg 2.jpg 3.jpg",
        Labeled({"cat": 1, "dog": 1}, "Table of labels", left_out=("3.jpg",)),
        {"labels.csv": "image,label\n1.jpg,cat\n2.jpg,dog\n"},
    ),
    case(
        "an empty label",
        "1.jpg 2.jpg",
        Labeled({"cat": 1}, "Table of labels", unlabeled=1),
        {"labels.csv": "image,label\n1.jpg,cat\n2.jpg,\n"},
    ),
    case(
        "an image with two labels",
        "1.jpg 2.jpg",
        Refused("not_classification", ("1.jpg is 'cat' and 'dog'",)),
        {"labels.csv": "image,label\n1.jpg,cat\n1.jpg,dog\n2.jpg,cat\n"},
    ),
    case(
        "unclear columns",
        "1.jpg 2.jpg",
        Refused("ambiguous_columns", ("`color`, `shape`", "image, color, shape")),
        {"data.csv": "image,color,shape\n1.jpg,red,round\n2.jpg,blue,round\n"},
    ),
    case(
        "CelebA",
        "img_align_celeba/1.jpg img_align_celeba/2.jpg",
        Refused("ambiguous_columns", ("`Bald`",)),
        {"list_attr_celeba.csv": "image_id,Bald,Bangs,Young\n1.jpg,-1,1,1\n2.jpg,-1,-1,1\n"},
    ),
    case(
        "two tables",
        "1.jpg 2.jpg",
        Refused("several_label_tables", ("train.csv", "val.csv")),
        {"train.csv": "image,label\n1.jpg,cat\n", "val.csv": "image,label\n2.jpg,cat\n"},
    ),
    case(
        "boxes as CSV",
        "1.jpg",
        Refused("not_classification", ("xmin",)),
        {"_annotations.csv": "filename,class,xmin,ymin,xmax,ymax\n1.jpg,cat,0,0,1,1\n"},
    ),
    case(
        "Open Images boxes",
        "1.jpg",
        Refused("not_classification", ("XMin",)),
        {"train-annotations-bbox.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax\n1,x,/m/01,1,0,1\n"},
    ),
    case(
        "NIH chest X-rays",
        "images_001/images/1.png images_002/images/2.png images_002/images/3.png",
        Refused("not_classification", ("several classes",)),
        {"Data_Entry_2017.csv": "Image Index,Finding Labels,Age\n1.png,Hernia|Mass,1\n2.png,Hernia,2\n3.png,Mass,3\n"},
    ),
    case(
        "quantities",
        "1.jpg 2.jpg",
        Refused("not_classification", ("quantities",)),
        {"prices.csv": "image,price\n1.jpg,1.25\n2.jpg,3.5\n"},
    ),
    case(
        "ragged rows",
        "1.jpg 2.jpg",
        Refused("malformed_table", ("line 2",)),
        {"labels.csv": "image,label\n1.jpg,cat,cute\n2.jpg,dog\n"},
    ),
    case(
        "a table that says what the folders say",
        "cat/1.jpg dog/2.jpg",
        Labeled({"cat": 1, "dog": 1}, left_out=("labels.csv",)),
        {"labels.csv": "image,label\ncat/1.jpg,cat\ndog/2.jpg,dog\n"},
    ),
    case(
        "a table that contradicts the folders",
        "cat/1.jpg cat/2.jpg dog/3.jpg",
        Refused("contradicting_labels", ("cat/2.jpg",)),
        {"labels.csv": "image,label\n1.jpg,cat\n2.jpg,dog\n3.jpg,dog\n"},
    ),
    case(
        "a table of sizes beside class folders",
        "cat/1.jpg dog/2.jpg",
        CATS_DOGS,
        {"sizes.csv": "image,width\n1.jpg,8\n2.jpg,9\n"},
    ),
    case(
        "class names beside class folders",
        "cat/1.jpg dog/2.jpg",
        CATS_DOGS,
        {"classes.txt": "cat\ndog\n", "classes.csv": "id,label\n0,cat\n1,dog\n"},
    ),
]

COCOS = [
    case("beside the images", "1.jpg 2.jpg", COCO, {"labels.json": coco(["1.jpg", "2.jpg"])}),
    case(
        "annotations and images",
        "images/1.jpg images/2.jpg",
        Labeled({"cat": 1, "dog": 1}, "COCO", "annotations/x.json"),
        {"annotations/x.json": coco(["1.jpg", "2.jpg"])},
    ),
    case(
        "annotations/ with paths from the root",
        "images/1.jpg images/2.jpg",
        COCO,
        {"annotations/x.json": coco(["images/1.jpg", "images/2.jpg"])},
    ),
    case("FiftyOne's COCO", "data/1.jpg data/2.jpg", COCO, {"labels.json": coco(["1.jpg", "2.jpg"])}),
    case("Windows", "images/1.jpg images/2.jpg", COCO, {"labels.json": coco(["images\\1.jpg", "images\\2.jpg"])}),
    case("UTF-16", "1.jpg 2.jpg", COCO, {"labels.json": coco(["1.jpg", "2.jpg"]).encode("utf-16")}),
    case("a mark", "1.jpg 2.jpg", COCO, {"labels.json": "\ufeff" + coco(["1.jpg", "2.jpg"])}),
    case("NFC beside NFD", "cafe\u0301.jpg 2.jpg", COCO, {"labels.json": coco(["caf\u00e9.jpg", "2.jpg"])}),
    case(
        "ids as texts",
        "1.jpg 2.jpg",
        COCO,
        {
            "labels.json": coco(
                ["1.jpg", "2.jpg"],
                categories=[{"id": "0", "name": "cat"}, {"id": "1", "name": "dog"}],
                annotations=[{"image_id": 0, "category_id": "0"}, {"image_id": 1, "category_id": "1"}],
            )
        },
    ),
    case(
        "categories without annotations",
        "1.jpg 2.jpg",
        Unlabeled(2, "COCO without annotations"),
        {"labels.json": coco(["1.jpg", "2.jpg"], annotations=[])},
    ),
    case(
        "a category without images",
        "1.jpg 2.jpg",
        Labeled({"cat": 1, "dog": 1, "emu": 0}, "COCO"),
        {
            "labels.json": coco(
                ["1.jpg", "2.jpg"],
                categories=[{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}, {"id": 2, "name": "emu"}],
            )
        },
    ),
    case(
        "addresses",
        "images/1.jpg images/2.jpg",
        COCO,
        {"labels.json": coco(["AmlDatastore://store/images/1.jpg", "https://host/images/2.jpg?sv=1"])},
    ),
    case(
        "an image of another folder",
        "dog/1.jpg",
        Refused("missing_files", ("cat/1.jpg",)),
        {"labels.json": coco(["cat/1.jpg"])},
    ),
    case("boxes", "1.jpg", Refused("not_classification", ("bbox",)), {"labels.json": boxes(["1.jpg"])}),
    case(
        "two files",
        "images/train/1.jpg images/val/2.jpg",
        Refused("several_coco_files", ("annotations/train.json", "annotations/val.json")),
        {"annotations/train.json": coco(["1.jpg"]), "annotations/val.json": coco(["2.jpg"])},
    ),
    case(
        "files of folders",
        "train/1.jpg train/2.jpg",
        Labeled({"cat": 1, "dog": 1}, "COCO", "train/_annotations.coco.json"),
        {"train/_annotations.coco.json": coco(["1.jpg", "2.jpg"])},
    ),
]

FOREIGN = [
    case(
        "Labelbox",
        "1.jpg",
        Refused("foreign_layout", ("Labelbox",)),
        {"export.ndjson": '{"data_row": {"id": "x"}, "projects": {}}\n'},
    ),
    case(
        "Pascal VOC",
        "VOCdevkit/VOC2012/JPEGImages/1.jpg",
        Refused("foreign_layout", ("Pascal VOC",)),
        {"VOCdevkit/VOC2012/Annotations/1.xml": VOC_XML, "VOCdevkit/VOC2012/ImageSets/Main/train.txt": "1"},
    ),
    case(
        "VOC with masks",
        "JPEGImages/1.jpg SegmentationClass/1.png",
        Refused("foreign_layout", ("Pascal VOC",)),
        {"Annotations/1.xml": VOC_XML},
    ),
    case(
        "VOC by Roboflow",
        "1.jpg 2.jpg",
        Refused("foreign_layout", ("XML file for each image",)),
        {"1.xml": VOC_XML, "2.xml": VOC_XML},
    ),
    case(
        "images and annotations as XML",
        "images/1.jpg",
        Refused("foreign_layout", ("Pascal VOC",)),
        {"annotations/1.xml": VOC_XML},
    ),
    case(
        "YOLO",
        "images/1.jpg images/2.jpg",
        Refused("foreign_layout", ("YOLO",)),
        {"labels/1.txt": YOLO_TEXT, "labels/2.txt": YOLO_TEXT},
    ),
    case(
        "YOLO with splits",
        "images/train/1.jpg images/val/2.jpg",
        Refused("foreign_layout", ("YOLO",)),
        {"labels/train/1.txt": YOLO_TEXT, "labels/val/2.txt": YOLO_TEXT},
    ),
    case(
        "YOLO by Roboflow",
        "train/images/1.jpg valid/images/2.jpg",
        Refused("foreign_layout", ("YOLO",)),
        {
            "train/labels/1.txt": YOLO_TEXT,
            "valid/labels/2.txt": YOLO_TEXT,
            "data.yaml": "train: ../train/images\nnc: 1\nnames: [cat]",
        },
    ),
    case(
        "YOLO beside the images",
        "1.jpg 2.jpg",
        Refused("foreign_layout", ("YOLO",)),
        {"1.txt": YOLO_TEXT, "2.txt": YOLO_TEXT},
    ),
    case(
        "Darknet",
        "obj_train_data/1.jpg",
        Refused("foreign_layout", ("YOLO",)),
        {"obj.names": "cat", "obj_train_data/1.txt": YOLO_TEXT},
    ),
    case(
        "CVAT",
        "images/Train/1.jpg images/Test/2.jpg",
        Refused("foreign_layout", ("CVAT",)),
        {"annotations.xml": "<annotations></annotations>"},
    ),
    case("masks", "images/1.jpg masks/1.png", Refused("foreign_layout", ("segmentation", "masks"))),
    case(
        "masks in splits",
        "train/images/1.jpg train/masks/1.png val/images/2.jpg val/masks/2.png",
        Refused("foreign_layout", ("segmentation",)),
    ),
    case("ADE20K", "images/training/1.jpg annotations/training/1.png", Refused("foreign_layout", ("segmentation",))),
    case(
        "Oxford pets",
        "images/Abyssinian_1.jpg annotations/trimaps/Abyssinian_1.png",
        Refused("foreign_layout", ("segmentation",)),
        {"annotations/list.txt": "Abyssinian_1 1 1 1"},
    ),
    case(
        "Cityscapes", "leftImg8bit/train/ulm/1.png gtFine/train/ulm/1.png", Refused("foreign_layout", ("Cityscapes",))
    ),
    case(
        "KITTI",
        "training/image_2/1.png testing/image_2/2.png",
        Refused("foreign_layout", ("KITTI",)),
        {"training/label_2/1.txt": "Car 0 0"},
    ),
    case(
        "CamVid of SegNet",
        "train/1.png trainannot/1.png test/2.png testannot/2.png",
        Refused("foreign_layout", ("CamVid",)),
    ),
    case(
        "CamVid of Kaggle",
        "CamVid/train/1.png CamVid/train_labels/1_L.png CamVid/val/2.png CamVid/val_labels/2_L.png",
        Refused("foreign_layout", ("CamVid",)),
        {"CamVid/class_dict.csv": "name,r,g,b\nSky,1,2,3\n"},
    ),
    case("CamVid", "701_StillsRaw_full/1.png LabeledApproved_full/1_L.png", Refused("foreign_layout", ("CamVid",))),
    case(
        "LabelMe",
        "1.jpg 2.jpg",
        Refused("foreign_layout", ("LabelMe",)),
        {"1.json": '{"shapes": [], "imagePath": "1.jpg"}', "2.json": '{"shapes": [], "imagePath": "2.jpg"}'},
    ),
    case(
        "Supervisely",
        "ds/img/1.jpg",
        Refused("foreign_layout", ("Supervisely",)),
        {"meta.json": '{"classes": [{"title": "cat", "shape": "polygon"}]}', "ds/ann/1.jpg.json": '{"objects": []}'},
    ),
    case(
        "Label Studio",
        "1.jpg",
        Refused("foreign_layout", ("Label Studio", "JSON-MIN")),
        {"project.json": '[{"id": 1, "data": {"image": "1.jpg"}, "annotations": [{"result": []}]}]'},
    ),
    case(
        "VGG Image Annotator",
        "1.jpg",
        Refused("foreign_layout", ("VGG",)),
        {"via.json": '{"1.jpg123": {"filename": "1.jpg", "regions": [{"shape_attributes": {}}]}}'},
    ),
    case(
        "CreateML",
        "1.jpg",
        Refused("foreign_layout", ("CreateML",)),
        {"_annotations.createml.json": '[{"image": "1.jpg", "annotations": [{"coordinates": {"x": 1}}]}]'},
    ),
    case(
        "Datumaro",
        "images/1.jpg",
        Refused("foreign_layout", ("Datumaro",)),
        {"annotations/default.json": '{"info": {}, "categories": {"label": {}}, "items": [{"id": "1"}]}'},
    ),
    case(
        "FiftyOne boxes",
        "data/1.jpg",
        Refused("foreign_layout", ("FiftyOne",)),
        {"labels.json": '{"classes": ["cat"], "labels": {"1": [{"label": 0, "bounding_box": [0, 0, 1, 1]}]}}'},
    ),
]

NO_IMAGES = [
    case(
        "Parquet of the Hub",
        "",
        Refused("no_images", ("Parquet", ".parquet")),
        {"data/train-00000-of-00001.parquet": "PAR1"},
    ),
    case("MNIST's arrays", "", Refused("no_images", ("idx-ubyte",)), {"train-images-idx3-ubyte.gz": "x"}),
    case("TFRecord", "", Refused("no_images", ("TFRecord",)), {"train.tfrecord": "x", "val.tfrecord": "x"}),
    case("NumPy", "", Refused("no_images", ("NumPy",)), {"pneumoniamnist.npz": "x"}),
    case("DICOM", "", Refused("no_images", ("DICOM",)), {"series/1.dcm": "x"}),
    case("empty classes", "cat/ dog/", Refused("no_images")),
]

LAYOUTS = {
    f"{group}: {one.name}": one
    for group, cases in {
        "class folders": CLASS_FOLDERS,
        "splits": SPLITS,
        "unlabeled": UNLABELED,
        "tables": TABLES,
        "COCO": COCOS,
        "other tools": FOREIGN,
        "no images": NO_IMAGES,
    }.items()
    for one in cases
}
