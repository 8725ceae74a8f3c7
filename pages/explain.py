"""Explain a picture, top to bottom: choose, draw, cut, explain, read."""

import streamlit as st

from limecraft_jax.app.explain import run
from limecraft_jax.app.shared import canvas, choose, look, settings
from limecraft_jax.app.shared.session import open_session

session = open_session("explain")
st.html(look.STYLE)
st.title("Why did the classifier say that?")
st.caption(
    "Pick a picture, say which part you mean by drawing around it, and see which parts speak for "
    "the classifier's answer and which against. Drawing is optional: you can press Explain at once."
)

look.step(1, "Choose a classifier and a picture")
subject = choose.choose(session)
if subject.story:
    st.info(subject.story, icon=":material/lightbulb:")

look.step(2, "What the classifier says")
answer = st.container()

look.step(3, "Draw what you mean", "Optional. Each region is explained by itself.")
tool = canvas.tools()
left, right = st.columns([56, 44], gap="medium")
with left:
    drawing = canvas.draw(session, subject, tool)
    canvas.manage(session.sketch(subject.shown.key), subject, drawing)
with right:
    cut = canvas.superpixels(session, subject, drawing)

look.step(4, "Explain")
chosen = settings.choices(cut.segmentation.num if cut else 1)
control = st.container()

with answer:
    choose.say(subject)
if cut:
    with control:
        run.run(session, subject, cut, chosen)
if session.job:
    from limecraft_jax.app.explain import result

    look.step(5, "Read the answer")
    result.show(session.job)
