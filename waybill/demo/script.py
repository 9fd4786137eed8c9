"""The demo's questions and prices. The first question is streamed live; the documents do not answer the last one."""

LIVE_QUESTION = "What happens to compensation if the packaging was thrown away before the inspection?"
OTHER_QUESTIONS = (
    "How many stops may a delivery van tour have?",
    "What may the assistant refund during the pilot?",
    "How long can data that was deleted remain in backups?",
    "What is the dress code for the summer party?",
)

# US dollars a token for the models that run on this machine, which cost nothing until an operator sets a price for the
# machine. About a small virtual machine that is busy all day.
MACHINE_PRICES = {"input_tokens": "0.00000002", "output_tokens": "0.0000001", "embedding_tokens": "0.00000001"}
