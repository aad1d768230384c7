(() => {
  "use strict";
  const THEMES = {
    light: { text: "#3b4450", grid: "#e6e9ed", line: "#c3c9d1", card: "#ffffff" },
    dark: { text: "#c3cbd6", grid: "#2c343e", line: "#46505c", card: "#1a2027" },
  };
  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
  const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")].map((box) => ({
    box,
    spec: JSON.parse(box.nextElementSibling.textContent),
    frame: 0,
  }));

  const themed = (layout, theme) => {
    const copy = structuredClone(layout);
    copy.font = { color: theme.text, family: FONT, size: 12 };
    copy.hoverlabel = {
      ...copy.hoverlabel,
      bgcolor: theme.card, bordercolor: theme.line, font: { color: theme.text, size: 12 },
    };
    for (const name of Object.keys(copy).filter((key) => /^[xy]axis\d*$/.test(key))) {
      Object.assign(copy[name], { gridcolor: theme.grid, linecolor: theme.line });
    }
    return copy;
  };
  const shown = ({ spec, frame }) => {
    const own = spec.frames && spec.frames[frame];
    if (!own) return spec;
    return {
      data: spec.data.map((trace, line) => ({ ...trace, x: own.x[line], y: own.y[line] })),
      layout: { ...spec.layout, yaxis: { ...spec.layout.yaxis, ...own.yaxis } },
    };
  };
  const draw = (theme) =>
    Promise.all(
      plots.map((plot) => {
        const { data, layout } = shown(plot);
        return Plotly.react(plot.box, data, themed(layout, theme), CONFIG);
      }));
  const follow = () => draw(dark.matches ? THEMES.dark : THEMES.light);

  dark.addEventListener("change", follow);
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((each) => { each.open = true; });
    draw(THEMES.light);
  });
  window.addEventListener("afterprint", follow);
  follow().then(() => { document.documentElement.dataset.drawn = String(plots.length); });

  document.querySelectorAll(".chooser select").forEach((select) => {
    const figure = select.closest("figure");
    const plot = plots.find(({ box }) => figure.contains(box));
    select.addEventListener("change", () => {
      plot.frame = select.selectedIndex;
      figure.querySelector(".words").textContent = select.selectedOptions[0].dataset.words;
      follow();
    });
  });

  const buttons = [...document.querySelectorAll(".filters button")];
  buttons.forEach((button) => button.addEventListener("click", () => {
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    document.querySelectorAll(".journal li").forEach((line) => {
      line.hidden = button.value !== "" && line.dataset.phase !== button.value;
    });
  }));
})();
