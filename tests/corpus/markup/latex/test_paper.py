"""LaTeX becomes running text: each construction that papers use, as its reader would read it."""

import pytest
from corpus.papers import read_one as plain

from llama_core.corpus.markup.latex.paper import Paper, read_paper


def paper(body: str, preamble: str = "", **files: str) -> Paper:
    main = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    return read_paper(
        {"main.tex": main} | {k.replace("__", "/") + ".tex": v for k, v in files.items()}, "main.tex"
    )


def text(body: str, preamble: str = "", **files: str) -> str:
    """Return the text of a paper that is a single section, without the section's heading."""
    read = paper("\\section{S}\n" + body, preamble, **files).text
    assert read.startswith("S\n\n"), read
    return read[3:]


def test_a_paper_begins_with_its_first_section() -> None:
    read = paper(
        "\\title{On \\emph{Things}\\thanks{Funded.}}\\author{A. Uthor}\\maketitle"
        "\\begin{abstract}We do.\\end{abstract} Keywords: none.\n\\section*{Introduction}\nText.\n\n"
        "\\section{End}Bye."
    )
    assert read.text == "Introduction\n\nText.\n\nEnd\n\nBye."
    assert read.title == "On Things"


def test_a_paper_without_sections_begins_after_its_abstract() -> None:
    read = paper("\\title{T}\\author{X}\\maketitle\\begin{abstract}Abs.\\end{abstract}\nOne.\n\nTwo.")
    assert read.text == "One.\n\nTwo."
    assert paper("\\begin{titlepage}\\title{T}By X.\\end{titlepage}One.").text == "One."


def test_acknowledgements_ahead_of_the_text_do_not_begin_it() -> None:
    assert paper("\\section*{Acknowledgements}Thanks.\n\n\\section{A}Text.").text == "A\n\nText."


@pytest.mark.parametrize(
    "title",
    [
        "References",
        "Figure Captions",
        "Table Legends",
        "Captions",
        "Note added",
        "Tables",
        "Appendix",
        "Competing financial interests",
        "Notes and references",
    ],
)
def test_a_first_section_at_the_end_does_not_take_the_text_away(title: str) -> None:
    read = paper(f"\\maketitle The text.\n\n\\section*{{{title}}} Rest.")
    assert read.text.startswith("The text.")
    assert paper("\\maketitle The text.\n\n\\appendix\\section{Proof} Rest.").text.startswith("The text.")


def test_text_longer_than_all_sections_stays_and_what_is_ahead_of_longer_ones_goes() -> None:
    text, rest = "The text goes on. " * 400, "More of it. " * 300
    assert paper(f"\\maketitle {text}\n\n\\section{{Remarks}}{rest}").text.startswith("The text")
    assert paper(f"\\maketitle {rest}\n\n\\section{{One}}{text}").text.startswith("One")
    methods = f"\\maketitle {rest}\n\n\\section{{Methods}}M.\\section{{Extended data}}{text}"
    assert paper(methods).text.startswith("More of it.")


@pytest.mark.parametrize(
    "title", ["Competing orders", "Captions as labels", "Figure captions of old", "Methods"]
)
def test_sections_named_almost_as_those_at_the_end_begin_a_paper(title: str) -> None:
    assert paper(f"\\maketitle Abs.\n\n\\section{{{title}}}One.\\section{{B}}Two.").text.startswith(title)


def test_the_bibliography_goes_and_what_follows_it_stays() -> None:
    body = (
        "Text.\n\\bibliographystyle{plain}\\bibliography{refs}\n\\begin{thebibliography}{9}\n"
        "\\bibitem{a} A. Author, \\textit{Title}.\n\\end{thebibliography}\n\\appendix\\section{Proofs}Here."
    )
    assert text(body) == "Text.\n\nProofs\n\nHere."
    assert text("Text.\n\\section*{References}\n[1] A. Author, Title.\n\n[2] B.") == "Text."


