"""The pages that people read, as text: their code, their links, their SQL."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """What is outside the fences."""
        return _FENCE.sub("", self.text)

    def fences(self, language: str) -> list[str]:
        """The blocks of code of one language."""
        return [code for found, code in _FENCE.findall(self.text) if found == language]

    @property
    def spans(self) -> list[str]:
        """Code within a line."""
        return _SPAN.findall(self.prose)

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """The names that links give to the headings, as GitHub makes them."""
        return {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in _HEADING.findall(self.prose)
        }

    @property
    def statements(self) -> list[str]:
        """Every statement of its SQL blocks, and those of `make psql C="…"`, which are whole."""
        blocks = "".join(self.fences("sql"))
        commands = re.findall(r'make psql C="(select [^"…]+)"', self.text)
        parts = [re.sub(r"^\s*--.*$", "", part, flags=re.MULTILINE).strip() for part in blocks.split(";")]
        return [*filter(None, parts), *commands]


def all_pages() -> list[Page]:
    return [Page(path) for path in PAGES]
