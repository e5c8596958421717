"""What LaTeX's own commands and environments become in running text: tables for the layers of the renderer.

A command that is in no table is left out, and the text in its braces stays. One that is left out with its
arguments is a name in `ARGUMENTS`; one that needs code is a handler in `paper`.

The arguments that go with a command are written as letters: `*` a star, `o` [...], `m` {...}, `l` the same
over paragraphs, `p` (...),
`a` <...>, `d` a length or number as plain TeX reads it, `w` one word or control word.
"""


def words(names: str) -> frozenset[str]:
    """Return the names in a list that white space separates."""
    return frozenset(names.split())


def _table(lines: str, before: str = "\\") -> dict[str, str]:
    """Return the letters of each control word, from lines of `letters: names`. `before`: begins each name."""
    found: dict[str, str] = {}
    for line in lines.strip().splitlines():
        letters, _, names = line.strip().partition(":")
        found |= {before + name: letters for name in names.split()}
    return found


# Commands that are left out with the arguments that the letters say; what follows these stays.
ARGUMENTS = _table(r"""
*m: vspace hspace label inst tag
*om: index sindex
m: pagestyle thispagestyle bibliographystyle addbibresource glossary nocite graphicspath
m: hypersetup lstset tikzset usetikzlibrary pgfplotsset sisetup hyphenation stepcounter refstepcounter
*ommm: rowcolors
m: phantom hphantom vphantom markright newsavebox newlength newdimen usebox pagenumbering theoremstyle date
m: author affiliation address affil institute email keywords pacs preprint subjclass thanksref orcid
m: cntext hypertarget setstretch linespread urlstyle ccsdesc
m: tnote algstore algrestore againframe usebeamerfont usebeamercolor column acroextra
m: Needspace needspace lhead rhead lfoot rfoot chead cfoot setcopyright acmDOI
m: acmYear acmConference acmISBN settopmatter listoffixmes DOI doi arxivnumber PACS received accepted
m: revised published altaffilmark bibinfo corref cortext fnref tnoteref tnotetext graphicalabstract
m: RestyleAlgo IncMargin DecMargin shortcites
m: linethickness bibliographyfont nobibliography TPMargin contentsname sethead
om: pdfmargincomment tabucline
om: cline fixme color textcolor pagecolor includepdf captionsetup missingfigure marginpar sidenote
om: thanks altaffiliation
omoo: rowcolor columncolor
om: cellcolor fancyhead fancyfoot fancyhf
m: psfig epsfig epsffile epsfbox plotone special hyperlink
a*oom: includegraphics includesvg includestandalone
mm: setlength addtolength setcounter addtocounter settowidth fontsize markboth setbeamercolor
mm: floatname whiledo
mm: setbeamertemplate counterwithin plottwo DeclareUnicodeCharacter textblockcolour
mm: fancypagestyle titleformat*
m: usepgfplotslibrary arrayrulecolor
mmm: specialrule
mmm: definecolor addcontentsline contentsline titlespacing titlespacing* DeclareCaptionFormat
mmm: crefname Crefname crefrangelabelformat
mm: addtocontents crefalias labelcrefformat colorlet hypercolor
om: bookmark href rowfont
ol: fxnote fxwarning fxerror fxfatal pdfcomment deleted remove chdeleted chcomment todo
m: vadjust
m: sout st xout mark message errmessage wlog typeout showthe hhline Xhline DIFdel DIFdelFL addeditor
m: shorthandoff shorthandon useshorthands languageshorthands value
m: setremarkmarkup setdeletedmarkup setaddedmarkup setauthormarkup
mm: PackageWarning ClassWarning Xcline
om: definechangesauthor SetRow SetCell SetTblrInner
o: footnotemark linebreak nolinebreak nopagebreak allowdisplaybreaks
o: twocolumn printindex listoftodos
o: dataset tmark
omm: rule pdfbookmark nomenclature
mo: scalebox cdashline
moo: raisebox
moom: savebox
m: symbol TblrNote fontfamily fontseries fontshape fontencoding
mmmm: usefont
m: rotate tablewidth tabletypesize tablecolumns tablerefs tablenotemark notetoeditor
m: figurenum tablenotetext facility software IEEEpubid citestyle
om: rotatebox
mm: resizebox resizebox* fcolorbox
m: colorbox
oo: makebox framebox
ooom: parbox
o: makecell thead twocolumn shortstack
m: adjustbox
d: hglue hskip kern mskip mkern penalty raise lower moveleft moveright baselineskip parskip parindent hsize
d: vsize textwidth textheight topmargin oddsidemargin evensidemargin headheight headsep footskip tabcolsep
d: hoffset voffset arraycolsep columnsep abovedisplayskip belowdisplayskip leftskip rightskip magnification
d: tolerance hangindent hangafter pageno footnotesep topskip parfillskip abovecaptionskip belowcaptionskip
d: hfuzz vfuzz hbadness vbadness widowpenalty clubpenalty emergencystretch lineskip itemsep parsep topsep
d: unitlength fboxsep fboxrule jot epsfxsize epsfysize spaceskip arrayrulewidth doublerulesep columnwidth
d: mathsurround displaywidowpenalty brokenpenalty interlinepenalty looseness floatsep textfloatsep intextsep
d: marginparwidth overfullrule secnumdepth hyphenpenalty exhyphenpenalty predisplaypenalty
d: postdisplaypenalty pretolerance doublehyphendemerits finalhyphendemerits adjdemerits
d: showboxdepth showboxbreadth lineskiplimit normalbaselineskip normallineskip
d: advance multiply divide
d: binoppenalty relpenalty linepenalty outputpenalty floatingpenalty mag maxdeadcycles
d: interfootnotelinepenalty
d: defaulthyphenchar defaultskewchar delimiterfactor endlinechar escapechar newlinechar errorcontextlines
d: holdinginserts lefthyphenmin righthyphenmin globaldefs uchyph tracingmacros tracingonline tracingpages
d: tracingparagraphs tracingstats tracingoutput hideskip splittopskip tabskip xspaceskip thinmuskip
d: medmuskip thickmuskip boxmaxdepth maxdepth splitmaxdepth delimitershortfall nulldelimiterspace scriptspace
d: displayindent displaywidth predisplaysize abovedisplayshortskip belowdisplayshortskip bigskipamount
d: medskipamount smallskipamount interdisplaylinepenalty extrarowheight tabulinesep heavyrulewidth
d: lightrulewidth cmidrulewidth aboverulesep belowrulesep
oma: Block
o: lettrine IEEEPARstart PARstart dropcap
w: fontname skew the
p: put line vector setcoordinatesystem
omomo: multirow
opm: cmidrule
""")