@pytest.mark.parametrize(
    "title",
    [
        "{\\bf References}\n\n",
        "\\begin{center}\\bf REFERENCES\\end{center}",
        "\\centerline{\\bf 7. References}\n\n",
        "\\noindent{\\bf Bibliography:}\\\\\n",
        "\\section*{References and Notes}",
    ],
)
def test_a_bibliography_set_by_hand_goes(title: str) -> None:
    entries = "\\noindent [1] A. Author, Title.\n\n[2] B. Other, in print, 1999.\n\n[3] D.\n\n"
    captions = "{\\bf Figure captions}\n\nFig.~1. Data of 1992."
    after = "" if "section" in title else "\n\nFigure captions\n\nFig. 1. Data of 1992."
    assert text(f"Text.\n\n{title}{entries}{captions}") == "Text." + after


@pytest.mark.parametrize(
    "body",
    [
        "References\n\nWords of it.\n\nOther words.\n\nAnd others.",
        "References\n\nWe use 2048 of them, and more.\n\nAnd others.",
        "Reference.\n\nThe data of 2012 are long.",
        "Contents\n\n1. One\n\n2. Two\n\nReferences\n\n1. One\n\nIn 1985 it was found that A.\n\nB.",
    ],
)
def test_a_title_of_a_bibliography_that_text_follows_stays(body: str) -> None:
    assert text("Text.\n\n" + body) == "Text.\n\n" + body


@pytest.mark.parametrize(
    "after", ["We used 2000 events.", "SUPPLEMENTARY MATERIAL", "At 1900 GeV we see it (more)."]
)
def test_text_after_a_bibliography_set_by_hand_stays(after: str) -> None:
    entries = "{\\bf References}\n\n[1] A. Author, J. 1 (1990).\n\nB. Other, J. {\\bf 2} (1991) 3.\n\n"
    assert text(f"Text.\n\n{entries}{after}\n\nEnd of 1999.\n\n") == f"Text.\n\n{after}\n\nEnd of 1999."


def test_a_section_on_a_reference_stays() -> None:
    assert text("\\subsection{Reference}One.\\subsection{Other}Two.") == "Reference\n\nOne.\n\nOther\n\nTwo."


def test_what_follows_an_entry_outside_of_a_bibliography_stays() -> None:
    body = (
        "\\begin{center}{\\bf References}\\end{center}\n\n\\bibitem{a} A. {\\it Author} (1990).\n\n"
        "\\bibitem{b} B.\n\\begin{figure}\\caption{Cap.}\\end{figure}\n\nFigure captions\n\nFig. 1: A thing."
    )
    assert text("Text.\n\n" + body) == "Text.\n\nFigure 1: Cap.\n\nFigure captions\n\nFig. 1: A thing."
    nested = "\\begin{quote}" + "\\bibitem{a} A.\n\n" * 3000 + "\\end{quote}End."
    assert text(nested) == "End."


@pytest.mark.parametrize(
    "body",
    [
        "{\\bf References}\n\n\\bibitem{a} A. Author.\n\n\\bibitem[B]{b} B.",
        "\\begin{list}{}{}\\bibitem{a} A. Author. \\bibitem{b} B.\\end{list}\\section{End}",
        "\\begin{thebibliography*}{9}\\bibitem{a} A.\\end{thebibliography*}\\section{End}",
        "\\References\\item[] Author A 1990 {\\it J.} 1\n\n\\item[] Other B 1991 J.\n\n\\section{End}",
    ],
)
def test_entries_outside_of_the_bibliographys_environment_go(body: str) -> None:
    assert text("Text.\n\n" + body).removesuffix("End").rstrip() == "Text."


