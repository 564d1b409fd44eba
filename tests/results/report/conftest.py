"""Reading a page as a browser does, as far as a test needs it."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest

VOID = {"meta", "input", "img", "br", "link", "hr"}


@dataclass
class Page:
    """What a page consists of."""

    html: str
    ids: list = field(default_factory=list)
    links: list = field(default_factory=list)
    tags: list = field(default_factory=list)
    words: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    scripts: list = field(default_factory=list)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.page, self.open = page, []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.page.tags.append((tag, values))
        self.page.ids += [values["id"]] if "id" in values else []
        self.page.links += [v for k, v in attributes if k in ("href", "src", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.page.problems.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.page.scripts.append(data)
        if not {"style", "script"} & set(self.open):
            self.page.words.append(data)


def read_page(html):
    page = Page(html)
    reader = Reader(page)
    reader.feed(html)
    page.problems += [f"<{tag}> is never closed" for tag in reader.open]
    return page


@pytest.fixture(scope="session")
def read():
    return read_page
