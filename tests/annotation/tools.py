"""What each tool makes of a dump when a person agrees with every suggestion: bytes to bytes."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from polymux.annotation import Batch

Finish = Callable[[bytes, Batch], bytes]


def as_it_is(dumped: bytes, batch: Batch) -> bytes:
    """The labels stand in the dump where a person would write them."""
    return dumped


def prodigy(dumped: bytes, batch: Batch) -> bytes:
    """What `db-out` tells of tasks that were accepted as they came."""
    lines = []
    for number, line in enumerate(dumped.rstrip(b"\n").split(b"\n")):
        done = json.loads(line) | {
            "_input_hash": -number,
            "_task_hash": number,
            "_view_id": "ner_manual",
            "answer": "accept",
            "_timestamp": 1707211049,
            "_annotator_id": "campaign-ada",
            "_session_id": "campaign-ada",
        }
        lines.append(json.dumps(done, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()


def label_studio(dumped: bytes, batch: Batch) -> bytes:
    """The JSON export of predictions that were submitted as they came."""

    def shown(one: dict[str, Any]) -> dict[str, Any]:
        text = one["value"].get("text")
        if text is None:
            return one
        # The page collapses spaces and tells a line break in two signs.
        text = re.sub("[ \\t]+", " ", text).replace("\n", "\\n")
        return one | {"value": one["value"] | {"text": text}, "origin": "prediction"}

    done = []
    for number, task in enumerate(json.loads(dumped), start=17):
        annotations = [
            {
                "id": number,
                "completed_by": 3,
                "was_cancelled": False,
                "ground_truth": False,
                "lead_time": 8.2,
                "result": [shown(one) for one in prediction["result"]],
            }
            for prediction in task["predictions"]
        ]
        done.append(
            {"id": number, "data": task["data"], "annotations": annotations, "predictions": [5]}
        )
    return json.dumps(done).encode()


def doccano(dumped: bytes, batch: Batch) -> bytes:
    """The zip of a project with one member, whose labels pandas writes sorted."""
    lines = []
    for number, line in enumerate(dumped.decode().rstrip("\n").split("\n"), start=1):
        done = {"id": number} | json.loads(line) | {"Comments": []}
        done["label"].sort()
        lines.append(json.dumps(done, ensure_ascii=False).replace("/", "\\/"))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("ada.jsonl", "\n".join(lines))
    return data.getvalue()


def german_excel(dumped: bytes, batch: Batch) -> bytes:
    """What Excel saves as "CSV UTF-8" where a comma is what parts a number."""
    rows = list(csv.reader(io.StringIO(dumped.decode("utf-8-sig"), newline="")))
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerows(
        [cell.replace("\r\n", "\n") for cell in row] for row in rows
    )
    return out.getvalue().encode("utf-8-sig")


NS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def excel(dumped: bytes, batch: Batch) -> bytes:
    """What Excel saves of a workbook: its strings in a part of their own, escaped its way."""
    ET.register_namespace("", NS)
    with zipfile.ZipFile(io.BytesIO(dumped)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    strings: list[str] = []
    for name in [name for name in parts if name.startswith("xl/worksheets/")]:
        page = ET.fromstring(parts[name])
        for cell in page.iter(f"{{{NS}}}c"):
            if cell.get("t") == "inlineStr":
                texts = [node.text or "" for node in cell.iter(f"{{{NS}}}t")]
                if not texts:
                    del cell.attrib["t"]
                    continue
                cell[:] = []
                cell.set("t", "s")
                ET.SubElement(cell, f"{{{NS}}}v").text = str(len(strings))
                strings.append("".join(texts))
        parts[name] = ET.tostring(page)
    table = ET.Element(f"{{{NS}}}sst")
    for text in strings:
        item = ET.SubElement(table, f"{{{NS}}}si")
        ET.SubElement(item, f"{{{NS}}}t").text = text
    parts["xl/sharedStrings.xml"] = ET.tostring(table, "utf-8", xml_declaration=True)
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    told = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kinds}"/></Types>'
    types = parts["[Content_Types].xml"]
    parts["[Content_Types].xml"] = types.replace(b"</Types>", told.encode())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


FINISH: dict[str, Finish] = {
    "jsonl": as_it_is,
    "csv": german_excel,
    "xlsx": excel,
    "conll": as_it_is,
    "squad": as_it_is,
    "prodigy": prodigy,
    "label-studio": label_studio,
    "doccano": doccano,
}