def test_comments_go_and_percent_signs_stay() -> None:
    assert text("One % no\ntwo 50\\% of %%\nthree.\n% a line\nFour.") == "One two 50% of three. Four."
    assert text("Broken%\nword, \\\\% after a line") == "Brokenword,"
    body = "A\\iffalse hidden \\iftrue too \\fi{} \\fi B\\begin{comment}\n no \\end{x}\n\\end{comment} C"
    assert text(body) == "AB C"
    assert text("A \\begin{hide}no\\end{hide}B", "\\usepackage{comment}\\excludecomment{hide}") == "A B"


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        ("\\newcommand{\\me}{we}", "Here \\me\\ and {\\me} go.", "Here we and we go."),
        ("\\newcommand\\pair[2]{(#1, #2)}", "\\pair{a}{b} \\pair cd", "(a, b) (c, d)"),
        ("\\newcommand{\\o@}[2][z]{#1#2}\\newcommand\\opt[2][z]{#1#2}", "\\opt{a} \\opt[y]{a}", "za ya"),
        ("\\def\\f#1.#2;{#2-#1}", "\\f one.two; end", "two-one end"),
        ("\\def\\f#1{\\def\\g##1{<#1##1>}}", "\\f{a}\\g{b}", "<ab>"),
        ("\\def\\a{x}\\let\\b\\a\\def\\a{y}", "\\a\\b", "yx"),
        ("\\let\\old\\emph\\renewcommand\\emph[1]{*\\old{#1}*}", "\\emph{a}", "*a*"),
        ("\\newcommand{\\long}{several\n\nparagraphs}", "\\long", "several\n\nparagraphs"),
        ("\\newenvironment{note}[1]{No. #1: }{ (end)}", "\\begin{note}{7}text\\end{note}.",
         "No. 7: text (end)."),
        ("\\DeclareMathOperator{\\rk}{rank}", "$\\rk A$", "$\\operatorname{rank}A$"),
        ("\\newcommand\\R{\\mathbb{R}}\\def\\n#1{\\|#1\\|}", "$\\n{x}\\in\\R^n$",
         "$\\|x\\|\\in\\mathbb{R}^n$"),
        ("\\newcommand\\R{\\ensuremath{\\mathbb R}\\xspace}", "in \\R and $\\R$.",
         "in $\\mathbb R$ and ${\\mathbb R}$."),
        ("\\NewDocumentCommand{\\f}{s o m}{\\IfBooleanTF{#1}{S}{}\\IfValueTF{#2}{#2}{none} #3}",
         "\\f{a} \\f*[b]{c}", "none a Sb c"),
        ("\\newif\\iflong\\longtrue", "\\iflong long\\else short\\fi", "long"),
        ("\\def\\a{x}\\let\\b=\\a", "\\ifx\\a\\b same\\else other\\fi, \\ifx A B same\\else other\\fi",
         "same, other"),
        ("", "\\texorpdfstring{$a$}{a} \\enquote{q} \\SI{3}{\\kilo\\meter} \\hbox to 1cm{b} \\unit[5]{m}",
         '$a$ "q" 3 km b 5 m'),
        ("\\newcommand\\x{1}\\renewcommand{\\x}{2}\\providecommand{\\x}{3}", "\\x", "2"),
        ("\\newcommand{\\be}{\\begin{equation}}\\newcommand{\\ee}{\\end{equation}}", "A \\be x \\ee",
         "A\n\\begin{equation}\nx\n\\end{equation}"),
        ("\\usepackage{etoolbox}\\newtoggle{long}\\toggletrue{long}",
         "\\iftoggle{long}{long}{short} \\iftoggle{x}{text}{b}", "long text"),
        ("\\newif\\iflong\\longtrue\\newbool{draft}\\booltrue{draft}",
         "\\ifbool{long}{long}{short} \\ifdraft draft\\else final\\fi", "long draft"),
        ("\\def\\version{2}", "\\ifnum\\version=2 two\\else other\\fi, \\ifnum 3>\\version more\\fi, "
         "\\ifnum-1<0 less\\else no\\fi, \\ifnum\\pageno>1 page\\else first\\fi", "two, more, less, first"),
        ("\\def\\n{1}", "\\ifcase\\n zero\\or one\\or two\\else many\\fi, \\ifcase 0 zero\\or one\\fi, "
         "\\ifcase 7 zero\\or one\\else many\\fi, \\ifcase 2 a\\or \\ifcase 0 x\\or y\\fi\\or b\\fi",
         "one, zero, many, b"),
        ("", "\\ifdim 1cm>10pt long\\else short\\fi, \\ifdim 2in=5cm same\\else not\\fi, "
         "\\ifdim\\hsize<1pt narrow\\else wide\\fi", "long, not, wide"),
        ("\\def\\known{}", "\\ifcsname known\\endcsname there\\else not\\fi, "
         "\\ifcsname other\\endcsname there\\else not\\fi, \\ifdefined\\known yes\\fi", "there, not, yes"),
        ("\\def\\form{d}", "\\if d\\form draft\\else final\\fi, \\if\\form f final\\else draft\\fi, "
         "\\ifodd 3 odd\\else even\\fi, \\ifodd 4 odd\\else even\\fi", "draft, draft, odd, even"),
        ("\\newcommand\\pick[1]{\\ifnum#1=1 one\\else\\ifnum#1=2 two\\else more\\fi\\fi}",
         "\\pick1 \\pick{2} \\pick3", "one two more"),
        ("\\newcommand{\\todo}[1]{}", "Keep\\todo{fix \\emph{this}} it.", "Keep it."),
    ],
)  # fmt: skip
def test_user_macros_are_expanded_inline(preamble: str, body: str, expected: str) -> None:
    assert text(body, preamble) == expected


