"""The content of a page, without menus, advertisements and lists of what else to read.

Rules in turn, each of which leaves elements out: those whose `class` or `id` names a part of every page,
those that are mostly links, and those beside the element that holds nearly all of the prose. What is left is
kept whole: every list, caption and glyph of it.
"""

import re
from functools import lru_cache
from itertools import islice

from llama_core.corpus.markup.webpage.page_tree import PageTree

# Chosen by the F1 of `benchmarks.extraction` and by reading what pages that are no articles lose. A fifth
# more or less of one of them changes the F1 by some 0.002.
_LARGE = 0.6  # an element with more than this share of the prose is not left out, whatever its name and links
_LINKED = 0.36  # share of linked characters from which on an element is a menu
_MOST_LINKED = 0.8  # the same for paragraphs and tables, which often hold links for good reason
_MENU_CHARS = 2000  # an element of more characters is more than a menu
_DECLARED = 0.3  # share of the prose that an element must hold to be the content that it says it is
_RIVAL = 0.5  # of its prose: an element of the same kind with more is content too
_MAIN = 0.8  # an element with this share of its parent's prose is where the content is
_MUCH = 300  # characters of prose that make an element beside that one content too,
_SOME_PROSE = 0.3  # share of prose above which a section of such a page is no menu however many links it has
_MOST_LABEL = 60  # characters of a heading that says no more than what the list under it is
_SHORT = 700  # characters of prose below which a page has no part to spare
_SOME_LINKED = 0.35  # unless more than this share of its characters is linked
_FEW_LINKED = 0.2  # share of linked characters up to which a list beside it is content
_UNLINKED = 0.05  # share of linked characters up to which an element has hardly any links

