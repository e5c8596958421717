"""The names that parser functions and variables have in the paper's languages beside their English ones."""

# `English = its other names`, parted by semicolons. Functions are known in any case, variables as written.
_NAMES = {
    "bg": """
    lc = мб; uc = гб; ucfirst = гбпърва; lcfirst = мбпърва; plural = мн_число; ns = ип; defaultsort =
    сорткат; displaytitle = показв_заглавие; PAGENAME = СТРАНИЦА; FULLPAGENAME = ПЪЛНОИМЕ_СТРАНИЦА;
    NAMESPACE = ИМЕННОПРОСТРАНСТВО
    """,
    "ca": """
    #tag = #etiqueta #marcador #balisa; lc = minus; uc = majus capit; ucfirst = initmajus; lcfirst =
    initminus; formatnum = formatnombre; padleft = separacióesquerra separacioesquerra; padright =
    separaciódreta separaciodreta; ns = espacen; defaultsort = ordena; displaytitle = títol titol;
    PAGENAME = NOMPÀGINA NOMPAGINA NOMDELAPLANA; FULLPAGENAME = NOMPAGINACOMPLET; NAMESPACE =
    ESPACINOMENATGE
    """,
    "cs": """
    #if = #když; #expr = #výraz; #ifexist = #kdyžexist; #time = #čas; #tag = #značka; #len = #délka;
    #replace = #nahradit; lc = malá; uc = velká; ucfirst = prvnívelké; lcfirst = prvnímalé; formatnum =
    formátujčíslo; padleft = zarovnatvlevo; padright = zarovnatvpravo; plural = plurál; ns =
    jmennýprostor mp; urlencode = enkódovaturl; defaultsort = klíčřazení; displaytitle =
    zobrazovanýnadpis; PAGENAME = NÁZEVSTRANY NÁZOVSTRÁNKY; FULLPAGENAME = PLNÝNÁZEVSTRANY
    PLNÝNÁZOVSTRÁNKY; NAMESPACE = JMENNÝPROSTOR MENNÝPRIESTOR
    """,
    "de": """
    #switch = #wechsle; #tag = #erweiterung; #invoke = #aufrufen; #replace = #ersetze; lc = klein; uc =
    gross; ucfirst = initial_gross; lcfirst = initial_klein; formatnum = zahlenformat; padleft =
    füllenlinks; padright = füllenrechts; ns = nr; urlencode = urlenkodiert; defaultsort = sortierung;
    displaytitle = seitentitel; PAGENAME = SEITENNAME; FULLPAGENAME = VOLLER_SEITENNAME; NAMESPACE =
    NAMENSRAUM
    """,
    "es": """
    #if = #si; #ifeq = #siigual; #switch = #según; #iferror = #sierror; #ifexpr = #siexpr; #ifexist =
    #siexiste; #time = #tiempo; #timel = #tiempol; #tag = #etiqueta; #invoke = #invocar; #len = #long
    #longitud; #replace = #reemplazar; lc = minus minús; uc = mayus mayús; ucfirst = primeromayus
    primeromayús; lcfirst = primerominus primerominús; formatnum = formatonúmero formatonumero; padleft
    = rellenarizquierda rellenarizq; padright = rellenarderecha rellenarder; ns = en; urlencode =
    codificarurl; defaultsort = ordenar clavedeordenpredeterminado ordendecategoriapredeterminado
    ordendecategoríapredeterminado; displaytitle = mostrartítulo mostrartitulo; PAGENAME =
    NOMBREDEPAGINA NOMBREDEPÁGINA; FULLPAGENAME = NOMBRECOMPLETODEPÁGINA NOMBRECOMPLETODEPAGINA;
    NAMESPACE = ESPACIODENOMBRE
    """,
    "fr": """
    #if = #si; #ifeq = #si=; #switch = #selon; #iferror = #sierreur; #ifexpr = #siexpr; #ifexist =
    #siexiste; #time = #heure; #timel = #heurel; #tag = #balise; #titleparts = #partiestitre; #invoke =
    #invoque; #len = #nbcar; #sub = #stxt; #replace = #remplacer; lc = minus; uc = majus capit; ucfirst
    = initmajus initcapit; lcfirst = initminus; formatnum = formatnombre; padleft = bourragegauche
    bourregauche; padright = bourragedroite bourredroite; plural = pluriel; ns = espacen; urlencode =
    encodeurl; defaultsort = clefdetri cledetri; displaytitle = affichertitre; PAGENAME = NOMPAGE;
    FULLPAGENAME = NOMPAGECOMPLET; NAMESPACE = ESPACENOMMAGE
    """,
    "hr": """
    #tag = #oznaka; lc = ms; uc = vs; ucfirst = vsprvo; lcfirst = msprvo; formatnum = oblikbroja;
    padleft = postavalijevo; padright = postavadesno; plural = množina; ns = imp; urlencode =
    urlkodiranje; defaultsort = glavniraspored; displaytitle = pokažinaslov; PAGENAME = IMESTRANICE;
    FULLPAGENAME = PUNOIMESTRANICE; NAMESPACE = IMENSKIPROSTOR
    """,
    "hu": """
    #if = #ha; #ifeq = #haegyenlő; #iferror = #hahibás; #expr = #kif; #ifexpr = #hakif; #ifexist =
    #halétezik; #time = #idő; #len = #hossz; #pos = #pozíció; lc = kisbetű kisbetűk kb kisbetűs; uc =
    nagybetű nagybetűk nb nagybetűs; ucfirst = nagykezdő nagykezdőbetű; lcfirst = kiskezdő kiskezdőbetű;
    formatnum = formázottszám számformázás számform; plural = többesszám; ns = névtér; urlencode =
    urlkódolva; defaultsort = rendezés kulcs; displaytitle = megjelenítendőcím cím; PAGENAME =
    OLDALNEVE; FULLPAGENAME = LAPTELJESNEVE; NAMESPACE = NÉVTERE
    """,
    "it": """
    #if = #se; #ifeq = #seeq; #iferror = #seerrore; #expr = #espr; #ifexpr = #seespr; #ifexist =
    #seesiste; #time = #tempo; #tag = #etichetta; #titleparts = #patititolo; #replace = #sostituisci;
    plural = plurale; displaytitle = mostratitolo; PAGENAME = TITOLOPAGINA
    """,
    "nl": """
    #if = #als; #ifeq = #alsgelijk; #switch = #schakelen; #iferror = #alsfout; #expr = #expressie;
    #ifexpr = #alsexpressie; #ifexist = #alsbestaat; #time = #tijd; #timel = #tijdl; #tag = #label;
    #titleparts = #paginanaamdelen; #invoke = #aanroepen; #replace = #vervangen; lc = kl; uc = hl;
    ucfirst = gleerste hleerste; lcfirst = kleerste; formatnum = formatteernum numformatteren; padleft =
    linksopvullen; padright = rechtsopvullen; plural = meervoud; ns = nr; urlencode = urlcoderen
    codeerurl; defaultsort = standaardsortering; displaytitle = weergegeventitel toontitel; PAGENAME =
    PAGINANAAM; FULLPAGENAME = VOLLEDIGEPAGINANAAM; NAMESPACE = NAAMRUIMTE
    """,
    "pl": """
    lc = małe; uc = wielkie duże; ucfirst = zwielkiej zdużej odwielkiej oddużej; lcfirst = zmałej
    odmałej; padleft = dolewej; padright = doprawej; plural = mnoga; ns = pn; defaultsort = sortuj
    domyślniesortuj; displaytitle = wyświetlanytytuł; PAGENAME = NAZWASTRONY; FULLPAGENAME =
    PELNANAZWASTRONY; NAMESPACE = NAZWAPRZESTRZENI
    """,
    "pt": """
    #if = #se; #ifeq = #seigual; #iferror = #seerro; #ifexpr = #seexpr; #ifexist = #seexiste;
    #titleparts = #partesdotítulo #partesdotitulo; #invoke = #invocar; #len = #comprimento; lc =
    minuscula minúscula minusculas minúsculas; uc = maiuscula maiúscula maiusculas maiúsculas; ucfirst =
    primeiramaiuscula primeiramaiúscula; lcfirst = primeiraminuscula primeiraminúscula; urlencode =
    codificaurl; defaultsort = ordenacaopadrao ordenaçãopadrão ordempadrao ordempadrão; displaytitle =
    exibetitulo exibetítulo; PAGENAME = NOMEDAPAGINA NOMEDAPÁGINA; FULLPAGENAME = NOMECOMPLETODAPAGINA
    NOMECOMPLETODAPÁGINA; NAMESPACE = DOMINIO DOMÍNIO ESPACONOMINAL ESPAÇONOMINAL
    """,
    "ro": """
    #tag = #eticheta; lc = minuscula; uc = majuscula; ucfirst = majusculaprima; lcfirst =
    minusculaprima; formatnum = formatnr; ns = sn; urlencode = codificareurl; defaultsort =
    sortareimplicita cheiesortareimplicita categoriesortareimplicita; displaytitle = aratatitlu;
    PAGENAME = NUMEPAGINA; FULLPAGENAME = NUMEPAGINACOMPLET; NAMESPACE = SPATIUDENUME
    """,
    "ru": """
    #if = #если; #switch = #переключатель; #iferror = #еслиошибка; #time = #время; #timel = #мвремя;
    #tag = #метка #тег #тэг; #invoke = #вызвать; #replace = #замена; lc = маленькими_буквами; uc =
    большими_буквами; ucfirst = первая_буква_большая; lcfirst = первая_буква_маленькая; formatnum =
    форматировать_число; padleft = заполнить_слева; padright = заполнить_справа; plural =
    множественное_число; ns = пи; urlencode = закодированный_адрес; defaultsort =
    сортировка_по_умолчанию ключ_сортировки; displaytitle = показать_заголовок; PAGENAME =
    НАЗВАНИЕ_СТРАНИЦЫ; FULLPAGENAME = ПОЛНОЕ_НАЗВАНИЕ_СТРАНИЦЫ; NAMESPACE = ПРОСТРАНСТВО_ИМЁН
    """,
    "sl": """
    #tag = #oznaka; plural = mnozina
    """,
    "sr": """
    #if = #ако #ako; #time = #време #vreme; #tag = #ознака #oznaka; #pos = #поз #poz; #replace = #замени
    #zameni; lc = лц; uc = уц; ucfirst = уцпрви ucprvi; lcfirst = лцпрви lcprvi; padleft = попунилево
    попунилијево попуналево попуналијево поравнајлево поравнајлијево поравнај_лево поравнај_лијево
    поравнајулево поравнај_улево поравнајулијево поравнај_улијево popunilevo popunilijevo popunalevo
    popunalijevo poravnajlevo poravnajlijevo poravnaj_levo poravnaj_lijevo poravnajulevo poravnaj_ulevo
    poravnajulijevo poravnaj_ulijevo; padright = попунидесно попунадесно поравнајдесно поравнај_десно
    поравнајудесно поравнај_удесно popunidesno popunadesno poravnajdesno poravnaj_desno poravnajudesno
    poravnaj_udesno; plural = множина množina; ns = ип ip; urlencode = кодирањеадресе кодирањеурла
    кодирањеурл-а кодирањеurlа кодирањеurl-а кодирање_адресе kodiranjeadrese kodiranjeurla
    kodiranjeurl-a kodiranje_adrese; defaultsort = подразумеваносортирање подразумијеваносортирање
    подразумеваникључзасортирање подразумијеваникључзасортирање подразумеваносортирањекатегорије
    подразумијеваносортирањекатегорије подразмеваносортирањекатегорије подразмијеваносортирањекатегорије
    podrazumevanosortiranje podrazumijevanosortiranje podrazumevaniključzasortiranje
    podrazumijevaniključzasortiranje podrazumevanosortiranjekategorije
    podrazumijevanosortiranjekategorije podrazmevanosortiranjekategorije
    podrazmijevanosortiranjekategorije; displaytitle = насловзаприказ називзаприказ називприказа
    назив_приказа naslovzaprikaz nazivzaprikaz nazivprikaza naziv_prikaza; PAGENAME = НАЗИВСТРАНИЦЕ
    ИМЕСТРАНИЦЕ ИМЕ_СТРАНИЦЕ СТРАНИЦА NAZIVSTRANICE IMESTRANICE IME_STRANICE STRANICA; FULLPAGENAME =
    ЦЕОНАЗИВСТРАНИЦЕ ЦИОНАЗИВСТРАНИЦЕ ЦЕЛИНАЗИВСТРАНИЦЕ ЦИЈЕЛИНАЗИВСТРАНИЦЕ ПУНОИМЕСТРАНИЦЕ
    ПУНОИМЕСТРАНЕ ПУНО_ИМЕ_СТРАНИЦЕ ПУНО_ИМЕ_СТРАНЕ; NAMESPACE = ИМЕНСКИПРОСТОР ИМЕНСКИ_ПРОСТОР
    IMENSKIPROSTOR IMENSKI_PROSTOR
    """,
    "sv": """
    #if = #om; #ifeq = #omlika; #switch = #växel; #iferror = #omfel; #expr = #utr; #ifexpr = #omutr;
    #ifexist = #omfinns; #time = #tid; #timel = #tidl; #tag = #tagg; #replace = #ersätt; lc = lb; uc =
    sb; ucfirst = sbförst; lcfirst = lbförst; formatnum = formateranum formateratal; ns = nr;
    defaultsort = standardsortering; displaytitle = visatitel; PAGENAME = SIDNAMN; FULLPAGENAME =
    HELASIDNAMNET; NAMESPACE = NAMNRYMD
    """,
    "uk": """
    #if = #якщо #если; #ifeq = #якщорівні #рівні; #switch = #вибірка #переключатель; #iferror =
    #якщопомилка #еслиошибка; #expr = #вираз; #ifexpr = #якщовираз; #ifexist = #якщоіснує; #tag = #тег
    #мітка #теґ #метка #тэг; #invoke = #викликати #вызвать; #replace = #заміна #замена; lc = нр
    нижній_регістр малими_буквами малими_літерами маленькими_буквами; uc = вр верхній_регістр
    великими_буквами великими_літерами большими_буквами; ucfirst = вр_перша перша_буква_велика
    перша_літера_велика велика_перша_літера первая_буква_большая; lcfirst = нр_перша перша_буква_мала
    перша_літера_мала мала_перша_літера первая_буква_маленькая; formatnum = форматувати_число
    форматировать_число; padleft = заповнити_ліворуч заполнить_слева; padright = заповнити_праворуч
    заполнить_справа; plural = множина множественное_число; ns = пн пи; urlencode = закодована_адреса
    закодированный_адрес; defaultsort = стандартне_сортування:_ключ_сортування сортировка_по_умолчанию
    ключ_сортировки; displaytitle = показати_заголовок показать_заголовок; PAGENAME = НАЗВА_СТОРІНКИ
    НАЗВАНИЕ_СТРАНИЦЫ; FULLPAGENAME = ПОВНА_НАЗВА_СТОРІНКИ ПОЛНОЕ_НАЗВАНИЕ_СТРАНИЦЫ; NAMESPACE =
    ПРОСТІР_НАЗВ ПРОСТРАНСТВО_ИМЁН
    """,
}
DEFAULTS = frozenset({
    "#default", "#standard", "#predeterminado", "#défaut", "#alapértelmezett", "#standaard", "#padrão",
    "#padrao",
    "#умолчание", "#подразумевано", "#podrazumevano", "#інакше", "#за_замовчуванням",
})  # fmt: skip


def _read(text: str) -> dict[str, str]:
    entries = (entry.partition(" = ") for entry in " ".join(text.split()).split("; "))
    return {name: english for english, _, names in entries for name in names.split()}


_ENGLISH = {language: _read(text) for language, text in _NAMES.items()}


def in_english(name: str, language: str) -> str:
    """Return the name of a call with its function or variable in English, where the language has another.

    `name`: what stands before the first bar. The names of templates stay as they are.
    """
    names = _ENGLISH.get(language)
    if names is None:
        return name
    function, colon, argument = name.partition(":")
    english = names.get(function.strip().lower() if colon else name, "")
    if not english or english.isupper() == bool(colon):
        return name  # {{minus}} is a template, whatever function has the name
    return f"{english}:{argument}" if colon else english