def test_formulas_stay_tex() -> None:
    assert text("Let $x_1 \\leq \\frac{a}{b}$, \\(y\\).") == "Let $x_1 \\leq \\frac{a}{b}$, \\(y\\)."
    display = text(
        "So\n\\begin{align}\n a &= b \\label{eq:a} \\\\\n c &= d \\nonumber\n\\end{align}\nby \\eqref{eq:a}."
    )
    assert display == "So\n\\begin{align}\na &= b  \\\\\nc &= d \\nonumber\n\\end{align}\nby (1)."
    assert text("$a\\ $ b") == "$a\\ $ b"
    assert text("$$ x = y $$ z") == "$$ x = y$$\nz"


def test_references_and_citations_are_what_latex_prints() -> None:
    body = (
        "\\section{Two}\\label{s} See Section~\\ref{s}, \\cref{s,f}, Eq.~\\eqref{e} [\\ref{nowhere}].\n"
        "\\begin{equation}x\\label{e}\\end{equation}\n\\begin{figure}\\caption{Cap.}\\label{f}\\end{figure}"
    )
    assert text(body).startswith("Two\n\nSee Section 2, Section 2, Figure 1, Eq. (1).")
    natbib = (
        "\\begin{thebibliography}{}\\bibitem[Smith et~al.(2001)Smith, Jones]{s} S.\n"
        "\\bibitem[{{\\'E}mile}(1999)]{e} E.\\end{thebibliography}"
    )
    cites = "As \\citet{s} say \\citep[see][p.~3]{s,e}; \\citeauthor{e}."
    assert (
        text(cites + natbib)
        == "As Smith et al. (2001) say (see Smith et al., 2001; Émile, 1999, p. 3); Émile."
    )
    numbered = "\\begin{thebibliography}{9}\\bibitem{b} B.\n\\bibitem{a} A.\\end{thebibliography}"
    assert (
        text("By \\cite{a} and \\cite[Thm.~2]{a,b} (see \\cite{lost})." + numbered)
        == "By [2] and [2, 1, Thm. 2]."
    )


def test_footnotes_floats_and_tables_follow_their_paragraph() -> None:
    body = (
        "Before\\footnote{A note.} and\n\\begin{table}[ht]\\centering\\caption{Sizes}"
        "\\begin{tabular}{l|r@{.}l}\\hline\na & \\multicolumn{2}{c}{b} \\\\[2pt]\\hline\n\n"
        "\\textbf{c} & \\makecell{d\\\\e} & $f$ \\\\\n\\end{tabular}\\end{table}\n"
        "after.\n\nNext."
    )
    assert text(body) == "Before and after.\n\nA note.\n\nTable 1: Sizes\na | b\nc | d e | $f$\n\nNext."
    deluxe = (
        "A\\begin{deluxetable*}{lc}\\tablewidth{0pt}\\tablecaption{Stars}"
        "\\tablehead{\\colhead{Name} & \\colhead{M} \\\\ & (kg)}\\startdata\n"
        "Sun & 1 \\\\\nB & \\nodata\n\\enddata\\tablecomments{So.}\\end{deluxetable*} end."
    )
    assert text(deluxe) == "A end.\n\nTable 1: Stars\nName | M\n| (kg)\nSun | 1\nB | ...\nSo."
    picture = "A \\begin{figure}\\includegraphics[width=1cm]{f.pdf}\\caption[s]{Long.}\\end{figure}b"
    assert text(picture) == "A b\n\nFigure 1: Long."
    drawing = "A \\begin{tikzpicture}\\draw (0,0) node {x};\\end{tikzpicture}b"
    assert text(drawing) == "A b"


