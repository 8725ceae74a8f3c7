"""What the edits do: before and after, variants side by side, and how much of an edit it takes."""

from __future__ import annotations

import numpy as np
import streamlit as st

from limecraft_jax.app.shared import cache, limits, look, strokes, work
from limecraft_jax.app.shared.canvas import rgb
from limecraft_jax.app.shared.choose import Subject
from limecraft_jax.app.shared.session import Lab, one_sentence
from limecraft_jax.app.whatif import compared
from limecraft_jax.app.whatif.editing import reach
from limecraft_jax.edits import edit
from limecraft_jax.edits.knobs import Scene
from limecraft_jax.files import images
from limecraft_jax.show import draw
from limecraft_jax.show.radar import AXES

VERDICTS = {
    "effect": "It holds when the outline is drawn a little differently.",
    "no effect": "Drawn a little differently, it still changes nothing that matters.",
    "too noisy to tell": "Drawn a little differently, it comes out quite differently: "
    "too noisy to tell.",
}


def outlined(scene: Scene, drawing: strokes.Drawing) -> bytes:
    """The picture with the outlines of its regions (JPEG)."""
    picture = draw.enlarge(scene.image)
    labels = draw.repeat(np.asarray(scene.mask), draw.scale(scene.image.shape))
    for label, region in enumerate(drawing.ids, 1):
        line = draw.edges((labels == label).astype(np.int8), 3)
        draw.blend(picture, line, rgb(strokes.COLORS.get(region, "#808080")), 1.0)
    return images.to_jpeg(picture)


def before_and_after(
    subject: Subject, drawing: strokes.Drawing, lab: Lab, scene: Scene
) -> tuple[np.ndarray, np.ndarray] | None:
    """Both pictures, every class probability, and whether the effect is more than a slip."""
    left, right = st.columns(2, gap="medium")
    with left:
        look.picture(
            outlined(Scene(subject.shown.pixels, drawing.labels), drawing),
            "The original picture with the drawn regions",
            "original",
        )
    with right:
        look.picture(
            outlined(scene, drawing), "The edited picture; the regions moved along", "edited"
        )
    with one_sentence():
        before = cache.prediction(subject.card.name, subject.shown.key, subject.shown.pixels)
        after = cache.prediction(subject.card.name, cache.digest(scene.image), scene.image)
        table(subject.card.classes, before, after)
        if any(step.on for step in lab.stack):
            from limecraft_jax.app.whatif import plots

            st.altair_chart(
                plots.differences(before, after, subject.card.classes),
                alt="By how many points the probability of every class changes",
            )
            _verdict(subject, drawing, lab, before, after)
        return before, after
    return None


def table(classes: tuple[str, ...], before: np.ndarray, after: np.ndarray) -> None:
    """Every class: original, edited, difference."""
    st.dataframe(
        [
            {
                "class": name,
                "original": 100 * float(b),
                "edited": 100 * float(a),
                "difference": 100 * float(a - b),
            }
            for name, b, a in sorted(
                zip(classes, before, after, strict=True), key=lambda row: -abs(row[2] - row[1])
            )
        ],
        hide_index=True,
        column_config={
            "original": st.column_config.ProgressColumn(
                format="%.1f %%", min_value=0, max_value=100
            ),
            "edited": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100),
            "difference": st.column_config.NumberColumn(format="%+.2f", help="Percentage points."),
        },
    )


def _verdict(subject, drawing, lab, before, after) -> None:
    key = cache.digest(subject.shown.key, drawing.labels, lab.stack)
    image, mask = subject.shown.pixels, drawing.labels
    effect = cache.nuisance(subject.card.name, key, image, mask, lab.stack, work.still_here)
    target = int(np.argmax(before))
    name, new = (look.text(subject.card.classes[i]) for i in (target, int(np.argmax(after))))
    low, high = (float(end[target]) for end in effect.interval())
    said = (
        f"The edit turns **{name}** into **{new}**. "
        if target != int(np.argmax(after))
        else f"The answer stays **{name}**. "
    )
    st.markdown(
        f"{said}Its probability changes by **{look.points(float(after[target] - before[target]))} "
        f"points** (with the outline drawn slightly differently: {look.points(low)} to "
        f"{look.points(high)}). {VERDICTS[effect.verdict(target)]}"
    )


