"""A comparison as one HTML file that needs nothing else: to keep, to send, to print.

Pictures are inside the file, nothing is fetched, and the browser's Print gives the PDF. What users
typed is escaped.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax import __version__
from limecraft_jax.compare.variants import Variant, settled, versions, words
from limecraft_jax.files import images
from limecraft_jax.show import draw, radar, report

if TYPE_CHECKING:
    from limecraft_jax.path.lime import Settings

# Okabe & Ito's colors, which color-blind people tell apart, for the drawn regions.
REGIONS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233))

STYLE = """
:root {color-scheme: light dark; --ink: #1c2429; --soft: #5b6870; --line: #d5dbdf;
  --page: #fff; --card: #f6f8f9;}
@media (prefers-color-scheme: dark) {:root {--ink: #e8edf0; --soft: #a3b0b8; --line: #3b464d;
  --page: #14191c; --card: #1d2428;}}
* {box-sizing: border-box;}
body {margin: 0 auto; padding: 2rem 1.5rem; max-width: 72rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;}
h1 {font-size: 1.7rem; margin: 0;} h2 {font-size: 1.2rem; margin: 2.2rem 0 .6rem;}
h3 {font-size: 1.05rem; margin: 0 0 .6rem;}
p {margin: .4rem 0; max-width: 48rem;} .soft, figcaption {color: var(--soft); font-size: .88rem;}
.row {display: flex; flex-wrap: wrap; gap: 1rem;}
.card {background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1rem; flex: 1 1 14rem; max-width: 22rem;}
figure {margin: 0 0 .8rem;} img {display: block; width: 100%; border-radius: 5px;}
ol {margin: .2rem 0 .6rem; padding-left: 1.4rem;} li.off {opacity: .6;}
table {border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .94rem;}
.wide {overflow-x: auto;}
th, td {text-align: right; padding: .3rem .8rem; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word;}
td {white-space: nowrap;} .facts td {white-space: normal;} thead th {max-width: 11rem;}
th {font-weight: 600;} tbody th {font-weight: 400;}
th:first-child, td:first-child {text-align: left; padding-left: 0;}
.best {font-weight: 700;}
.facts td:last-child {text-align: left;}
.scale {display: inline-grid; grid-template-columns: auto 12rem auto; gap: .2rem .6rem;
  align-items: center; font-size: .88rem;}
.scale i {height: .9rem; border-radius: 4px;}
.hatch {display: inline-block; width: 1.6rem; height: .8rem; border-radius: 3px;
  background: repeating-linear-gradient(135deg, #8a949a 0 3px, transparent 3px 8px);}
svg {display: block; max-width: 46rem; width: 100%; height: auto;}
svg text {fill: var(--ink); font: 13px system-ui, sans-serif;}
@page {size: A4; margin: 14mm;}
@media print {
  :root {--ink: #000; --soft: #444; --line: #bbb; --page: #fff; --card: #fff;}
  body {padding: 0; font-size: 10.5pt; max-width: none;}
  * {print-color-adjust: exact; -webkit-print-color-adjust: exact;}
  .row {gap: 4mm;}
  .card {padding: 3mm; flex: 1 1 40mm; max-width: 60mm;}
  .card, figure, img, svg, tr, .keep {break-inside: avoid;}
  h2, h3 {break-after: avoid;}
  .wide {overflow: visible;} table {font-size: 9pt;} th, td {padding: .2rem .4rem;}
}
"""


def html(
    variants: Sequence[Variant],
    classes: Sequence[str],
    model_title: str,
    settings: Settings,
    target: int | None = None,
    palette: draw.Palette = draw.PALETTES["green-red"],
) -> str:
    """The report.

    Parameters
    ----------
    variants
        The original first, as `compare.compare` gives them.
    classes
        Names of the k classes.
    model_title
        What the model is called.
    settings
        The choices that all explanations share.
    target
        Index of the class whose explanations are drawn; the original's likeliest by default.
    palette
        Colors for and against.
    """
    first = variants[0]
    target = int(first.probs.argmax()) if target is None else target
    name = classes[target]
    strongest = max(float(np.abs(v.explanation.fit.coef[target]).max()) for v in variants)
    cards = "".join(_card(v, target, name, strongest, palette) for v in variants)
    now = datetime.now().astimezone()
    chart = radar.svg({v.name: v.probs for v in variants}, classes)
    left = len(classes) - radar.AXES
    cut = f" The {radar.AXES} likeliest of {len(classes)} classes are drawn." if left > 0 else ""
    body = f"""
<header><h1>What if the picture looked different?</h1>
<p class="soft">{escape(model_title)} · {now:%Y-%m-%d %H:%M %Z} · limecraft-jax {__version__}</p>
</header>
<main>
<h2>In short</h2>
{"".join(f"<p>{sentence}</p>" for sentence in _short(variants, classes, target))}
<h2>The pictures and what speaks for {escape(name)}</h2>
<p>Every picture was explained in the same way. Colors say which parts raise the probability of
<b>{escape(name)}</b> and which lower it; all pictures share one color scale.</p>
{_scale(strongest, palette)}
<div class="row">{cards}</div>
<div class="keep"><h2>What the model says</h2>
<p>Probability of every class in percent, and by how many percentage points it differs from the
original. The likeliest class of each picture is in bold.</p>
<div class="wide">{_chances(variants, classes)}</div></div>
<div class="keep"><h2>The same as a picture</h2>
<p>Every axis is a class; the farther out, the more probable.{cut}</p>
{chart}</div>
<div class="keep"><h2>How far to trust the explanations</h2>
<p>A simple model stands in for the classifier near each picture. R² says how well it foretells
answers that it has not seen (1 is perfectly); the effective samples say how many equally weighted
questions the answer is worth. A part could go either way if its 95 % interval contains 0, and
matters little if the interval stays within a tenth of the largest effect.</p>
<div class="wide">{_health(variants, target)}</div></div>
<div class="keep"><h2>To do it again</h2>
<div class="wide">{_settings(first, settings, model_title)}</div></div>
</main>"""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What if? {escape(model_title)}</title>
<style>{STYLE}</style></head>
<body>{body}
</body></html>
"""


def percent(value: float) -> str:
    """A share as people read it.

    >>> percent(0.9834), percent(0.0001)
    ('98.3 %', '0.01 %')
    """
    return f"{100 * value:.1f} %" if abs(value) >= 0.001 or value == 0 else f"{100 * value:.2g} %"


def points(value: float) -> str:
    """A difference of probabilities in percentage points, with its sign."""
    return f"{100 * value:+.2f}".replace("-", "−")


def _short(variants: Sequence[Variant], classes: Sequence[str], target: int) -> Iterable[str]:
    first = variants[0]
    top = int(first.probs.argmax())
    yield (
        f"The model takes the original for <b>{escape(classes[top])}</b> "
        f"({percent(first.probs[top])})."
    )
    for variant in variants[1:]:
        best, name = int(variant.probs.argmax()), escape(variant.name)
        change = points(float(variant.probs[target]) - float(first.probs[target]))
        verb = "still" if best == top else "now"
        yield (
            f"<b>{name}</b>: the model {verb} says <b>{escape(classes[best])}</b> "
            f"({percent(variant.probs[best])}); {escape(classes[target])} changes by "
            f"{change} percentage points."
        )


def _url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _figure(url: str, alt: str, caption: str) -> str:
    return (
        f'<figure><img src="{url}" alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _card(variant: Variant, target: int, name: str, strongest: float, palette: draw.Palette) -> str:
    values = np.unique(variant.mask[variant.mask != 0])
    colors = {int(value): REGIONS[i % len(REGIONS)] for i, value in enumerate(values)}
    outlined = draw.regions(variant.image, variant.mask, colors)
    over = draw.overlay(variant.explanation, target, palette=palette, strongest=strongest)
    area = float(np.mean(variant.mask != 0))
    steps = "".join(
        f"<li{'' if step.on else ' class=off'}>{escape(words(step))}</li>" for step in variant.stack
    )
    shares = variant.explanation.shares(target)
    drawn = f"Drawn: {percent(area)} of the picture" if area else "No region is left"
    if not area and not variant.stack:
        drawn = "No region is drawn"
    return f"""<section class="card"><h3>{escape(variant.name)}</h3>
{_figure(_url(images.to_png(variant.image), "png"), variant.name, "The picture")}
{_figure(_url(images.to_jpeg(outlined), "jpeg"), f"{variant.name}, regions", drawn)}
{_figure(_url(images.to_jpeg(over), "jpeg"), f"{variant.name}, explained", f"What speaks for {name}")}
<p>{escape(name)}: <b>{percent(variant.probs[target])}</b></p>
<p class="soft">Area for it {shares.positive:.0%}, against it {shares.negative:.0%},
matters little {shares.negligible:.0%},
could go either way {shares.neutral - shares.negligible:.0%}.</p>
{f"<ol>{steps}</ol>" if steps else '<p class="soft">As it came, nothing edited.</p>'}
</section>"""  # noqa: E501


def _scale(strongest: float, palette: draw.Palette) -> str:
    against, favor = palette.hex(False), palette.hex(True)
    return f"""<div class="scale"><span>against {points(-strongest)}</span>
<i style="background: linear-gradient(90deg, {against}, {against}22, {favor}22, {favor})"></i>
<span>for {points(strongest)} percentage points</span></div>
<p class="soft"><span class="hatch"></span> hatched: could go either way.</p>"""


def _chances(variants: Sequence[Variant], classes: Sequence[str]) -> str:
    first, rest = variants[0], variants[1:]
    heads = "".join(f"<th>{escape(v.name)}</th>" for v in variants)
    heads += "".join(f"<th>{escape(v.name)} − {escape(first.name)}</th>" for v in rest)
    lines = []
    for k, name in enumerate(classes):
        cells = "".join(
            f"<td{' class=best' if v.probs.argmax() == k else ''}>{percent(v.probs[k])}</td>"
            for v in variants
        )
        cells += "".join(
            f"<td>{points(float(v.probs[k]) - float(first.probs[k]))}</td>" for v in rest
        )
        lines.append(f"<tr><th scope=row>{escape(name)}</th>{cells}</tr>")
    return (
        f"<table><thead><tr><th>class</th>{heads}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _health(variants: Sequence[Variant], target: int) -> str:
    rows: dict[str, list[Any]] = {}
    for variant in variants:
        explanation = variant.explanation
        shares, fit = explanation.shares(target), explanation.fit
        segmentation = explanation.neighborhood.segmentation
        told: dict[str, Any] = {
            "R² on fresh samples": report.score(fit.r2[target]),
            "Effective samples": f"{fit.effective_samples:.0f}",
            "Samples": len(explanation.neighborhood.probs),
            "Superpixels inside / outside": f"{segmentation.inside.sum()} / "
            f"{(~segmentation.inside).sum()}",
            "Area for": percent(shares.positive),
            "Area against": percent(shares.negative),
            "Area that matters little": percent(shares.negligible),
            "Area that could go either way": percent(shares.neutral - shares.negligible),
            "Area of the drawn regions": percent(float(np.mean(variant.mask != 0))),
            "Trust": report.trust(explanation, target, "").level,
        }
        for what, value in told.items():
            rows.setdefault(what, []).append(value)
    heads = "".join(f"<th>{escape(v.name)}</th>" for v in variants)
    lines = "".join(
        f"<tr><th scope=row>{what}</th>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
        for what, values in rows.items()
    )
    return f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _settings(first: Variant, settings: Settings, model_title: str) -> str:
    used = settled(settings, first.mask, first.mask)
    rows = {"model": model_title}
    rows |= {f.name: str(getattr(used, f.name)) for f in dataclasses.fields(used)}
    rows["picture"] = " × ".join(str(side) for side in first.image.shape)
    rows["versions"] = ", ".join(
        f"{package} {number}"
        for package, number in {"limecraft-jax": __version__, **versions()}.items()
    )
    lines = "".join(
        f"<tr><th scope=row>{escape(what)}</th><td>{escape(value)}</td></tr>"
        for what, value in rows.items()
    )
    return f'<table class="facts"><tbody>{lines}</tbody></table>'
