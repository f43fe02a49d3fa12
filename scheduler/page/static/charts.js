// Draws the charts of a page: each place holds its specification and rows as JSON.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // Colours of a specification are names of variables in the style sheet.
  function coloured(value) {
    if (typeof value === "string") return /^--[a-z]+$/.test(value) ? colour(value) : value;
    if (Array.isArray(value)) return value.map(coloured);
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, coloured(one)]));
    }
    return value;
  }

  function configuration() {
    const font = getComputedStyle(document.body).fontFamily;
    const [ink, soft, grid, line] = ["--ink", "--soft", "--grid", "--line"].map(colour);
    return {
      background: "transparent",
      font,
      padding: 2,
      view: { stroke: null },
      axis: {
        labelColor: soft, titleColor: soft, titleFontWeight: "normal", gridColor: grid, domainColor: line,
        tickColor: line, labelFontSize: 12, titleFontSize: 12, labelLimit: 220, titlePadding: 8,
      },
      legend: { labelColor: ink, titleColor: soft, titleFontWeight: "normal", labelFontSize: 12, orient: "top" },
      header: { labelColor: ink, titleColor: soft },
      text: { color: ink },
    };
  }

  // Text alone: what a tooltip shows comes from data.
  function showTip(handler, event, item, value) {
    if (value === null || value === undefined || value === "") {
      tip.hidden = true;
      return;
    }
    tip.textContent = typeof value === "object"
      ? Object.entries(value).map(([name, one]) => `${name}: ${one}`).join("\n")
      : String(value);
    tip.hidden = false;
    const { innerWidth, innerHeight } = window;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - box.height - 8))}px`;
  }

  async function draw(plot) {
    const text = plot.querySelector("script").textContent;
    const { spec, columns, rows } = JSON.parse(text);
    const records = rows.map((row) => Object.fromEntries(row.map((value, place) => [columns[place], value])));
    const full = { ...coloured(spec), datasets: { rows: records } };
    const compiled = vegaLite.compile(full, { config: configuration() }).spec;
    if (plot.view) plot.view.finalize();
    let place = plot.querySelector(".drawing");
    if (place === null) {
      place = document.createElement("div");
      place.className = "drawing";
      // The description of the chart stands for its marks.
      place.setAttribute("aria-hidden", "true");
      plot.append(place);
    }
    const runtime = vega.parse(compiled, null, { ast: true });
    plot.view = new vega.View(runtime, {
      expr: vegaInterpreter.expressionInterpreter,
      renderer: "svg",
      container: place,
      hover: true,
      tooltip: showTip,
      loader: vega.loader({ http: false, file: false }),
      logLevel: vega.Error,
    });
    await plot.view.runAsync();
    plot.dataset.drawn = "";
  }

  // Far down the page they are drawn when they come near.
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        watcher.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "400px" });

  window.drawCharts = (root) => {
    for (const plot of root.querySelectorAll(".plot")) watcher.observe(plot);
  };

  // Paper has no screen to come near. The script of a drawing runs at once, as far as it waits for nothing.
  addEventListener("beforeprint", () => {
    for (const plot of document.querySelectorAll(".plot:not([data-drawn])")) {
      watcher.unobserve(plot);
      draw(plot);
    }
  });

  document.addEventListener("mouseleave", () => { tip.hidden = true; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const plot of document.querySelectorAll(".plot[data-drawn]")) draw(plot);
  });
  document.body.append(tip);
  drawCharts(document);
})();
