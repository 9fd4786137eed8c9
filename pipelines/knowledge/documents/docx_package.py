"""Opens a Word package: macro-enabled files, templates and Strict Office Open XML (ISO/IEC 29500-1) as well."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import docx.package
from docx.opc.part import PartFactory
from docx.oxml.ns import qn
from docx.parts.document import DocumentPart
from lxml import etree  # type: ignore[import-untyped]

from pipelines.knowledge.documents.errors import CORRUPT, ENCRYPTED, TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits

_ENCRYPTED_FLAG = 0x1
_PACKAGE_RELATIONS = "_rels/.rels"
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/"
_XML = (".xml", ".rels")
_MAIN_TYPES = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)

# python-docx reads the main part of a package as XML; these content types mark it as a document.
PartFactory.part_type_for.update(dict.fromkeys(_MAIN_TYPES, DocumentPart))


def open_package(data: bytes, limits: Limits) -> Any:
    """The document of a package, found by its relationships. Raises `UnreadableDocument` for all others."""
    data = _checked(data, limits)
    main = docx.package.Package.open(io.BytesIO(data)).main_document_part
    if not isinstance(main, DocumentPart):
        raise UnreadableDocument("This Word document has no main text.", code=CORRUPT)
    return main.document


def elements_of(relations: Iterable[Any], *kinds: str, below: tuple[str, ...] = ()) -> Iterator[Any]:
    """The root elements of the parts of these kinds, or the elements directly below them."""
    for relation in relations:
        if relation.is_external or relation.reltype.rpartition("/")[2] not in kinds:
            continue
        part = relation.target_part
        root = getattr(part, "element", None)
        if root is None:
            root = etree.fromstring(part.blob, etree.XMLParser(resolve_entities=False, no_network=True))
        if below:
            yield from root.iterchildren(*(qn(name) for name in below))
        else:
            yield root


def _checked(data: bytes, limits: Limits) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
                raise UnreadableDocument("This Word document is protected by a password.", code=ENCRYPTED)
            # zipfile never reads more of an entry than its directory announces: the announced sizes are a bound.
            if sum(entry.file_size for entry in entries) > limits.uncompressed_bytes:
                raise UnreadableDocument(
                    f"This Word document unpacks to more than {limits.uncompressed_bytes // 2**20} MiB.", code=TOO_LARGE
                )
            names = archive.namelist()
            if _PACKAGE_RELATIONS in names and _STRICT.search(archive.read(_PACKAGE_RELATIONS)):
                return _transitional(archive)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UnreadableDocument("This Word document is damaged and cannot be opened.", code=CORRUPT) from error
    return data


def _transitional(archive: zipfile.ZipFile) -> bytes:
    """The same package in the names of the transitional standard, which differ only in their first part."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as copy:
        for entry in archive.infolist():
            if entry.filename.endswith(_XML):
                copy.writestr(entry.filename, _STRICT.sub(_TRANSITIONAL, archive.read(entry)))
            elif not entry.is_dir():
                # Pictures are named, not read; their parts have to exist.
                copy.writestr(entry.filename, b"")
    return written.getvalue()
