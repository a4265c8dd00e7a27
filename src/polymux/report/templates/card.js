"use strict";
(() => {
  const figure = document.getElementById("map");
  if (!figure) return;
  const svg = figure.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const tip = document.getElementById("tip");
  const data = JSON.parse(document.getElementById("points").textContent);
  // Of two points that are equally near, the rarer kind is meant.
  const kinds = { chosen: 1, target: 1, pool: 2.5 };
  const seen = (kind) => document.getElementById("show-" + kind).checked;

  function put(className, text, tag) {
    const part = tip.querySelector("." + className);
    part.textContent = text;
    part.hidden = !text;
    if (tag) part.lang = tag;
    else part.removeAttribute("lang");
  }

  function show(kind, i) {
    const { xy, text, id, language, tag, note } = data[kind];
    const x = xy[2 * i], y = xy[2 * i + 1];
    put("kind", { pool: "pool", target: "target", chosen: "chosen" }[kind]);
    put("text", text[i], tag[i]);
    put("language", language[i]);
    put("note", note[i]);
    put("id", id[i]);
    tip.className = kind;
    tip.hidden = false;
    cursor.setAttribute("d", `M${x} ${y}h0`);
    const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
    const box = figure.getBoundingClientRect();
    const left = Math.min(Math.max(at.x - box.left - tip.offsetWidth / 2, 0), box.width - tip.offsetWidth);
    const under = at.y - box.top + 16;
    const over = at.y - box.top - 16 - tip.offsetHeight;
    tip.style.left = left + "px";
    tip.style.top = (over + box.top > 8 ? over : under) + "px";
  }

  function hide() {
    tip.hidden = true;
    cursor.setAttribute("d", "");
  }

  function near(event) {
    const matrix = svg.getScreenCTM();
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    let best = ((event.pointerType === "touch" ? 28 : 14) / matrix.a) ** 2;
    let found = null;
    for (const [kind, weight] of Object.entries(kinds)) {
      if (!seen(kind)) continue;
      const xy = data[kind].xy;
      for (let i = 0; i < xy.length; i += 2) {
        const d = ((xy[i] - p.x) ** 2 + (xy[i + 1] - p.y) ** 2) * weight;
        if (d < best) [best, found] = [d, [kind, i / 2]];
      }
    }
    if (found) show(...found);
    else hide();
  }

  let walk = -1;
  svg.addEventListener("pointermove", near);
  svg.addEventListener("pointerdown", near);
  svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const n = data.chosen.text.length;
    if (event.key === "Escape") hide();
    if (!step || !n) return;
    event.preventDefault();
    walk = (walk + step + n) % n;
    show("chosen", walk);
  });
})();
