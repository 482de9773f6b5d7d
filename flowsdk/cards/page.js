(() => {
  "use strict";
  const root = document.documentElement;
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches;

  // A page in a sandbox or opened from a file may have no storage.
  const remembered = {
    get() {
      try { return localStorage.getItem("flowsdk-card-theme"); } catch { return null; }
    },
    set(theme) {
      try { localStorage.setItem("flowsdk-card-theme", theme); } catch { /* not remembered */ }
    },
  };

  const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  function chartConfig() {
    const text = style("--text"), muted = style("--muted"), line = style("--line");
    return {
      background: "transparent",
      font: "system-ui, sans-serif",
      title: { color: text, subtitleColor: muted },
      axis: { labelColor: muted, titleColor: text, domainColor: line, tickColor: line, gridColor: line },
      legend: { labelColor: muted, titleColor: text },
      header: { labelColor: muted, titleColor: text },
      view: { stroke: line },
      mark: { color: style("--accent") },
      text: { color: text },
    };
  }

  function drawCharts() {
    for (const chart of document.querySelectorAll("[data-chart]")) {
      const view = chart.querySelector(".chart-view");
      const failed = (error) => { view.textContent = `The chart cannot be drawn: ${error.message || error}`; };
      if (typeof vegaEmbed === "undefined") { continue; }
      try {
        const controls = "controls" in chart.dataset;
        vegaEmbed(view, JSON.parse(chart.querySelector("script").textContent), {
          // Expressions are interpreted: the page's policy forbids to evaluate text as code.
          ast: true,
          renderer: "svg",
          actions: controls ? { export: true, source: true, compiled: false, editor: false } : false,
          config: chartConfig(),
          tooltip: { theme: isDark() ? "dark" : "light" },
        }).catch(failed);
      } catch (error) { failed(error); }
    }
  }

  async function copy(button) {
    const text = button.parentElement.querySelector("template.copied").content.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  const wanted = remembered.get();
  if (wanted === "dark" || wanted === "light") { root.dataset.theme = wanted; }
  const toggle = document.getElementById("theme");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remembered.set(root.dataset.theme);
    drawCharts();
  });
  prefersDark.addEventListener("change", drawCharts);
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", () => copy(button));
  }
  drawCharts();
})();
