"""What the demo asks. The first question is streamed live; the last is one that the documents do not answer."""

BASE_NAME = "sample-handbook"
BASE_DESCRIPTION = "The handbook of Veldhaven, a parcel company that was made up for this"

LIVE_QUESTION = "What happens to compensation if the packaging was thrown away before the inspection?"
OTHER_QUESTIONS = (
    "How many stops may a delivery van tour have?",
    "What may the automatic assistant in Customer Service refund during the pilot?",
    "How long can data that was deleted remain in backups?",
    "What is the dress code for the summer party?",
)
