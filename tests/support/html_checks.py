"""A reader of HTML that names what a browser silently mends: wrong nesting, double ids, labels that lead nowhere."""

from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
OPTIONAL_END = {"option"}
NOT_IN_P = {"p", "div", "ul", "ol", "dl", "table", "form", "section", "nav", "h1", "h2", "h3", "h4", "blockquote"}
PARENTS = {
    "tr": {"thead", "tbody"},
    "td": {"tr"},
    "th": {"tr"},
    "li": {"ul", "ol"},
    "dt": {"div", "dl"},
    "dd": {"div", "dl"},
    "option": {"select", "datalist", "optgroup"},
    "optgroup": {"select"},
    "legend": {"fieldset"},
    "summary": {"details"},
}
INTERACTIVE = {"a", "button", "label", "select", "textarea"}
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "list", "form", "aria-controls")
UNLABELLED_TYPES = {"hidden", "submit"}


class Markup(HTMLParser):
    """One page or one fragment; `faults` says what is wrong, with the line."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.references: list[tuple[str, str]] = []
        self.controls: list[tuple[str, dict[str, str | None]]] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]
        self._check_references(whole="<!doctype" in text.lower())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._check_place(tag)
        if len(given) < len(attrs):
            self._fault(f"<{tag}> has an attribute twice")
        if "style" in given or any(name.startswith("on") for name in given):
            self._fault(f"<{tag}> has an inline style or handler")
        if (id_ := given.get("id")) is not None:
            if id_ in self.ids or not id_ or " " in id_:
                self._fault(f'the id "{id_}" is there twice, or is none')
            self.ids.add(id_)
        if tag == "img" and "alt" not in given:
            self._fault("an image has no alt")
        self.references += [(name, word) for name in REFERENCES for word in (given.get(name) or "").split()]
        control = tag in ("select", "textarea") or (tag == "input" and given.get("type") not in UNLABELLED_TYPES)
        if control and "label" not in self.open and "aria-label" not in given:
            self.controls.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] in OPTIONAL_END and self.open[-1] != tag:
            self.open.pop()
        if not self.open or self.open[-1] != tag:
            self._fault(f"</{tag}> closes <{self.open[-1] if self.open else 'nothing'}>")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def _check_place(self, tag: str) -> None:
        if tag == "option" and self.open and self.open[-1] == "option":
            self.open.pop()
        parent = self.open[-1] if self.open else None
        if parent and tag in PARENTS and parent not in PARENTS[tag]:
            self._fault(f"<{tag}> stands in <{parent}>")
        if "p" in self.open and tag in NOT_IN_P:
            self._fault(f"<{tag}> stands in <p>")
        if tag in self.open and tag in INTERACTIVE | {"form"}:
            self._fault(f"<{tag}> stands in <{tag}>")
        if tag in INTERACTIVE - {"label"} and {"a", "button"} & set(self.open):
            self._fault(f"<{tag}> stands in a link or a button")

    def _check_references(self, whole: bool) -> None:
        """A fragment may lean on the page that it goes into, its labels may not."""
        self.faults += [
            f'{name}="{id_}" leads nowhere' for name, id_ in self.references if whole and id_ not in self.ids
        ]
        labelled = {id_ for name, id_ in self.references if name == "for"}
        self.faults += [
            f"<{tag}> has no label: {given}" for tag, given in self.controls if given.get("id") not in labelled
        ]

    def _fault(self, what: str) -> None:
        self.faults.append(f"line {self.getpos()[0]}: {what}")
