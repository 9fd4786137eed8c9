"""Words that attacks are made of, by what they do in a sentence, in the languages that the rules know.

A class stands for its words in the model's features: who learned "ignore the rules" also knows "disregard the
guidelines". Words are as `normalize.fold` leaves them: lower case, without accents.
"""

from collections.abc import Mapping

CLASSES: Mapping[str, str] = {
    "drop": """ignore ignoring ignored disregard disregarding forget forgetting bypass bypassing override overriding
        overrule skip discard dismiss abandon drop erase delete clear reset cancel neglect omit suspend disable disabling
        deactivate remove removing stop unlearn circumvent evade break violate violating ignoriere ignorieren ignoriert
        vergiss vergessen verwirf missachte umgehe uberschreibe losche ignorez ignorer oublie oubliez oublier neglige
        contourne desactive ignora ignorar ignore olvida olvidar olvidate olvide descarta omite desactiva ignoreer negeer
        vergeet vergeten omzeil wis esqueca esquecer desconsidere dimentica dimenticare scarta zignoruj zapomnij""",
    "order": """instruction instructions rule rules guideline guidelines directive directives restriction restrictions
        constraint constraints prompt prompts policy policies command commands order orders limitation limitations filter
        filters safeguard safeguards guardrail guardrails programming protocol protocols training context safety ethics
        anweisung anweisungen regeln regel vorgaben richtlinien einschrankungen befehle consigne consignes regles regle
        directives limites instrucciones instruccion reglas restricciones ordenes indicaciones instructies instructie
        regels beperkingen richtlijnen instrucoes regras istruzioni regole instrukcje polecenia zasady""",
    "before": """previous prior above earlier preceding foregoing former initial original existing past before until far
        vorherigen vorherige bisherigen bisherige obigen obige vorigen fruheren precedentes precedente precedents anterieures
        anteriores anterior previas previos vorige voorgaande eerdere bovenstaande precedenti poprzednie wczesniejsze""",
    "show": """reveal show print output display repeat tell give share dump leak disclose expose recite echo quote spell
        write say list return state provide copy paste translate encode summarize summarise rephrase paraphrase describe
        unveil divulge convey transmit send name hint describe rewrite restate reproduce verbatim zeige zeig nenne verrate
        verrat sage sag wiederhole gib drucke montre montrez revele revelez affiche donne dis dites repete repetez muestra
        muestrame revela dime di repite imprime escribe toon vertel geef onthul herhaal zeg schrijf mostre revele diga
        rivela mostra dimmi ripeti pokaz ujawnij podaj""",
    "secret": """password passwords passphrase secret secrets passcode code key token credential credentials pin flag
        codeword password's hidden confidential passwort kennwort geheimnis geheime schlussel losung parole mot secrete
        contrasena clave secreto secreta codigo wachtwoord geheim sleutel senha segredo chiave segreto haslo""",
    "persona": """dan aim stan dude jailbreak jailbroken unrestricted unfiltered uncensored amoral unethical evil rogue
        developer godmode liberated freed persona character roleplay pretend simulate unbound unlimited limitless
        omnipotent chaotic villain alter unshackled uncontrolled unaligned unhinged""",
    "grant": "access granted grant authorized authenticated unlock unlocked verified admin administrator root sudo superuser",
    "must": """must shall never always only henceforth now immediately instead required obey comply answer respond reply
        nun jetzt ab maintenant desormais ahora nu voortaan agora adesso teraz""",
    "you": """you your yours yourself u ur du dein deine deiner deinen dich dir sie ihre ihren ihr tu te toi ton tes ta vos votre
        vous tu tus tuyo su sus usted je jouw jij uw seu sua voce il tuo tue twoje""",
    "model": """ai chatbot chatgpt gpt openai assistant bot llm model language system claude gemini llama bard anthropic
        machine agent""",
    "deny": """refuse refusing decline apologize apology warning disclaimer illegal immoral harmful offensive inappropriate
        censored censorship moral ethical legality consequences sorry cannot can't""",
}
CLASS_OF: Mapping[str, str] = {word: name for name, words in reversed(CLASSES.items()) for word in words.split()}

# Frequent words by which a text is known to be English, whatever alphabet it was turned into.
ENGLISH = frozenset(
    """the and you your are was were with this that have from not for all what can will now ignore previous instructions
    prompt system reveal password secret tell show about rules how make please instead print say repeat write above
    forget access granted without only respond answer who when which but they would there their other should because""".split()
)
SEGMENTS = frozenset(
    word
    for name, words in CLASSES.items()
    if name not in {"must", "you"}
    for word in words.split()
    if len(word) > 3 and word.isalpha()  # noqa: PLR2004 - shorter ones are found in any letters
) | frozenset(
    """all any the your you and me my now from this that these those with without please what how are about then tell say
    have been not into must will can every everything following out new mode act like system prompt""".split()
)
LONGEST_WORD = max(map(len, SEGMENTS))