def test_lists_theorems_and_heads_are_lines() -> None:
    assert text("\\begin{itemize}\\item a\\item[(x)] b\\end{itemize}") == "- a\n(x) b"
    assert text("\\begin{enumerate}\\item a\\item b\\end{enumerate}") == "1. a\n2. b"
    theorem = (
        "\\begin{thm}[Name]\n\nAll.\\end{thm}\\begin{proof}Easy.\\end{proof}\nOn \\begin{lemma}L.\\end{lemma}"
    )
    assert text(theorem, "\\newtheorem{thm}{Theorem}[section]") == (
        "Theorem 1.1 (Name). All.\n\nProof. Easy.\n\nOn\n\nLemma 1. L."
    )
    assert text("\\paragraph{Head}\n\nText.\\subsection{Sub}More.") == "Head. Text.\n\nSub\n\nMore."


def test_code_is_kept_as_it_is() -> None:
    assert text("Use \\verb|a_b%c{| or \\lstinline!x[1]!.") == "Use a_b%c{ or x[1]."
    body = "\\begin{lstlisting}[caption={Of [it] {\\tt x}}, label=l]\na[1]\n\\end{lstlisting}"
    assert text(body) == "a[1]"
    body = "Run\n\\begin{lstlisting}[language=C]\nint a; % no comment\n  b = \\n;\n\\end{lstlisting}\nso."
    assert text(body) == "Run\nint a; % no comment\n  b = \\n;\nso."
    assert (
        text("At \\url{http://a.b/c_d%20e~f} and \\href{http://x.y}{here}.")
        == "At http://a.b/c_d%20e~f and here."
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("\\lstinputlisting[language=C]{src/a.c}", "int a;\n  % {b}\n}"),
        ("\\lstinputlisting[firstline=2, lastline=2]{src/a.c}", "  % {b}"),
        ("\\verbatiminput{a.c}", "int a;\n  % {b}\n}"),
        ("\\inputminted[linenos]{c}{src/a.c}", "int a;\n  % {b}\n}"),
        ("\\listinginput[5]{1}{a.c}", "int a;\n  % {b}\n}"),
        ("\\lstinputlisting{gone.c}", ""),
    ],
)
def test_code_in_a_file_of_its_own_is_kept(command: str, expected: str) -> None:
    main = f"\\documentclass{{a}}\\begin{{document}}\\section{{S}}\n{command}\n\\end{{document}}"
    read = read_paper({"main.tex": main, "src/a.c": "int a;\n  % {b}\n}\n"}, "main.tex")
    assert read.text == f"S\n\n{expected}".rstrip()
    assert read.missing == (["gone.c"] if "gone" in command else [])


def test_the_stops_of_tabbing_are_no_accents() -> None:
    assert text("To do \\kill it.") == "To do it."
    assert text("\\begin{tabbing}Poincar\\'e\\end{tabbing}") == "Poincaré"
    body = "\\begin{tabbing}xxx\\=xxxx\\kill for \\= all a \\+\\\\ do \\> it\\-\\\\ end\\end{tabbing}"
    assert text(body) == "for all a\ndo it\nend"


def test_characters_are_written_out() -> None:
    body = "L'\\'{e}t\\'e, na\\\"{\\i}ve, Erd\\H{o}s, \\v{C}ech, stra\\ss e, \\oe uvre, {\\aa}, \\o{} "
    body += "``q'' a---b 1--2 \\& \\$5."
    assert text(body) == 'L\'été, naïve, Erdős, Čech, straße, œuvre, å, ø "q" a—b 1–2 & $5.'


