"""How to read an explanation, for someone who never heard of LIME."""

import streamlit as st

from limecraft_jax.app.shared import look
from limecraft_jax.app.shared.session import open_session

open_session("guide")
st.html(look.STYLE)
st.title("How to read an explanation")
st.markdown(
    """
An image classifier looks at a picture and answers with a probability for each of its classes.
It does not say why. This page tells how the answer on the first page comes about, and what it can
and cannot tell you.

#### What happens when you press Explain

1. The picture is cut into **superpixels**: small patches of similar color. What you draw is cut by
   itself, so no patch ever crosses your line.
2. The program makes many **variants** of the picture. In each, about half of the patches are hidden
   behind a stand-in, usually their own mean color.
3. The classifier answers to every variant.
4. A very **simple model** is fitted to these answers: every patch adds or takes away a fixed amount
   of probability. Variants near to the original picture count more. This method is called
   **LIME**; drawing the regions yourself makes it **LIMEcraft**.

#### What a whole region does

For every region that you draw, the classifier is first asked two plain questions: what does it
say if just this region is hidden, and what if it sees nothing else? These are its own answers,
nothing is estimated. The last column adds up the effects of the patches inside the region.

#### How to read the colors

- A patch that **speaks for** the class raises its probability when it is shown.
- A patch that **speaks against** the class lowers it.
- **Hatched** means that it could go either way: with the variants tried so far the effect could be
  above or below 0. More samples may decide it.
- **Without color** means that it matters little: less than a tenth of the largest effect.
- The stronger the color, the larger the effect. The bars beside the picture give it in
  **percentage points**, with a line for the range in which it would lie in 95 of 100 repetitions.

#### When not to trust it

- **R²** tells how well the simple model foretells the classifier's answers to variants that it was
  not fitted to. Far below 1, the colors are a rough hint at best.
- **Effective samples** tells what the weighted variants are worth. It should be several times the
  number of superpixels.
- If a patch looks like its stand-in, hiding it changes nothing and it seems unimportant, although
  it may matter. Try another stand-in in the settings.
- If the answer turns around when you move the **kernel width**, do not lean on it.
- An explanation tells about *this picture and this classifier*, not about the world. And a region
  that nobody draws is easily overlooked: look at the undrawn parts too.

#### The three kinds of classifiers that come along

**Synthetic skin lesions** are pictures made by a program, not photographs, and nothing here is
medical advice. The classifier was given a bad habit on purpose: in its training pictures a ruler
almost always lay beside the melanomas. Draw around the ruler and see. Its **clean twin** was
trained without that habit; compare the two.

**Brick, grass and gravel** is about real photographs of the ground, some of them put together from
two or three. There you know beforehand which part should speak for which answer, so you can check
whether the explanation finds it.

**Handwritten digits** are small and quick: a good place to play.
"""
)
with st.expander("Words and formulas"):
    st.markdown(
        r"""
With $z_j = 1$ if superpixel $j$ of $d$ is shown, and $y$ the classifier's answer, the simple model
is

$$\hat\beta = \arg\min_\beta \sum_i \pi_i \,(y_i - \beta_0 - \beta^\top z_i)^2
+ \lambda \lVert\beta\rVert^2, \qquad
\pi_i = \exp\!\left(-\frac{(1-\sqrt{s_i/d})^2}{2\nu^2}\right),$$

where $s_i$ superpixels are shown in variant $i$, $\nu$ is the kernel width and $\lambda$ the
penalty. The interval tells how far the answer would move if other variants had been drawn: each
pair of variants (one shows what the other hides) pulls at the answer by what the model misses
there, and these pulls add up (the CR2 estimate of Bell & McCaffrey 2002). The interval spans the
answers with and without the penalty. With few superpixels all $2^d$ combinations are tried and
nothing is left to chance.

Ribeiro, Singh & Guestrin 2016 (LIME) · Hryniewska, Grudzień & Biecek 2022 (LIMEcraft) ·
Garreau & Mardaoui 2021 (what LIME computes)
"""
    )