_NAMES = """
    nav|navbar|navigation|menus?|submenu|breadcrumbs?|crumbs?|pagination|pager|paginator|skip|toc
    |foot|footer|footnav|copyright|cookies?|consent|gdpr|legal|disclaimer
    |sidebars?|rail|widgets?|masthead|topbar|toolbar|site-?header|page-?header|global-?header
    |shar(?:e|es|ing|edaddy|ebar)|socials?|socialmedia|addthis|addtoany|follow|followus|subscribe|subscription
    |newsletters?|signup|sign-?in|log-?in|register|paywall
    |related-?(?:posts|articles|stories|links|content)?
    |recommended|recommendations|recirc|recirculation|trending|popular|most-?(?:read|popular|viewed)
    |more-?(?:stories|news|articles|from|on|posts|links)|read-?(?:more|next|also)|see-?also
    |also-?(?:read|like)
    |up-?next|next-?post|prev-?post|post-?nav|promos?|promoted|teasers?|outbrain|taboola|sponsored|sponsor
    |editors?-?picks|ads?|adverts?|advertisement|advertising|adsense|adslot|adbox|banners?|dfp|gpt
    |comments?|commentlist|disqus|respond|replies|reactions|livefyre
    |byline|dateline|timestamp|pubdate|post-?meta|entry-?meta|article-?meta|metadata|meta
    |author-?(?:bio|box|info|content|profile|desc(?:ription)?|details|card|section)
    |(?:post|entry|article)-author|about-?(?:the-?)?author|bio|tags|tag-?list|tagcloud|keywords|categories
    |catlinks|print-?footer|post-?profile|material-(?:icons?|symbols)
    |modal|popup|lightbox|overlay|tooltip|drop-?down|(?:visually|is|screen-?reader)-?hidden
    |screen-?reader(?:-text)?|sr-?only
    |print|printonly|noprint|gallery|carousel|slideshow|slider|thumbnails?|credits?|photo-?credit
    |search|searchbox|feedback|ratings?|votes?|poll|donate|donation|tools|jump-?links?
    |headerlink|header-anchor|permalink|hash-?link|anchor-?link
    |mw-editsection|mw-cite-backlink|viewcode-link
    |(?:news-?)?ticker|breaking-(?:block|bar)|text-?size|text-?resizer
    |font-?(?:size|resizer)|likes-other-gravatars?
"""
_NUMBERS = (  # of lines of code
    "linenos?|lineno(?:div)?|linenumbers?|line-number|blob-num|crayon-nums|hljs-ln-numbers|rouge-gutter"
)
_DENIED = re.compile(
    rf"(?:^|[\s_-])(?:{''.join(_NAMES.split())}|{_NUMBERS})(?:$|[\s_-])|(?:^|\s)(?:hidden|invisible)(?!\S)"
)
# What a name says of the rest of an element, of its subject, or of a width of the screen at which it is seen.
_MODIFIERS = re.compile(
    r"(?:^|(?<=\s))(?:(?:has|no|with|without|hide|show)-\S+|(?:category|tag)-(?!list|cloud)\S+"
    r"|(?:hidden|invisible)(?=\s(?:\S+\s)*?\w+:(?:block|flex|grid|inline|table|visible)))"
)
_LINE_NUMBERS = re.compile(rf"(?:^|[\s_-])(?:{_NUMBERS})(?:$|[\s_-])", re.IGNORECASE)
_ALLOWED = re.compile(
    r"(?:^|[\s_-])(?:article|story|post|entry|blog|page|main|content|text)-?"
    r"(?:body|content|text|main|wrap(?:per)?|container|inner|area|page)(?:$|[\s_-])"
    r"|(?:^|\s)(?:content|main|article|story|hentry|page|wp-block-gallery)(?:$|\s)"
)
# Names of parts that are no content however much prose they have.
_OTHERS = re.compile(
    r"comment|disqus|respon[ds]|repl(?:y|ies)|reaction|related|recommend|recirc|trending|popular|more-|also"
    r"|nav|menu|foot|side-?bar|cookie|consent|gdpr|hidden|invisible|modal|popup|newsletter|teaser|gallery|promo"
)
_DISCUSSION = re.compile(r"comments?|replies|respond|reactions|ratings?|votes?", re.IGNORECASE)
# Pictures without words are no text; those with captions are.
_GALLERY = re.compile(r"galler(?:y|ies)|carousel|slideshow|slider", re.IGNORECASE)
_CAPTIONS = frozenset({"figcaption"})
# What links of headings to themselves show, and links of notes back to where they are cited.
_ANCHORS = frozenset({"#", "¶", "§", "🔗", "↑", "^", "↩", "↩\ufe0e"})
# Elements in a line. Where a sentence goes on around one it is a part of the sentence, whatever its name is,
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "cite", "code", "dfn", "em", "font", "i", "mark", "q", "small", "span"}
    | {"strong", "time", "u", "var"}
)
# but not these: they are for readers of another kind, or lead to something else.
_UNSEEN = re.compile(
    r"hidden|invisible|sr-?only|screen-?reader|edit|link|ads?\b|advert|print|credit", re.IGNORECASE
)
_LETTERS_BEFORE = re.compile(r"\w[\w,:'’]* ?\Z|[(\[“\"]\Z")
_LETTERS_AFTER = re.compile(r"[.,;:!?)\]”\"]|\s?[^\W\d_]")
_DIGITS = re.compile(r"\d+")
# Asides that are a part of the text.
_ASIDES = re.compile(
    r"(?:^|[\s_-])(?:notes?|tip|hint|warning|caution|danger|important|admonition|callout|notice|attention"
    r"|footnotes?|example|topic|(?<!pull-)quote)(?:$|[\s_-])",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ALWAYS = frozenset({"body", "html", "main", "h1", "article"})
_SURROUNDING = frozenset({"footer", "aside", "header"})
_CLUSTERS = frozenset({"ul", "ol", "dl", "div", "section", "table", "p"})
_LISTS = frozenset({"ul", "ol", "dl"})
_BESIDE = 200  # elements beside a list that are looked at
_WITH_LINKS = frozenset({"table", "p"})
_CONTAINERS = frozenset(
    [
        "div",
        "section",
        "article",
        "main",
        "table",
        "tbody",
        "tr",
        "td",
        "center",
        "form",
        "span",
        "header",
        "footer",
        "aside",
        "address",
        "fieldset",
    ]
)
_CODE = frozenset({"pre", "code", "kbd", "samp"})
_FIRST_NODES = 8  # of a section that are looked at for a link to it
_NONE: dict[str, str | None] = {}
_ROOTS = ("body", "article", "main")
_STRUCTURED = frozenset({"ul", "ol", "dl", "table", "pre", "figure", "blockquote"})
_HEADINGS = frozenset({"h1", "h2"})
_LOWER_HEADINGS = frozenset({"h2", "h3", "h4", "h5", "h6"})
_ALL_HEADINGS = _LOWER_HEADINGS | {"h1"}
# Elements whose ids are made of their words, for links to them.
_WITH_ANCHORS = _ALL_HEADINGS | {"p", "li", "dt", "dd", "tr", "td", "th", "a", "figure", "table"}


def choose(tree: PageTree) -> None:
    """Drop the parts of a page that are not its content."""
    _drop_named(tree)
    _drop_menus(tree)
    _drop_around(tree)
    _drop_lone_headings(tree)


@lru_cache(1 << 16)
def _is_denied(names: str) -> bool:
    """Tell whether the `class` and `id` of an element name a part that is no content."""
    names = _MODIFIERS.sub("", _CAMEL.sub("-", names).lower())
    return bool(_DENIED.search(names)) and not _ALLOWED.search(names)


def _drop_named(tree: PageTree) -> None:
    has_title, has_caption = _has(tree, _HEADINGS), _has(tree, _CAPTIONS)
    most = tree.prose(0) * _LARGE if tree.prose(0) > 400 else 0
    all_chars = tree.chars(0) * _LARGE
    at, end = 1, len(tree.tag)
    code_end = 0
    unnamed: tuple[re.Pattern[str], ...] = ()
    while at < end:
        begin = at
        named = []
        while at < end:
            content = (*unnamed, _GALLERY) if has_caption[at] else unnamed
            if tree.tag[at] in _CODE:
                code_end = max(code_end, tree.end[at])
            if _is_part(tree, at, has_title[at], at < code_end, content) and (
                tree.prose(at) <= most if most else tree.chars(at) <= all_chars
            ):
                named.append(at)
                at = tree.end[at]
            else:
                at += 1
        # One may have more prose than all that would be left: pages call the column of their article a rail,
        # or what is behind a paywall. Then its own parts are looked for.
        left = tree.prose(0) - sum(map(tree.prose, named))
        if not unnamed and left < _MUCH:
            # Without its comments and answers the page would have next to nothing: they are its content.
            said = sum(tree.prose(n) for n in named if _DISCUSSION.search(_names(tree, n)))
            if said > left:
                at, unnamed = begin, (_DISCUSSION,)
                continue
        main = next((n for n in named if tree.prose(n) > max(left, _MUCH) and not _is_other(tree, n)), end)
        kept = {main}
        if not left and main == end:  # a short page all of whose parts have such names
            kept.update(n for n in named if tree.prose(n) and not _is_other(tree, n))
        for node in named:
            if node not in kept:
                tree.drop(node)
        at, end = main + 1, tree.end[main] if main < end else end


def _is_part(
    tree: PageTree, node: int, has_title: bool, in_code: bool, unnamed: tuple[re.Pattern[str], ...]
) -> bool:
    """Tell whether an element says by its tag or its names that it is a part of every page.

    `unnamed`: names of parts that are content here.
    """
    tag = tree.tag[node]
    if not tag or tag in _ALWAYS:
        return False
    if tag in _SURROUNDING and not (tag == "header" and has_title):
        names = _names(tree, node)
        return tree.tag[tree.parent[node]] != "blockquote" and not (tag == "aside" and _ASIDES.search(names))
    if tag == "a" and 0 < tree.chars(node) < 3 and tree.text.get(node + 1, "").strip() in _ANCHORS:
        return True
    own = tree.attributes.get(node, _NONE)
    if "class" not in own and "id" not in own:
        return False
    names = _names(tree, node)
    if not _is_denied(_without(unnamed, names)):
        return False
    if in_code:  # names there say what the code means
        return bool(_LINE_NUMBERS.search(names))
    if "id" in own and (tag in _WITH_ANCHORS or _links_to_itself(tree, node)):
        names = own.get("class") or ""
        if not _is_denied(_without(unnamed, names)):
            return False
    if tag not in _INLINE:
        return True
    if tree.text.get(node + 1) == "/":  # of a fraction whose parts stand above one another
        return False
    return bool(_UNSEEN.search(names)) or not _is_in_sentence(tree, node)


def _without(patterns: tuple[re.Pattern[str], ...], names: str) -> str:
    for pattern in patterns:
        names = pattern.sub("", names)
    return names


def _links_to_itself(tree: PageTree, node: int) -> bool:
    """Tell whether the heading that an element begins with has a link to it, as sections of manuals have."""
    link = f"#{tree.attributes[node].get('id')}"
    inside = range(node + 1, min(node + _FIRST_NODES, tree.end[node]))
    return any(tree.attributes.get(n, _NONE).get("href") == link for n in inside)


def _is_in_sentence(tree: PageTree, node: int) -> bool:
    """Tell whether words of a sentence stand right before and right after an element."""
    after = tree.end[node]
    if after >= len(tree.tag) or tree.tag[node - 1] or tree.tag[after]:
        return False
    if not tree.parent[node - 1] == tree.parent[node] == tree.parent[after]:
        return False
    before = tree.text[node - 1][-40:]
    return bool(_LETTERS_BEFORE.search(before) and _LETTERS_AFTER.match(tree.text[after]))


def _is_other(tree: PageTree, node: int) -> bool:
    """Tell whether an element is none of the content however much prose it has."""
    return tree.tag[node] in _SURROUNDING or bool(_OTHERS.search(_names(tree, node).lower()))


def _names(tree: PageTree, node: int) -> str:
    own = tree.attributes.get(node, _NONE)
    return f"{own.get('class') or ''} {own.get('id') or ''}"[:1000]


def _has(tree: PageTree, tags: frozenset[str]) -> list[bool]:
    """Tell of each node whether one of the `tags` is in its subtree."""
    found = [False] * len(tree.tag)
    for node in range(len(tree.tag) - 1, 0, -1):
        if found[node] or tree.tag[node] in tags:
            found[tree.parent[node]] = True
    return found


def _drop_menus(tree: PageTree) -> None:
    """Drop lists, tables and sections of links, the innermost first."""
    is_short = tree.prose(0) < _SHORT
    for node in reversed([node for node in tree.left() if tree.tag[node] in _CLUSTERS]):
        chars = tree.chars(node)
        most = _MOST_LINKED if tree.tag[node] in _WITH_LINKS else _LINKED
        if not chars or chars >= _MENU_CHARS or tree.linked(node) <= most * chars:
            continue
        if tree.prose(node) > _LARGE * tree.prose(0) or (is_short and tree.prose(node) > _SOME_PROSE * chars):
            continue
        if (tree.tag[node] in _LISTS and _is_authored(tree, node)) or "h1" in _inside(tree, node):
            continue
        tree.drop(node)


def _inside(tree: PageTree, node: int) -> list[str]:
    """Return the tags in a subtree."""
    return tree.tag[node : tree.end[node]]


def _is_authored(tree: PageTree, node: int) -> bool:
    """Tell whether a list of links stands between paragraphs of prose as their author has put it there."""
    own = tree.attributes.get(node, _NONE)
    if "class" in own or "id" in own or not _ALL_HEADINGS.isdisjoint(_inside(tree, node)):
        return False
    beside = islice(tree.children(tree.parent[node]), _BESIDE)
    return any(tree.tag[n] == "p" and tree.chars(n) > 2 * tree.linked(n) for n in beside)


def _drop_around(tree: PageTree) -> None:
    """Go down to the element that holds most of the prose, and drop what surrounds it."""
    node = _declared(tree)
    while tree.prose(node):
        inside = [c for c in tree.children(node) if tree.tag[c] in _CONTAINERS]
        main = [c for c in inside if tree.prose(c) >= _MAIN * tree.prose(node)]
        if not main:
            return
        for child in inside:
            if child != main[0] and not (_is_alike(tree, child, main[0]) or _is_content(tree, child)):
                tree.drop(child)
        node = main[0]


def _is_alike(tree: PageTree, node: int, main: int) -> bool:
    """Tell whether an element is of the kind of that with most of the prose.

    It has the same tag, and the same class and hardly any links, or the same id but for its number, as the
    posts of a forum have.
    """
    if tree.tag[node] != tree.tag[main]:
        return False
    own, other = tree.attributes.get(node, _NONE), tree.attributes.get(main, _NONE)
    if "id" in own:
        stem, number = _DIGITS.subn("", own["id"] or "")
        return number > 0 and stem == _DIGITS.sub("", other.get("id") or "")
    return own.get("class") == other.get("class") and tree.linked(node) <= _UNLINKED * tree.chars(node)


def _is_content(tree: PageTree, node: int) -> bool:
    """Tell whether an element beside the one with most of the prose goes with it.

    It does if it has much prose of its own or the page is short, or if it has few links and holds a list, a
    table, code, a picture with its words or a quotation: of these, many have no line that is long enough to
    be prose.
    """
    is_short = tree.prose(0) < _SHORT
    if is_short and "h1" in _inside(tree, node):
        return True
    linked, chars = tree.linked(node), tree.chars(node)
    if linked <= _SOME_LINKED * chars and (is_short or tree.prose(node) >= _MUCH):
        return True
    return linked <= _FEW_LINKED * chars and not _STRUCTURED.isdisjoint(_inside(tree, node))


def _drop_lone_headings(tree: PageTree) -> None:
    """Drop the headings of lists and sections that were left out: no text follows up to the next heading."""
    for node in [node for node in tree.left() if tree.tag[node] in _LOWER_HEADINGS]:
        after, size = tree.end[node], len(tree.tag)
        has_lost = False
        while after < size:
            name = tree.tag[after]
            if after in tree.dropped:
                has_lost, after = True, tree.end[after]
            elif name in _ALL_HEADINGS or (not name and not tree.text[after].isspace()):
                break
            else:
                after += 1
        is_last = after == size or "" < tree.tag[after] <= tree.tag[node]
        if has_lost and is_last and tree.chars(node) < _MOST_LABEL:
            tree.drop(node)


def _declared(tree: PageTree) -> int:
    """Go down to the element that the page declares to be its content, or stay at the top."""
    found: dict[str, list[int]] = {}
    for at in tree.left():
        own = tree.attributes.get(at, _NONE)
        kind = "body" if own.get("itemprop") == "articleBody" else tree.tag[at]
        if own.get("role") == "main":
            kind = "main"
        if kind in _ROOTS and tree.chars(at):
            found.setdefault(kind, []).append(at)
    for kind in _ROOTS:
        some = sorted(found.get(kind, ()), key=lambda n: -tree.prose(n))
        if some and tree.prose(some[0]) and tree.prose(some[0]) >= _DECLARED * tree.prose(0):
            node = some[0]
            least = _RIVAL * tree.prose(node)
            others = [n for n in some[1:] if not node <= n < tree.end[node]]
            if not any(tree.prose(n) > least or _is_alike(tree, n, node) for n in others):
                _keep_only(tree, node)
                return node
    return 0


def _keep_only(tree: PageTree, node: int) -> None:
    """Drop all that is not in the subtree of a node, but for the elements around it."""
    while (above := tree.parent[node]) >= 0:
        for child in tree.children(above):
            if child != node:
                tree.drop(child)
        node = above
