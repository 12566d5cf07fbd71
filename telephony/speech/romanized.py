"""Recognize romanized Nepali, and put its common words into Devanagari.

Words that are not in the table stay in Latin letters.
"""

from __future__ import annotations

import re

# ruff: noqa: SIM905 - a list of words reads best as a line of words.

_WORDS = dict(
    pair.split("=")
    for pair in """aaja=आज aajai=आजै aja=आज bholi=भोलि hijo=हिजो parsi=पर्सि bihana=बिहान belula=बेलुका beluka=बेलुका diuso=दिउँसो
    diunso=दिउँसो sanjha=साँझ rati=राति gate=गते baje=बजे bajesamma=बजेसम्म bajedekhi=बजेदेखि bajeko=बजेको bajebata=बजेबाट
    samma=सम्म dekhi=देखि bata=बाट ko=को ka=का ki=कि ma=मा le=ले lai=लाई sanga=सँग bhitra=भित्र pachhi=पछि pachi=पछि
    aghi=अघि lagi=लागि ra=र wa=वा tara=तर ani=अनि pani=पानी khane=खाने khanepani=खानेपानी ho=हो cha=छ chha=छ chhan=छन्
    chhaina=छैन
    thiyo=थियो bhayo=भयो bhaeko=भएको bhayeko=भएको hunechha=हुनेछ hunecha=हुनेछ huncha=हुन्छ hunchha=हुन्छ garnuhos=गर्नुहोस्
    garnus=गर्नुस् garnuhola=गर्नुहोला tirnuhos=तिर्नुहोस् tirnus=तिर्नुस् tirnuhola=तिर्नुहोला tirna=तिर्न tirne=तिर्ने
    aunuhos=आउनुहोस् aunuhola=आउनुहोला aaunuhos=आउनुहोस् aaunuhola=आउनुहोला aauchha=आउँछ aaucha=आउँछ aaudaina=आउँदैन
    audaina=आउँदैन aayo=आयो aayeko=आएको bhetnuhos=भेट्नुहोस् dinuhos=दिनुहोस् dinus=दिनुस् dinuhola=दिनुहोला linuhos=लिनुहोस्
    bujhaunuhos=बुझाउनुहोस् bujhaunuhola=बुझाउनुहोला pathaunuhos=पठाउनुहोस् rakhnuhos=राख्नुहोस् garchhau=गर्छौँ
    garchau=गर्छौँ garchhaun=गर्छौँ garna=गर्न garne=गर्ने lageko=लागेको hami=हामी hamro=हाम्रो tapai=तपाईं tapaiko=तपाईंको
    tapailai=तपाईंलाई hajur=हजुर hajurko=हजुरको hajurlai=हजुरलाई namaste=नमस्ते namaskar=नमस्कार dhanyabad=धन्यवाद
    sampark=सम्पर्क khata=खाता khatama=खातामा khatako=खाताको jamma=जम्मा baki=बाँकी banki=बाँकी rakam=रकम kista=किस्ता
    kar=कर sulka=शुल्क shulka=शुल्क byaj=ब्याज miti=मिति antim=अन्तिम samaya=समय barsa=वर्ष mahina=महिना hapta=हप्ता
    din=दिन ghanta=घण्टा minet=मिनेट minute=मिनेट jana=जना wota=वटा ota=वटा patak=पटक rupaiya=रुपैयाँ rupaiyan=रुपैयाँ
    rupiya=रुपैयाँ lakh=लाख karod=करोड hajar=हजार saya=सय pratishat=प्रतिशत bijuli=बिजुली bill=बिल bhela=भेला baithak=बैठक
    karyalaya=कार्यालय banda=बन्द bhanda=भन्दा karyakram=कार्यक्रम marmat=मर्मत dhilo=ढिलो palo=पालो chhut=छुट chut=छुट
    suchana=सूचना jankari=जानकारी kripaya=कृपया ward=वडा wada=वडा no=नं number=नम्बर kotha=कोठा tala=तला school=स्कुल
    vidyalaya=विद्यालय shulka=शुल्क token=टोकन code=कोड phone=फोन fees=फिस fee=फिस bus=बस ambulance=एम्बुलेन्स
    baisakh=वैशाख jeth=जेठ jestha=जेठ asar=असार ashad=असार saun=साउन sawan=साउन shrawan=साउन bhadau=भदौ bhadra=भदौ
    asoj=असोज ashwin=असोज kartik=कात्तिक mangsir=मंसिर poush=पुस pus=पुस magh=माघ falgun=फागुन fagun=फागुन chait=चैत
    chaitra=चैत aitabar=आइतबार sombar=सोमबार mangalbar=मङ्गलबार budhabar=बुधबार bihibar=बिहिबार sukrabar=शुक्रबार
    shukrabar=शुक्रबार sanibar=शनिबार shanibar=शनिबार""".split()
)
# Words of the table that are English or look English. They do not show that a text is romanized Nepali.
_ENGLISH = frozenset(
    """no number ward school token code phone fees fee bus ambulance bill minute gate din ma ho ka ki le ra pani kar jamma
    rati bata saya tala jana banda no wa ani code""".split()
)
_MARKERS = frozenset(_WORDS) - _ENGLISH
_MIN_MARKERS = 2
_HINTS = frozenset("ma ho ka ra le din gate pani kar jamma rati bata ko".split())
_MIN_SHARE = 0.3  # minimum share of the Latin words

_LATIN_WORD = re.compile(r"(?<![\w@./-])[A-Za-z]{2,20}(?![\w@/])")


def is_romanized(text: str) -> bool:
    """Return whether the text is Nepali in Latin letters."""
    words = [word.lower() for word in _LATIN_WORD.findall(text)]
    markers = sum(word in _MARKERS for word in words)
    hints = sum(word in _HINTS for word in words)
    known = markers + hints
    return (
        markers >= 1
        and (known >= _MIN_MARKERS or len(words) <= _MIN_MARKERS)
        and known >= _MIN_SHARE * len(words)
    )


def to_devanagari(text: str) -> str:
    """Return romanized Nepali with the words of the table in Devanagari. Other texts are returned unchanged."""
    if not is_romanized(text):
        return text
    return _LATIN_WORD.sub(
        lambda match: match[0] if match[0].isupper() else _WORDS.get(match[0].lower(), match[0]), text
    )
