"""What if it looked different? Draw, edit, compare, turn the knobs."""

import streamlit as st

from limecraft_jax.app.shared import canvas, choose, look, settings
from limecraft_jax.app.shared.session import one_sentence, open_session
from limecraft_jax.app.whatif import compared, editing, effects
from limecraft_jax.edits import edit

session = open_session("whatif")
st.html(look.STYLE)
st.title("What if it looked different?")
st.caption(
    "Draw around something, then move, turn, recolor or remove it, and see what the classifier "
    "says to the new picture."
)

editing.gallery(session)
compared.open_session_file(session)
look.step(1, "Choose a classifier and a picture")
subject = choose.choose(session)
lab = session.lab(subject.shown.key)

look.step(2, "Draw what you want to change")
tool = canvas.tools()
left, right = st.columns([56, 44], gap="medium")
with left:
    drawing = canvas.draw(session, subject, tool)
    canvas.manage(session.sketch(subject.shown.key), subject, drawing)
with right:
    if drawing.ids:
        editing.panel(lab, drawing, subject.shown.key)
    else:
        st.info("Draw a region first; the edits appear here.", icon=":material/gesture:")

if drawing.ids:
    with one_sentence():
        scene = edit.apply(subject.shown.pixels, drawing.labels, lab.stack)
        look.step(3, "Before and after")
        effects.before_and_after(subject, drawing, lab, scene)
        look.step(4, "Side by side")
        effects.variants(subject, drawing, lab, scene)
        compared.explain(subject, drawing, lab, settings.choices(superpixels=100))
        look.step(5, "How much does it take?")
        effects.how_much(subject, drawing, lab)