def test_inputs_are_read_in_their_places() -> None:
    files = {
        "one two": "1", "sub__three": "3 \\input{four}", "sub__four": "4", "loop": "L\\input{loop}",
        "part": "\\documentclass[main]{subfiles}\\begin{document}P\\end{document} never",
    }  # fmt: skip
    body = "\\input{one two} \\input sub/three \\include{SUB/THREE.tex} \\import{sub/}{four} \\input{loop} "
    body += "\\subfile{part} \\input{../gone} e"
    read = paper("\\section{S}" + body, **files)
    assert read.text == "S\n\n1 3 4 3 4 4 L P e"
    assert read.missing == ["../gone"]
    assert read.used == ["main.tex", "one two.tex", "sub/three.tex", "sub/four.tex", "loop.tex", "part.tex"]


def test_old_latex_is_read() -> None:
    read = plain(
        "\\documentstyle[12pt]{article}\\def\\etal{{\\it et al.}}\\begin{document}\\section{Old}\n"
        "{\\bf Bold} {\\em words\\/} by X~\\etal\n\\vskip 0.5cm plus 1fil\n\\noindent More.\\end{document}"
    )
    assert read.text == "Old\n\nBold words by X et al.\n\nMore."


@pytest.mark.parametrize(
    "source",
    [
        "\\hrule height 1pt depth 0.2pt width\\hsize ", "\\vrule width0pt height 2.5ex",
        "\\font\\ninerm=cmr9 scaled\\magstep1", "\\font\\big=cmbx10 at 14.4 true pt", "\\catcode`\\@=11 ",
        "\\catcode`@=\\active ", "\\catcode64=12 ", "\\setbox0=\\hbox{gone}",
        "\\setbox\\mybox=\\vbox to 2cm{gone}",
        "\\count1=5 ", "\\dimen0=2pt", "\\toks0={gone}", "\\footline={\\hss\\folio\\hss}",
        "\\everypar{\\hskip 2pt}", "\\multispan2 ", "\\multispan{3}", "\\hyphenpenalty=1000 ", "\\magstep1 ",
        "\\textfont0=\\tenrm ", "\\newfam\\x\\scriptfont\\x=\\sevenmsb ", "\\fam0 ", "\\linethickness{0.4pt}",
        "\\specialrule{1pt}{2pt}{3pt}", "\\rowcolors{2}{gray!25}{white}", "\\rowcolors*[\\hline]{2}{a}{b}",
    ],
)  # fmt: skip
def test_operands_of_plain_tex_are_no_text(source: str) -> None:
    assert text(f"One {source}two.") == "One two."


def test_a_box_is_no_formula() -> None:
    assert (
        text("\\def\\qed{$\\vrule height .9ex width .8ex depth -.1ex$}One.\\qed\n\nTwo $x$.")
        == "One.\n\nTwo $x$."
    )


def test_a_macro_that_chooses_a_family_of_fonts_stays() -> None:
    assert text("\\def\\Bbb#1{\\fam\\msbfam#1}$\\Bbb R$") == "$\\Bbb R$"


@pytest.mark.parametrize(
    "alias",
    [
        "\\newcommand{\\bi}{\\bibitem}",
        "\\nc{\\bi}[1]{\\bibitem{#1}}",
        "\\def\\bi{\\bibitem}",
        "\\let\\bi=\\bibitem",
    ],
)
def test_an_entry_may_have_a_command_of_the_papers_own(alias: str) -> None:
    body = "See \\cite{b}.\\begin{thebibliography}{9}\\bi{a} A.\n\n\\bi{b} B.\\end{thebibliography}"
    assert text(body, "\\newcommand{\\nc}{\\newcommand}" + alias) == "See [2]."


def test_what_a_box_is_set_to_is_printed_where_the_box_is() -> None:
    body = (
        "One. \\setbox0 = \\vbox to 3cm{boxed}two \\copy0, \\fbox{\\box0}, \\box0{three} \\unvbox\\gone{four}"
    )
    assert text(body) == "One. two boxed, boxed, three four"


