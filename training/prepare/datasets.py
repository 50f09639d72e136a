"""The published collections of photographs that `fetch` knows by name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch.

    Attributes
    ----------
    url : str
    name : str
        File name to store it under. If empty, the name comes from the server or the URL.
    size : int or None
        Size in bytes. If it is None, no size is published and the server's size is used.
    sha256, md5 : str
        Hexadecimal digests. If none is published, they are empty and the SHA-256 of the first
        download is recorded next to the file.
    """

    url: str
    name: str = ""
    size: int | None = None
    sha256: str = ""
    md5: str = ""


@dataclass(frozen=True)
class Dataset:
    """A collection: its name for `fetch`, a description, its license and its files."""

    name: str
    what: str
    license: str
    files: tuple[RemoteFile, ...]


_LHQ_LICENSE = (
    "collection CC BY 2.0; each image its own (Unsplash License, CC BY, CC BY-NC, public domain: "
    "see lhq-metadata)"
)
_COCO_LICENSE = "Flickr terms of use, per image"
_PLACES_LICENSE = "non-commercial research and education only"
_DIV2K_LICENSE = "academic research only"

# Sources of addresses, sizes and hashes: for LHQ, its authors' repository (universome/alis, lhq.md
# and download_lhq.py; the share service reports size and hash when a file is fetched); for COCO,
# Places365 and DIV2K, the checksums of TensorFlow Datasets; for the MD5 of Places365, torchvision.
DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "lhq-256",
            "LHQ, 90,000 landscapes (Skorokhodov et al. 2021), PNG 256 x 256, 8.7 GB",
            _LHQ_LICENSE,
            (RemoteFile("https://disk.yandex.ru/d/HPEEntpLv8homg"),),
        ),
        Dataset(
            "lhq-1024-jpg",
            "LHQ, JPEG 1024 x 1024, 12 GB",
            _LHQ_LICENSE,
            (RemoteFile("https://disk.yandex.ru/d/Sz1gPiMoUregEQ"),),
        ),
        Dataset(
            "lhq-1024",
            "LHQ, PNG 1024 x 1024, 107 GB in 3 files",
            _LHQ_LICENSE,
            (
                RemoteFile("https://disk.yandex.ru/d/EKtxZD-_MN4SrA"),
                RemoteFile("https://disk.yandex.ru/d/5H4aGL6yuZFdVQ"),
                RemoteFile("https://disk.yandex.ru/d/T1QW7kh27D_EYQ"),
            ),
        ),
        Dataset(
            "lhq",
            "LHQ, PNG at full resolution, 155 GB in 4 files",
            _LHQ_LICENSE,
            (
                RemoteFile("https://disk.yandex.ru/d/5NNZHCqTjvOulw"),
                RemoteFile("https://disk.yandex.ru/d/DMd5V-fcqAlxAg"),
                RemoteFile("https://disk.yandex.ru/d/zBLgIqB6hROS9g"),
                RemoteFile("https://disk.yandex.ru/d/hXcF8seffmAzxQ"),
            ),
        ),
        Dataset(
            "lhq-metadata",
            "LHQ, author, license and description of each image, JSON, 27 MB",
            "CC BY 2.0",
            (RemoteFile("https://disk.yandex.ru/d/DOr5CP_QpZtGRQ"),),
        ),
        Dataset(
            "coco-val2017",
            "COCO, 5,000 everyday scenes, JPEG, 0.8 GB",
            _COCO_LICENSE,
            (
                RemoteFile(
                    "http://images.cocodataset.org/zips/val2017.zip",
                    size=815585330,
                    sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
                ),
            ),
        ),
        Dataset(
            "coco-train2017",
            "COCO, 118,000 everyday scenes, JPEG, 19 GB",
            _COCO_LICENSE,
            (
                RemoteFile(
                    "http://images.cocodataset.org/zips/train2017.zip",
                    size=19336861798,
                    sha256="69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
                ),
            ),
        ),
        Dataset(
            "coco-unlabeled2017",
            "COCO, 123,000 everyday scenes, JPEG, 19 GB",
            _COCO_LICENSE,
            (RemoteFile("http://images.cocodataset.org/zips/unlabeled2017.zip"),),
        ),
        Dataset(
            "places365-val",
            "Places365, 36,500 scenes, JPEG 256 x 256, 0.5 GB",
            _PLACES_LICENSE,
            (
                RemoteFile(
                    "http://data.csail.mit.edu/places/places365/val_256.tar",
                    size=525158400,
                    sha256="24b4e639ef12a0012af525bc4cb443e4ab4aaea8369a1fb009b70e4a4aad5d48",
                    md5="e27b17d8d44f4af9a78502beb927f808",
                ),
            ),
        ),
        Dataset(
            "places365-train",
            "Places365, 1.8 million scenes, JPEG 256 x 256, 26 GB",
            _PLACES_LICENSE,
            (
                RemoteFile(
                    "http://data.csail.mit.edu/places/places365/train_256_places365standard.tar",
                    size=26103685120,
                    sha256="0ade5d7d38c682aa0203014a2b99ad3bf608bf1de0f151dc0d80efba54660a0a",
                    md5="53ca1c756c3d1e7809517cc47c5561c5",
                ),
            ),
        ),
        Dataset(
            "div2k-train",
            "DIV2K, 800 sharp photographs, PNG 2 megapixels, 3.5 GB",
            _DIV2K_LICENSE,
            (
                RemoteFile(
                    "https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_train_HR.zip",
                    size=3530603713,
                    sha256="9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
                ),
            ),
        ),
        Dataset(
            "div2k-valid",
            "DIV2K, 100 sharp photographs, PNG 2 megapixels, 0.4 GB",
            _DIV2K_LICENSE,
            (
                RemoteFile(
                    "https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_valid_HR.zip",
                    size=448993893,
                    sha256="20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
                ),
            ),
        ),
    )
}
"""All known collections by name."""