# Commands whose argument is text of the line that it is in.
FONTS = words(
    r"\emph \textbf \textit \texttt \textsc \textrm \textsf \textsl \textmd \textup \textnormal \text "
    r"\mbox \fbox \underline \uline \ul \uppercase \lowercase \MakeUppercase \MakeLowercase \bf "
    r"\it \em \sc \sl \tt \rm \sf \bfseries \itshape \scshape \ttfamily \rmfamily \sffamily "
    r"\textsubscript \large \small \footnotesize \normalsize \Large"
)
# Boxes of plain TeX: their size is left out, and their text stays.
BOXES = words("\\hbox \\vbox \\vtop")
# Commands whose argument is a line of its own.
LINES = words("\\centerline \\leftline \\rightline \\frametitle \\framesubtitle")

# The level of each heading.
HEADINGS = {
    "\\part": 0,
    "\\chapter": 0,
    "\\section": 1,
    "\\newsec": 1,
    "\\subsection": 2,
    "\\subsec": 2,
    "\\addchap": 0,
    "\\addsec": 1,
    "\\specialsection": 1,
    "\\minisec": 3,
    "\\subsubsection": 3,
    "\\paragraph": 4,
    "\\subparagraph": 5,
}
# The control word that ends each heading of AMS-TeX and plain TeX; empty: it ends with the paragraph.
PLAIN_HEADINGS = {
    "\\head": "\\endhead",
    "\\heading": "\\endheading",
    "\\specialhead": "\\endspecialhead",
    "\\subhead": "\\endsubhead",
    "\\subsubhead": "\\endsubsubhead",
    "\\subheading": "",
    "\\beginsection": "",
}

# Commands that cite entries of the bibliography.
CITATIONS = frozenset(
    f"\\{name}"
    for name in words(
        "cite citep citealp citealt citet Citet Citep citeyear citeyearpar citeauthor Citeauthor citenum "
        "citeauthoryear textcite Textcite parencite Parencite autocite Autocite footcite footfullcite "
        "supercite smartcite fullcite onlinecite citetalias citepalias shortcite shortciteN citeN citeNP "
        "citeANP citeA citeasnoun possessivecite nocitep citeindexfalse cites parencites textcites "
        "autocites refcite citeonline newcite bibentry citestar footcitetext rcite ocite"
    )
)
# Commands that refer to labels.
REFERENCES = words(
    "\\ref \\eqref \\pageref \\autoref \\cref \\Cref \\vref \\nameref \\subref \\prettyref \\fref \\Fref "
    "\\sref \\tref \\figref \\secref \\labelcref \\cpageref \\fullref"
)
# Commands whose argument is a note.
FOOTNOTES = words("\\footnote \\endnote \\footnotetext \\tablefootnote")

