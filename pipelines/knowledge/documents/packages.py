"""Office Open XML packages (ECMA-376, part 2): their formats, parts and relations, within bounds."""

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from pipelines.knowledge.documents.errors import CORRUPT, ENCRYPTED, TOO_LARGE, UNSUPPORTED, UnreadableDocument
from pipelines.knowledge.documents.formats import READ_FORMATS, Format
from pipelines.knowledge.documents.limits import Limits

_TYPES_PART = "[Content_Types].xml"
_TYPES_MAX_BYTES = 4 * 1024 * 1024
_ENCRYPTED_FLAG = 0x1
# The main part's content type holds one of these, in all variants: with macros, templates, strict and transitional.
_MAIN = (
    (Format.DOCX, re.compile(r"(?:ms-word|wordprocessingml)\.[\w.]{1,60}\.main\+xml")),
    (Format.XLSX, re.compile(r"(?:ms-excel|spreadsheetml)\.[\w.]{1,60}\.main\+xml")),
    (Format.PPTX, re.compile(r"(?:ms-powerpoint|presentationml)\.[\w.]{1,60}\.main\+xml")),
)
_FOLDERS = (("word/", Format.DOCX), ("xl/", Format.XLSX), ("ppt/", Format.PPTX))
_DAMAGED = "This Office document is damaged and cannot be opened."


def package_format(data: bytes) -> Format:
    """The format of a zip file, by the content type of its main part. Raises `UnreadableDocument`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            types = _types(archive) if _TYPES_PART in names else ""
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
        raise UnreadableDocument(_DAMAGED, code=CORRUPT) from error
    if "xl/workbook.bin" in names:
        raise UnreadableDocument(
            "This is a binary workbook (.xlsb). Save it as .xlsx and send it again.", code=UNSUPPORTED
        )
    for found, main_type in _MAIN:
        if main_type.search(types):
            return found
    for folder, found in _FOLDERS:
        if any(name.startswith(folder) for name in names):
            return found
    what = "an OpenDocument or EPUB file" if "mimetype" in names else "an archive"
    raise UnreadableDocument(f"This is {what}, which is not read. Send {READ_FORMATS}.", code=UNSUPPORTED)


def has_macros(data: bytes) -> bool:
    """Whether a package that was read holds programs."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return any(name.endswith("vbaProject.bin") for name in archive.namelist())


def _types(archive: zipfile.ZipFile) -> str:
    with archive.open(_TYPES_PART) as opened:
        return opened.read(_TYPES_MAX_BYTES).decode("utf-8", errors="replace")


class Package:
    """The parts of a package. Every error caused by its content is an `UnreadableDocument`."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
            entries = self._archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise UnreadableDocument(_DAMAGED, code=CORRUPT) from error
        if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
            raise UnreadableDocument("This document is protected by a password.", code=ENCRYPTED)
        # zipfile never reads more of an entry than its directory announces, so the announced sizes are a bound.
        if sum(entry.file_size for entry in entries) > limits.uncompressed_bytes:
            detail = f"This document unpacks to more than {limits.uncompressed_bytes // 2**20} MiB."
            raise UnreadableDocument(detail, code=TOO_LARGE)
        self.names = frozenset(entry.filename for entry in entries)

    def read(self, name: str) -> bytes:
        """The bytes of a part."""
        try:
            return self._archive.read(name)
        except (KeyError, OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UnreadableDocument(_DAMAGED, code=CORRUPT) from error

    def tree(self, name: str) -> Any:
        """The root of an XML part, its namespaces left off (`local names` are the same in strict and transitional)."""
        try:
            root = etree.fromstring(self.read(name), _parser())
        except (etree.XMLSyntaxError, ValueError) as error:
            raise UnreadableDocument(_DAMAGED, code=CORRUPT) from error
        for element in root.iter(etree.Element):
            element.tag = etree.QName(element).localname
        return root

    def elements(self, name: str, *tags: str) -> Iterator[Any]:
        """The elements with these local names in a part, in order, without holding the whole part in memory."""
        try:
            for _, element in etree.iterparse(
                io.BytesIO(self.read(name)),
                tag=[f"{{*}}{tag}" for tag in tags],
                resolve_entities=False,
                no_network=True,
                load_dtd=False,
            ):
                for each in element.iter(etree.Element):
                    each.tag = etree.QName(each).localname
                yield element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
        except (etree.XMLSyntaxError, ValueError) as error:
            raise UnreadableDocument(_DAMAGED, code=CORRUPT) from error

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """By id: the kind (the last word of its type) and the part, or address, that it points to."""
        folder, base = posixpath.split(name)
        part = f"{folder}/_rels/{base}.rels" if folder else f"_rels/{base}.rels"
        if part not in self.names:
            return {}
        found = {}
        for relation in self.tree(part).iter("Relationship"):
            target = relation.get("Target", "")
            if relation.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[relation.get("Id", "")] = (relation.get("Type", "").rpartition("/")[2], target)
        return found

    def related(self, name: str, kind: str) -> list[str]:
        """The parts that a part refers to with relations of one kind."""
        return [target for found, target in self.relations(name).values() if found == kind and target in self.names]

    def main(self, fallback: str) -> str:
        """The name of the main part."""
        found = self.related("", "officeDocument")
        return found[0] if found else fallback

    def title(self) -> str:
        """The title in the package's properties."""
        for part in self.related("", "core-properties"):
            return str(self.tree(part).findtext("title") or "")
        return ""


def relation_of(element: Any, name: str = "id") -> str:
    """The relation that an attribute of an element names; the namespace differs between strict and transitional."""
    for key, value in element.attrib.items():
        if key.startswith("{") and key.endswith(f"}}{name}"):
            return str(value)
    return ""


def _parser() -> Any:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
