"""Typical text in the scripts and languages of old encodings: the evidence by which `encodings` decides."""

# The letters besides a to z, and common words, by which a language is recognized. The words of Windows-1252's
# languages, of Windows-1250's and ISO 8859-2's, of Windows-1254's and of Windows-1257's.
LANGUAGES = {
    "western": (
        ("äöüß", "der die das und ist für nicht von den mit ein eine im zu auf des dem sich"),
        ("àâæçèéêëîïôœùûüÿ", "le la les de des et est un une pour que du dans en au aux par sur ne pas"),
        ("áéíñóúü¿¡ªº", "el la los las de que en y es un una por con para del se no al su"),
        ("ãõáâàéêíóôúç", "o a os as de que em e do da não um uma para com no na ao se por são"),
        ("àèéìíòóùú", "il lo la i gli le di che e un una per con del della non in sono è"),
        ("åäöéæøü", "och att det som en på är av för med den till inte der er ikke og af til i"),
        ("áðéíóúýþæö", "og að er í á sem það en um við"),
        ("äöõüšž", "ja on ei see et ta ka mis"),
        ("ëéïöóüáèêôû", "de het een en van is dat in op te voor met niet aan zijn die"),
        ("àçéèíïòóúü·", "el la els les de que i en un una per amb del no"),
    ),
    "central": (
        ("ąćęłńóśźż", "i w na z do nie się jest że o to po za od dla jak przez lub"),
        ("áčďéěíňóřšťúůýž", "a je v na se z že do to o pro s k za od musí jako podle při"),
        ("áäčďéíĺľňóôŕšťúýž", "a je v na sa z že do to o pre s k za od musí ako podľa pri"),
        ("áéíóöőúüű", "a az és hogy nem is egy van ez meg de csak ha vagy"),
        ("čćđšž", "i je u na se da za od s iz su to ne koji in v z"),
        ("ăâîşţ", "de și şi în la cu pe nu este un o din pentru care"),
    ),
    "turkish": (("çğıİöşüâî", "ve bir bu için da de ile ne çok olarak daha en"),),
    "baltic": (
        ("ąčęėįšųūž", "ir yra tai kad į su iš ne bet"),
        ("āčēģīķļņšūž", "un ir ka no ar uz par nav bet"),
    ),
}
# Signs that may occur in text of any language.
SIGNS = frozenset(
    "«»‹›„“”‚‘’–—…•·€£¥§°²³½¼¾©®™×±¿¡ªº¶†‡‰´¨\xa0\xad№、。，．！？：；「」『』（）【】《》〈〉・ー～〜…　％＋－＝／"
)

# Each of these languages by its most frequent letters, lower case.
CYRILLIC_COMMON = frozenset("оеаинтсрвлкмдпуяыьзбгчйі")
GREEK_COMMON = frozenset("αοιετσνηυρπκμλςήίάόέ")
HEBREW_COMMON = frozenset("יוהלאמרתבשנםדכחעפקןגטסזץצ")
ARABIC_COMMON = frozenset("اليمنتربودعسهفكحقجأة")
THAI_COMMON = frozenset("านรกอเงวมยลตดบสคทพปหชจขแะไใโ่้ีัิุูำ์็ื")
# The characters that make up two thirds of Chinese text, simplified and traditional, and those common in Japanese.
SIMPLIFIED = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种"
    "事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日军者意无力与长把机十民第公此"
    "已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西月话合回特代"
    "内信表化老给世位次度门任常先海通教原东声提立及比员解水名真论处走义各入几口认条平系气题活更别打女变四总何电数安少报"
    "才结反受目太量再感建务做接必场件计管期市直德资命山金指许统区保至队形社便空决治展马科司五基眼书非则听白界达光放强即"
    "像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取格望术领共确传师观清切院让候带运请收货付款七八九六百千"
    "元包邮费日天内最高须须索赔偿欧们价买卖店客户服务邮箱港口船费用"
)
TRADITIONAL = frozenset(
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種"
    "事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心本前開但因只從想實日軍者意無力與長把機十民第公此"
    "已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西月話合回特代"
    "內信表化老給世位次度門任常先海通教原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活更別打女變四總何電數安少報"
    "才結反受目太量再感建務做接必場件計管期市直德資命山金指許統區保至隊形社便空決治展馬科司五基眼書非則聽白界達光放強即"
    "像難且權思王象完設式色路記南品住告類求據程北邊死張該交規萬取格望術領共確傳師觀清切院讓候帶運請收貨付款七八九六百千"
    "元包郵費日天內最高須索賠償歐價買賣店客戶服務信箱港口船費用"
)