def test_registers_take_no_text() -> None:
    assert text("\\count1 {a} \\skip 5 b \\newcount\\n\\n=3 c \\toks0={gone}d") == "a b c d"


@pytest.mark.parametrize(
    "preamble",
    ["\\newcommand{\\comment}[1]{\\textit{#1}}", "\\long\\def\\comment#1{#1}\\def\\endcomment{}"],
)
def test_a_comment_of_the_papers_own_is_its_own(preamble: str) -> None:
    assert text("One \\comment{two}.\n\n%\\endcomment\nThree.", preamble) == "One two.\n\nThree."


def test_names_of_plain_tex_are_a_papers_own_in_latex() -> None:
    preamble = "\\newcommand{\\titlea}{Things}\\newcommand{\\fig}[1]{F#1}"
    assert (
        paper("\\title{\\titlea}\\maketitle\\section{S}\\titlea\\ \\fig{2}.", preamble).text
        == "S\n\nThings F2."
    )
    assert text("We \\define{term} and \\define\\emph{other} it.") == "We term and other it."


def test_characters_by_their_codes() -> None:
    body = r"""{\tt a\char92 b\char`\%c\char'173d\char"7D e\char160}"""
    assert text(body) == r"a\b%c{d}e"


def test_commands_of_no_table_leave_their_text() -> None:
    assert (
        text("\\unknown[opt]{Some} text\\foo. \\begin{strange}{0.5\\textwidth}in\\end{strange}")
        == "Some text.\nin"
    )
    body = (
        "A sentence.\\mynote{Another one.} Words\\mynote{\\label{n}%\n Glued. } Mac\\textsc{OS} \\color{red}x"
    )
    assert text(body) == "A sentence. Another one. Words Glued. MacOS x"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from \\SIrange{1}{2}{\\kilo\\metre}, \\numrange{3}{5}", "from 1 to 2 km, 3 to 5"),
        (
            "\\qtyrange[a=b]{1}{2}{\\m}; \\SIlist{1;2;3}{\\metre}; \\numlist{1;2}",
            "1 to 2 m; 1, 2 and 3 m; 1 and 2",
        ),
        ("\\ang{30}, \\ang{1;2;3}", "30°, 1°2′3″"),
        ("5\\arcsec\\ by 3\\farcs5, 30\\degr, 24\\,\\micron{}", "5″ by 3″.5, 30°, 24 µm"),
        ("\\ion{C}{4}, \\ion{H}{ii}\\ and \\ion{Fe}{\\sc ii} lines", "C IV, H II and Fe ii lines"),
        ("one\\linebreak two\\break three", "one two three"),
    ],
)
def test_quantities_and_the_signs_of_astronomers_keep_their_values(source: str, expected: str) -> None:
    assert text(source) == expected


ONE_DOT = r"""
\makeatletter\DeclareRobustCommand\onedot{\futurelet\@let@token\@onedot}
\def\@onedot{\ifx\@let@token.\else.\null\fi\xspace}\makeatother
\def\eg{\emph{e.g}\onedot} \def\ie{\emph{i.e}\onedot} \def\etal{\emph{et al}\onedot} \def\wrt{w.r.t\onedot}
"""


@pytest.mark.parametrize("preamble", ["", ONE_DOT])
def test_the_abbreviations_of_conference_styles_end_in_one_dot_and_a_space(preamble: str) -> None:
    source = r"Good, \eg for it (\ie here), \ie, by Li \etal~and Xu \etal. All \wrt one {\etal} \eg\ it."
    expected = (
        "Good, e.g. for it (i.e. here), i.e., by Li et al. and Xu et al. All w.r.t. one et al. e.g. it."
    )
    assert text(source, preamble) == expected


def test_the_name_of_a_theorem_keeps_its_accents() -> None:
    preamble = r"""\newtheorem{thm}{Th\'eor\`eme}\newtheorem{gr}{{\bf Gr\"o\ss e}~A}"""
    assert text(r"\begin{thm}Un.\end{thm}", preamble) == "Théorème 1. Un."
    assert text(r"\begin{gr}Zwei.\end{gr}", preamble) == "Größe A 1. Zwei."