# Environments that are formulas.
MATH = frozenset(
    name + star
    for name in words(
        "equation align eqnarray gather mathpar multline alignat flalign displaymath math dmath IEEEeqnarray "
        "mathparpagebreakable subeqnarray numcases subnumcases dgroup darray xalignat xxalignat empheq"
    )
    for star in ("", "*")
)
# Formulas with one number for all their rows.
ONE_NUMBER = frozenset(("equation", "multline", "dmath"))
# What the caption of each float begins with.
FLOATS = dict.fromkeys(
    words("figure figure* wrapfigure SCfigure sidewaysfigure sidewaysfigure* teaserfigure floatingfigure"),
    "Figure",
) | dict.fromkeys(
    words(
        "table table* wraptable sidewaystable sidewaystable* longrotatetable "
        "deluxetable deluxetable* splitdeluxetable splitdeluxetable*"
    ),
    "Table",
)
# Environments that are tables, with the arguments after their `\begin{name}`.
TABULAR = _table(
    """
om: tabular longtable* xtabular mpxtabular mpsupertabular longtblr talltblr longtable supertabular array
om: tblr
mom: tabular* tabularx tabulary xltabular supertabular* tabularht
tom: tabu tabu* longtabu
momo: NiceTabular* NiceTabularX
m: tabularkv
mo: deluxetable deluxetable* splitdeluxetable splitdeluxetable*
: tabbing
omo: NiceTabular
""",
    "",
)
# What ends the heads and feet of long tables.
PARTS_OF_TABLES = words("\\endfirsthead \\endhead \\endfoot \\endlastfoot")
# What control symbols become in tabbing, where they set and take the stops of columns.
TABBING = {"\\=": " ", "\\>": " ", "\\<": "", "\\+": "", "\\-": ""}
# Commands that print a file of code as it is.
CODE_FILES = words("\\lstinputlisting \\verbatiminput \\VerbatimInput \\BVerbatimInput")
# Environments that are lists.
LISTS = words(
    "itemize enumerate description compactitem compactenum inparaenum inparaitem list trivlist enumerate* "
    "itemize* asparaenum asparaitem compactdesc enumitem"
)
# Lists whose items have numbers.
NUMBERED = frozenset(("enumerate", "compactenum", "inparaenum", "enumerate*", "asparaenum"))
# Environments that are left out: their content is no text.
DROPPED = words(
    "thebibliography references titlepage tikzpicture picture pspicture pspicture* pgfpicture axis "
    "keywords CCSXML pdfpicture keyword MSCcodes frontmatter filecontents tikzcd xy psfrags overpic asy "
    "feynman thebibliography* Bibliography harvard prooftree feynmandiagram fmffile fmfgraph fmfgraph* "
    "IEEEkeywords IEEEbiography IEEEbiographynophoto refcontext biblist thereferences chart forest AMS"
)
# Arguments after `\begin{name}` of environments whose content stays.
ENVIRONMENT_ARGUMENTS = _table(
    """
ooom: minipage
mo: multicols
omom: wrapfigure wraptable
om: floatingfigure subfigure subtable IEEEeqnarray IEEEeqnarray*
oo: SCfigure
o: figure figure* table table* sidewaystable sidewaysfigure algorithm algorithm* algorithmic algorithm2e
o: itemize enumerate enumerate* description compactitem compactenum inparaenum tcolorbox mdframed framed
o: threeparttable tablenotes scope acronym
m: adjustbox spacing thebibliography turn rotate alignat alignat* xalignat column
mm: adjustwidth CJK CJK* list resizebox interactive
mp: textblock
aoo: frame
a: block alertblock exampleblock
omm: restatable
""",
    "",
)
# The titles of theorem-like environments, by the names that are usual for them; \newtheorem adds to them.
THEOREMS = {
    name.lower(): name
    for name in words(
        "Theorem Lemma Corollary Proposition Definition Remark Example Claim Conjecture Observation Fact "
        "Assumption Question Problem Exercise Note Property Axiom Hypothesis"
    )
}
# The same by the short names that papers give them.
SHORT_THEOREMS = _table(
    """
Theorem: thm
Lemma: lem lemm
Corollary: cor coro
Proposition: prop
Definition: defn defi
Remark: rem rmk
Conjecture: conj
Example: exa
Observation: obs
""",
    "",
)
# Commands that end a paragraph, with the arguments that go with them.
BREAKS = _table(
    """
d: vskip vglue
: vfil vfill eject newpage clearpage cleardoublepage bigskip medskip smallskip bigbreak medbreak smallbreak
: acknowledgments acknowledgements
o: pagebreak printbibliography
m: bibliography
"""
)
# Environments that are paragraphs of their own.
PARAGRAPHS = words(
    "abstract quote quotation verse center flushleft flushright algorithm algorithm* itemize enumerate "
    "description tcolorbox mdframed framed appendices acknowledgments acknowledgements acknowledgement acks"
)
# Environments of algorithms whose captions have numbers.
ALGORITHMS = words("algorithm algorithm* algorithm2e algorithm2e* algo algo*")
# Commands whose length may be a control word: `\hskip\parindent`.
TAKES_WORD = words(
    "\\the \\hskip \\vskip \\hglue \\vglue \\kern \\mskip \\mkern \\raise \\lower \\moveleft \\moveright "
    "\\font \\catcode \\advance \\multiply \\divide \\fontname"
)
# Commands that read a number without a unit, and no control word after it.
TAKES_NUMBER = words(
    "\\penalty \\tolerance \\hbadness \\vbadness \\widowpenalty \\clubpenalty \\pageno \\hangafter "
    "\\hyphenpenalty \\exhyphenpenalty \\predisplaypenalty \\postdisplaypenalty \\pretolerance "
    "\\doublehyphendemerits \\finalhyphendemerits \\adjdemerits \\showboxdepth \\showboxbreadth "
    "\\magnification \\secnumdepth \\looseness \\interlinepenalty \\brokenpenalty"
)
