"""What was found out about results: whether they are unaltered, in words and as JSON."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from recolor_core.batch.manifest import MANIFEST
from recolor_core.batch.outcome import one_line
from recolor_core.files import AtomicFile, sha256_of
from recolor_core.provenance import now
from recolor_core.wording import counted

Kind = Literal[
    "missing",
    "damaged",
    "no mark",
    "other source",
    "missing source",
    "damaged source",
    "unknown source",
    "format",
    "pages",
    "size",
    "profile",
    "gray",
    "bytes",
    "not in the manifest",
]
"""What can be found. Each is described where it is found, in `verify` and `films`."""

UNDECIDED: frozenset[Kind] = frozenset({"damaged source", "unknown source"})
"""The findings that do not mean that a result was altered, only that nobody can tell."""


@dataclass(frozen=True)
class Finding:
    """Something about a result that is not as it was written.

    Parameters
    ----------
    kind : str
        One of `Kind`.
    words : str
        What was found.
    """

    kind: Kind
    words: str


@dataclass
class Verification:
    """What was found out about a result.

    Parameters
    ----------
    output : str
        The result.
    source : str or None
        The source that it was compared with.
    findings : list of Finding
        What is not as it was written.
    pages : int
        Number of pages, or frames of a film, whose gray was derived anew.
    exact_pages : int
        Number of pages or frames whose gray is exactly that of the source.
    difference, mean_difference : float or None
        Largest and mean difference of the gray values from those of the source, as fractions of
        white; None if the source was not compared.
    made : dict
        How the first page was made, from its provenance.
    unit : {"page", "frame"}
        What `pages` counts.
    """

    output: str
    source: str | None = None
    findings: list[Finding] = field(default_factory=list)
    pages: int = 0
    exact_pages: int = 0
    difference: float | None = None
    mean_difference: float | None = None
    made: dict[str, Any] = field(default_factory=dict)
    unit: Literal["page", "frame"] = "page"

    @property
    def unaltered(self) -> bool:
        """Whether the result is an unaltered coloring of its source."""
        return not self.findings

    @property
    def altered(self) -> bool:
        """Whether something is not as it was written; False also if that cannot be verified."""
        return any(finding.kind not in UNDECIDED for finding in self.findings)

    def add(self, kind: Kind, words: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, words))

    def record(self) -> dict[str, Any]:
        """The verification in JSON types."""
        return {"unaltered": self.unaltered, "altered": self.altered, **asdict(self)}

    def line(self) -> str:
        """The verification in one line."""
        return one_line(self._words())

    def _words(self) -> str:
        if self.findings:
            verdict = "ALTERED" if self.altered else "CANNOT BE VERIFIED"
            return f"{self.output}: {verdict}: {'; '.join(f.words for f in self.findings)}"
        of = (
            self.source
            or f"{self.made.get('source')} (SHA-256 {self.made['source_sha256'][:12]}...)"
            if self.made["source_sha256"]
            else f"“{self.made.get('source')}”, which was no file"
        )
        if stage := self.made.get("stage"):
            return f"{self.output}: unaltered stage {stage} of the coloring of {of}"
        pages = f", {self.pages} {self.unit}s" if self.pages > 1 else ""
        gray = "its gray is exact" if self.exact_pages else "its format does not keep the gray"
        if 0 < self.exact_pages < self.pages:
            gray = f"the gray of {self.exact_pages} {self.unit}s is exact"
        if self.difference:
            gray = f"its gray is within {self.difference * 100:.2g} % of white"
            if self.mean_difference is not None:
                gray += f", on average {self.mean_difference * 100:.2g} %"
        return f"{self.output}: unaltered coloring of {of}{pages}; {gray}; {self._maker()}"

    def _maker(self) -> str:
        weights = self.made.get("weights") or {}
        return (
            f"made by {self.made.get('tool')} with weights {weights.get('name')} "
            f"on {self.made.get('when')}"
        )


@dataclass
class Summary:
    """What was found out about all results of a folder.

    Attributes
    ----------
    count, altered, undecided : int
        Number of results, of those that were altered, and of those that cannot be verified.
    compared : int
        Number of results that were compared with their sources.
    kinds : Counter
        Number of altered results by the kind of finding.
    lines, undecided_lines : list of dict
        What was found out about each altered result, and each that cannot be verified.
    """

    count: int = 0
    altered: int = 0
    undecided: int = 0
    compared: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    lines: list[dict[str, Any]] = field(default_factory=list)
    undecided_lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, verification: Verification) -> None:
        """Count a result."""
        self.count += 1
        self.compared += verification.difference is not None
        if verification.altered:
            self.altered += 1
            self.kinds.update({finding.kind for finding in verification.findings})
            self.lines.append(verification.record())
        elif verification.findings:
            self.undecided += 1
            self.undecided_lines.append(verification.record())

    def line(self) -> str:
        """The summary in one line."""
        compared = f", {self.compared} compared with their sources" if self.compared else ""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        altered = f"{self.altered} ALTERED ({kinds})" if self.altered else "none altered"
        undecided = f", {self.undecided} that cannot be verified" if self.undecided else ""
        return f"{counted(self.count, 'result')} verified{compared}: {altered}{undecided}"

    def write(
        self, path: Path, output: Path, source: Path | None, signed_by: str, *, overwrite: bool
    ) -> None:
        """Write the summary as JSON, with the digest of all that it says.

        Parameters
        ----------
        path : Path
            The file.
        output, source : Path
            What was verified, and with what it was compared.
        signed_by : str
            Who signs it off.
        overwrite : bool
            Whether a file that is there may be replaced.
        """
        manifest = output / MANIFEST
        facts = {
            "verified": now(),
            "software": f"recolor {version('napari-recolor')}",
            "signed_by": signed_by,
            "output": str(output.absolute()),
            "source": str(source.absolute()) if source else None,
            "manifest_sha256": sha256_of(manifest) if manifest.exists() else None,
            "results": self.count,
            "compared_with_sources": self.compared,
            "unaltered": self.count - self.altered - self.undecided,
            "altered": self.lines,
            "cannot_be_verified": self.undecided_lines,
        }
        text = json.dumps(facts, sort_keys=True)
        facts["sha256_of_the_above"] = sha256(text.encode()).hexdigest()
        with AtomicFile(path, overwrite=overwrite) as file:
            file.file.write(json.dumps(facts, indent=2).encode() + b"\n")
