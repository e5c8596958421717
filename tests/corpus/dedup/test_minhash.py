"""MinHash: words and shingles are what they are said to be, and the estimate of the similarity is right."""

import random
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.dedup import minhash as module
from llama_core.corpus.dedup.minhash import EMPTY, MinHash, similarity, sketches
from llama_core.corpus.recipe import Dedup

CFG = Dedup()
WORDS = [f"word{i}" for i in range(5000)]


def jaccard(left: str, right: str) -> float:
    """Return the Jaccard index of two texts' sets of five-word shingles, computed by its definition."""
    sets = []
    for text in (left, right):
        words = re.findall(r"\w+", text.lower())
        sets.append({tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def pairs_of_texts(seed: int, count: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    pairs = []
    for _ in range(count):
        words = rng.choices(WORDS, k=rng.randrange(60, 400))
        changed = list(words)
        for _ in range(rng.randrange(0, max(1, len(words) // 20))):
            changed[rng.randrange(len(changed))] = rng.choice(WORDS)
        pairs.append((" ".join(words), " ".join(changed)))
    return pairs


def test_values_and_sketches_estimate_the_jaccard_index_without_bias() -> None:
    pairs = pairs_of_texts(1, 400)
    true = np.array([jaccard(a, b) for a, b in pairs])
    minhash = MinHash(CFG)
    left, right = (minhash.sign([pair[side] for pair in pairs]) for side in (0, 1))
    noise = np.sqrt((true * (1 - true)).mean() / minhash.size)  # of the values, by the theory
    for estimate in ((left == right).mean(axis=1), similarity(sketches(left), sketches(right), minhash.size)):
        errors = estimate - true
        assert abs(errors.mean()) < 4 * noise / np.sqrt(len(pairs))
        assert np.sqrt((errors**2).mean()) < 1.2 * noise


def test_pairs_share_a_band_as_often_as_the_theory_says() -> None:
    pairs = pairs_of_texts(2, 1500)
    true = np.array([jaccard(a, b) for a, b in pairs])
    minhash = MinHash(CFG)
    left, right = (minhash.keys(minhash.sign([pair[side] for pair in pairs])) for side in (0, 1))
    found = (left == right).any(axis=1)
    theory = 1 - (1 - true**CFG.rows) ** CFG.bands
    for low in (0.65, 0.7, 0.75, 0.8, 0.85):
        chosen = (true >= low) & (true < low + 0.05)
        scatter = np.sqrt((theory[chosen] * (1 - theory[chosen])).sum()) / chosen.sum()
        assert abs(found[chosen].mean() - theory[chosen].mean()) < 4 * scatter + 0.005
    assert found[true >= 0.9].mean() > 0.99


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-16-le", max_codepoint=0xFFFF)), max_size=6))
def test_shingles_are_those_of_lower_case_words_whatever_stands_beside(texts: list[str]) -> None:
    """Below U+10000 a word is what `\\w+` finds; U+0130, two characters in lower case, is `i`.

    In scripts without spaces a mark is a word as a letter is.
    """
    minhash = MinHash(CFG)

    def plain(text: str) -> str:
        lower = "".join("i" if c == "\u0130" else c.lower() for c in text)
        marks = "".join(c for c in lower if module._unspaced()[ord(c)] == 1 and not c.isalnum())
        return " ".join(re.findall(rf"[\w{marks}]+", lower))

    together = minhash.sign(texts)
    for text, signature in zip(texts, together, strict=True):
        assert (signature == minhash.sign([text])[0]).all()
        assert (signature == minhash.sign([plain(text)])[0]).all()
        assert (signature == EMPTY).all() == (plain(text) == "")


@settings(deadline=None)
@given(st.text(), st.integers(14, 40))
def test_a_text_longer_than_what_is_worked_on_at_once_has_the_same_shingles(text: str, at_once: int) -> None:
    text = " ".join(word[:6] for word in f"{text} one two three four five six seven {text}".split())
    minhash = MinHash(CFG)
    expected = minhash.shingles(text)
    module._powers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_STRETCH", at_once)
        assert minhash.shingles(text).tolist() == expected.tolist()


UNSPACED = {
    "Chinese": "岛上的天气很温和冬天经常下雨夏天客人们来看古老的灯塔在海边散步傍晚港口响起音乐渔民们修补网",
    "Japanese": "島の天気は穏やかで冬にはよく雨が降ります夏には古い灯台を見たりカフェで休む人がやってくる",
    "Thai": "อากาศบนเกาะนี้อบอุ่นและมีฝนตกบ่อยในฤดูหนาวแขกมาเยี่ยมชมประภาคารเก่าและเดินเล่นริมทะเล",
    "Lao": "ອາກາດຢູ່ເກາະນີ້ອົບອຸ່ນແລະມີຝົນຕົກເລື້ອຍໃນລະດູໜາວແຂກມາຢ້ຽມຊົມ",
    "Khmer": "អាកាសធាតុនៅលើកោះនេះត្រជាក់ហើយភ្លៀងញឹកញាប់ក្នុងរដូវរងា",
    "rare Han": "𠀀𠀁𠀂𠀃㐀㐁𪜀𪜁𫝀𫝁漢𬺰𬺱𰀀𰀁𱍐𱍑字𲎰𲎱丽丸乁𠄢你侮𠀄𠀅𠀆𠀇𠀈𠀉𠀊𠀋𠀌𠀍𠀎𠀏𠀐𠀑𠀒𠀓𠀔",
    "Tangut": "𗀀𗀁𗀂𗀃𗀄𗀅𗀆𗀇𗀈𗀉𗀊𗀋𗀌𗀍𗀎𗀏𗀐𗀑𗀒𗀓𗀔𗀕𗀖𗀗𗀘𗀙𗀚𗀛𗀜𗀝𗀞𗀟𗀠𗀡𗀢𗀣𗀤𗀥𗀦𗀧𘬀𘬁𘬂",
    "older kana": "𛀁𛀂𛀃𛀄𛀅𛀆𛀇𛀈𛀉𛀊𛀋𛀌𛀍𛀎𛀏𛀐𛀑𛀒𛀓𛀔𛀕𛀖𛀗𛀘𛀙𛀚𛀛𛀜𛀝𛀞𛀟𛀠𛀡𛀢𛀣𛀤𛀥𛀦𛀧𛅰𛅱𛅲",
    "Javanese": "ꦥꦭꦺꦴꦥꦺꦤꦶꦏꦶꦲꦔꦼꦠꦭꦤ꧀ꦱꦼꦫꦶꦔꦗꦮꦃꦲꦶꦁꦩꦁꦱꦫꦼꦤ꧀ꦝꦼꦁ",
    "Balinese": "ᬤᬶᬦᬸᬲᬦᬶᬓᬶᬲᬾᬮᬾᬄᬳᬸᬚᬦ᭄ᬭᬶᬫᬲᬦ᭄ᬳᬸᬚᬦ᭄ᬮᬦ᭄ᬢᬫᬸᬳᬸ",
    "Burmese": "ကျွန်းပေါ်ရှိရာသီဥတုသည်နွေးထွေးပြီးဆောင်းရာသီတွင်မိုးမကြာခဏရွာသည်",
}


@pytest.mark.parametrize("script", UNSPACED)
def test_in_a_script_without_spaces_each_character_is_a_word(script: str) -> None:
    letters, minhash = UNSPACED[script], MinHash(CFG)
    assert len(minhash.shingles(letters)) == len(letters) - 4
    assert set(minhash.shingles(letters[3:40])) < set(minhash.shingles(letters))
    marked = "，".join(letters[i : i + 7] for i in range(0, len(letters), 7))
    assert minhash.shingles(marked).tolist() == minhash.shingles(letters).tolist()
    rng = random.Random(1)
    long = [rng.choice(letters) for _ in range(600)]
    changed = list(long)
    for _ in range(6):
        changed[rng.randrange(600)] = rng.choice(letters)
    true = len(set(grams(long)) & set(grams(changed))) / len(set(grams(long)) | set(grams(changed)))
    left, right = minhash.sign(["".join(long), "".join(changed)])
    assert abs((left == right).mean() - true) < 0.12 and true > 0.85


def grams(letters: list[str]) -> list[tuple[str, ...]]:
    return [tuple(letters[i : i + 5]) for i in range(len(letters) - 4)]


def test_words_with_spaces_between_them_are_what_they_were_beside_others_too() -> None:
    minhash = MinHash(CFG)
    spaced = "one two three four five six seven Два три čtyři 섬의 날씨는 온화하고 겨울에는"
    alone = minhash.shingles(spaced).tolist()
    assert len(alone) == len(spaced.split()) - 4
    assert minhash.shingles(f"{spaced} 天气很温和").tolist()[: len(alone)] == alone
    assert len(minhash.shingles("GPU4是x one two")) == 1  # gpu4, 是, x, one, two
    assert len(minhash.shingles("GPU4𠀀x one two")) == 1
    assert (
        len(minhash.shingles("👨\u200d👩\u200d👧 😀😁x one two")) == 2
    )  # joined emoji are parts, 😀😁x is one
    assert len(minhash.shingles("是 \ud840 \ud83d one two")) == 1  # halves of pairs, which is no valid text
    assert (minhash.sign([spaced, UNSPACED["Thai"]])[0] == minhash.sign([spaced])[0]).all()


def test_pairs_in_scripts_without_spaces_share_a_band_as_often_as_the_theory_says() -> None:
    rng = random.Random(4)
    texts, true = [], []
    for _ in range(900):
        letters = rng.choices(UNSPACED["Chinese"] + UNSPACED["Japanese"] + UNSPACED["Thai"], k=300)
        share = rng.random() * 0.09
        changed = [rng.choice(letters) if rng.random() < share else letter for letter in letters]
        texts += ["".join(letters), "".join(changed)]
        sets = [{"".join(gram) for gram in grams(some)} for some in (letters, changed)]
        true.append(len(sets[0] & sets[1]) / len(sets[0] | sets[1]))
    minhash = MinHash(CFG)
    keys = minhash.keys(minhash.sign(texts))
    found = (keys[::2] == keys[1::2]).any(axis=1)
    similar = np.array(true)
    theory = 1 - (1 - similar**CFG.rows) ** CFG.bands
    for low in (0.6, 0.7, 0.8, 0.9):
        chosen = (similar >= low) & (similar < low + 0.1)
        scatter = np.sqrt((theory[chosen] * (1 - theory[chosen])).sum()) / chosen.sum()
        assert abs(found[chosen].mean() - theory[chosen].mean()) < 4 * scatter + 0.02, low


def test_one_endless_word_is_signed_too() -> None:
    minhash = MinHash(CFG)
    signature = minhash.sign(["x" * (1 << 20) + " and four more words"])
    assert (signature != EMPTY).any()


def test_any_number_of_values_and_any_width_of_shingles_can_be_chosen() -> None:
    pairs = pairs_of_texts(3, 200)
    for bands, rows, width in ((3, 5, 1), (1, 1, 2), (20, 13, 3)):
        minhash = MinHash(Dedup(bands=bands, rows=rows, shingle_words=width))
        left, right = (minhash.sign([pair[side] for pair in pairs]) for side in (0, 1))
        estimate = similarity(sketches(left), sketches(right), minhash.size)
        assert left.shape == (200, bands * rows) and minhash.keys(left).shape == (200, bands)
        assert abs((estimate - (left == right).mean(axis=1)).mean()) < 0.05
        assert (similarity(sketches(left), sketches(left), minhash.size) == 1).all()


def test_signatures_are_the_same_in_every_process_and_have_not_changed() -> None:
    """They may change only with the stage's REVISION."""
    code = (
        "from llama_core.corpus.dedup.minhash import MinHash; from llama_core.corpus.recipe import Dedup;"
        "import xxhash; texts = ['one two three four five six seven', 'one Два три čtyři 🙂 pět', 'x', ''];"
        "print(xxhash.xxh3_64_hexdigest(MinHash(Dedup()).sign(texts).tobytes()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "aabfc2dda49fe1df"


def test_signing_is_fast_enough_for_terabytes() -> None:
    texts = [" ".join(random.Random(seed).choices(WORDS, k=2000)) for seed in range(200)]
    minhash = MinHash(CFG)
    minhash.sign(texts[:10])
    started = time.process_time()
    minhash.sign(texts)
    assert sum(map(len, texts)) / 1e6 / (time.process_time() - started) > 15  # 74 MB/s on an idle core
