"""From a folder of files to the images of a cohort: catalogue, question, search index, pixels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from dicomframe import (
    Catalog,
    DicomFrames,
    index_dicom,
    query_catalog,
    read_dicom,
    write_search,
)

WOMEN_OF_20_TO_25 = "PatientSex = 'F' AND PatientAge BETWEEN 20 AND 25 AND Modality = 'MR'"
COLUMNS = ["origin", "size", "PatientID", "PatientAge", "StudyDate"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Go all the way, and say at each step what there is."""
    options = parse(arguments)

    # Read every file once. A second run reads what is new or has changed.
    report = index_dicom(options.archive, options.catalog)
    print(f"catalogue: {report}")

    # Ask. Nothing of the archive is touched here.
    catalog = Catalog(options.catalog)
    answer = query_catalog(catalog, options.where, select=COLUMNS)
    patients = len(answer["PatientID"].unique())
    print(f"answer: {answer.num_rows:,} images; patients: {patients:,}")

    # Give the whole catalogue to a search engine, so that others can ask without files.
    if options.server is not None:
        published = write_search(catalog.batches("dicom"), options.server)
        print(f"{options.server}: {published}")

    # Read the images of the answer, which is a list of files, on the workers of an engine.
    for engine in options.engine:
        frames = read_dicom(answer, engine=engine, tags=["Rows", "Columns"])
        images, pixel_bytes = measure(engine, frames)
        print(f"{engine}: {images:,} images, {pixel_bytes:,} bytes of pixels")


def measure(engine: str, frames: DicomFrames) -> tuple[int, int]:
    """Return how many images there are, and the bytes of their pixels: any work on them."""
    if engine == "spark":
        sums = frames.dicom.selectExpr("count(pixel_data)", "sum(octet_length(pixel_data))").first()
    else:
        kinds = {"images": "int64", "bytes": "int64"}
        sums = frames.dicom.map_partitions(measure_part, meta=kinds).sum().compute()
    images, pixel_bytes = sums
    return int(images), int(pixel_bytes or 0)


def measure_part(rows: Any) -> Any:
    """Return the same of one partition, which is a DataFrame of pandas; it runs on a worker."""
    import pandas as pd  # noqa: PLC0415  (Spark needs none)

    sizes = rows["pixel_data"].dropna().map(len)
    return pd.DataFrame({"images": [len(sizes)], "bytes": [int(sizes.sum())]})


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", help="a folder of DICOM files, by path or URL")
    parser.add_argument("catalog", help="the folder of the catalogue, by path or URL")
    parser.add_argument("--where", default=WOMEN_OF_20_TO_25, help="the question, in SQL")
    parser.add_argument("--server", help="such as opensearch+http://localhost:9200/images")
    parser.add_argument("--engine", action="append", default=[], choices=["dask", "spark"])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
