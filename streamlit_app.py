"""Entry point: `streamlit run streamlit_app.py`."""

import streamlit as st

st.set_page_config("limecraft-jax: why did the classifier say that?", "🍋", layout="centered")
st.navigation(
    [
        st.Page("pages/explain.py", title="Explain a picture", icon=":material/search:"),
        st.Page("pages/whatif.py", title="What if?", icon=":material/edit:"),
        st.Page("pages/guide.py", title="How to read it", icon=":material/menu_book:"),
    ],
    position="top",
).run()