def variants(subject: Subject, drawing: strokes.Drawing, lab: Lab, scene: Scene) -> None:
    """Keep the edits under a name and compare all that were kept."""
    name, keep = st.columns([3, 1.3], vertical_alignment="bottom")
    given = name.text_input(
        "Name of this variant",
        f"variant {len(lab.variants) + 1}",
        key=f"variant-{subject.shown.key}-{len(lab.variants)}",
        max_chars=60,
    )

    def add():
        lab.variants[given.strip() or "variant"] = lab.stack

    keep.button(
        "Keep it",
        icon=":material/bookmark_add:",
        on_click=add,
        disabled=not lab.stack or len(lab.variants) >= limits.MOST_VARIANTS,
        width="stretch",
        help=f"Remember these edits and compare them with others, {limits.MOST_VARIANTS} at most.",
    )
    kept = {"original": (), **compared.kept(lab)}
    if len(kept) < 2:
        st.caption("Edit the picture above; what you keep is compared here.")
        return
    with one_sentence():
        from limecraft_jax.app.whatif import plots

        answers = {}
        for title, stack in kept.items():
            image = edit.apply(subject.shown.pixels, drawing.labels, stack, work.still_here).image
            answers[title] = cache.prediction(subject.card.name, cache.digest(image), image)
        classes = subject.card.classes
        if len(classes) > 2:
            st.altair_chart(
                plots.radar(answers, classes),
                width="content",
                alt="Confidence in every class for the original and every variant",
            )
        order = np.arange(len(classes))
        if len(classes) > AXES:
            st.caption(f"The {AXES} likeliest of {len(classes)} classes are drawn.")
            order = np.argsort(-np.max(list(answers.values()), axis=0), kind="stable")
        st.dataframe(
            [
                {"class": classes[i], **{t: 100 * float(p[i]) for t, p in answers.items()}}
                for i in order
            ],
            hide_index=True,
            column_config={t: st.column_config.NumberColumn(format="%.1f %%") for t in answers},
        )
    from limecraft_jax.compare.variants import words

    for title in list(lab.variants):
        row, load, drop = st.columns([4, 1.2, 1.2], vertical_alignment="center")
        row.markdown(f"**{look.text(title)}** · " + ", ".join(map(words, lab.variants[title])))
        load.button(
            "Load",
            key=f"load-{title}",
            on_click=lab.do,
            args=(lab.variants[title],),
            width="stretch",
        )
        drop.button(
            "Forget",
            key=f"drop-{title}",
            on_click=lab.forget,
            args=(title,),
            width="stretch",
        )


def how_much(subject: Subject, drawing: strokes.Drawing, lab: Lab) -> None:
    """Turn one knob through its range; find the smallest turn that changes the class."""
    turns = [(i, knob) for i, step in enumerate(lab.stack) if step.on for knob in step.edit.knobs]
    if not turns:
        st.caption("Add an edit with a knob above; here you turn it through its whole range.")
        return

    def title(turn):
        i, knob = turn
        return f"{i + 1}. {lab.stack[i].edit.label}: {knob}"

    first, second = st.columns(2, gap="medium")
    one = first.selectbox("Turn", turns, format_func=title, key="turn-one")
    two = second.selectbox(
        "and also (heat map)",
        [None, *turns],
        format_func=lambda t: title(t) if t else "nothing",
        key="turn-two",
    )
    steps = 36
    if not st.button(
        "Turn it",
        icon=":material/timeline:",
        type="primary",
        key="sweep",
        help=f"Edits the picture {steps} times and asks the classifier about each.",
    ):
        return
    from limecraft_jax.app.whatif import plots
    from limecraft_jax.edits import whatif

    model, classes = cache.model(subject.card.name), subject.card.classes
    image, mask = subject.shown.pixels, drawing.labels

    def with_knobs(*values):
        stack = list(lab.stack)
        for turn, value in zip((one, two or one), values, strict=False):
            stack[turn[0]] = _turned(stack[turn[0]], turn[1], value)
        return tuple(stack)

    knob = lab.stack[one[0]].edit.knobs[one[1]]
    low, high, _ = reach(knob)
    with one_sentence(), st.spinner("Editing and asking …"):
        if two and two != one:
            other = lab.stack[two[0]].edit.knobs[two[1]]
            rows, columns = np.linspace(low, high, 9), np.linspace(*reach(other)[:2], 9)
            probs = whatif.grid(model, image, mask, with_knobs, rows, columns, work.still_here)
            target = int(np.argmax(probs.mean(axis=(0, 1))))
            st.altair_chart(
                plots.heat(probs[..., target], rows, columns, (one[1], two[1]), classes[target])
            )
            return
        doses, slips = np.linspace(low, high, steps + 1), whatif.JITTERS[1:3]
        found = whatif.sweep(model, image, mask, with_knobs, doses, slips, work.still_here)
        st.altair_chart(plots.doses(found, classes, one[1], knob.unit))
        st.caption(
            "Bands: the same with the outline one pixel wider or narrower. Dashed lines: another "
            "class is on top from there on."
        )
        if knob.neutral is None:
            return
        ends = [end for end in (low, high) if end != knob.neutral]
        least = whatif.smallest(
            model, image, mask, with_knobs, knob.neutral, ends, 18, between=work.still_here
        )
        if least.value is None or least.scene is None or least.probs is None:
            st.markdown(f"No {one[1]} from {low:g} to {high:g} changes the class.")
            return
        left, right = st.columns([1, 2], vertical_alignment="center")
        look.picture(
            outlined(least.scene, drawing), "The picture with the smallest such edit", place=left
        )
        now = int(np.argmax(least.probs))
        was, new = (look.text(classes[i]) for i in (int(np.argmax(least.before)), now))
        right.markdown(
            f"**The smallest {one[1]} that changes the class is {least.value:.3g} {knob.unit}** "
            f"(± {least.tolerance:.2g}): {was} becomes {new} "
            f"({look.percent(float(least.probs[now]))})."
        )


def _turned(step: edit.Step, knob: str, value: float) -> edit.Step:
    import dataclasses

    new = dataclasses.replace(step.edit, **{knob: value})  # type: ignore[type-var]
    return dataclasses.replace(step, edit=new)
