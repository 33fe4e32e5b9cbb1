"use strict";
// Puts life into a report: interactive figures in place of the drawings, tables and downloads under
// them, and copy buttons. Without this script the page is complete; it only cannot be asked.

(() => {
  const MOST_SHOWN = 500; // rows of a table that are written out; the download has all that the page holds
  const data = JSON.parse(document.getElementById("data").textContent);
  // A column of long runs of equal values is told as these and how often each stands.
  for (const { columns } of Object.values(data.tables))
    for (const [key, { values, times }] of Object.entries(columns))
      if (times) columns[key] = values.flatMap((value, i) => Array(times[i]).fill(value));

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  // One cell as text that reads back as the same value; a missing number is empty.
  const plain = (value) => (value === null || value === undefined ? "" : String(value));
  function quoted(value) {
    const text = plain(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }
  function csv(table) {
    const keys = Object.keys(table.columns);
    const lines = [keys.map(quoted).join(",")];
    for (let i = 0; i < (keys.length ? table.columns[keys[0]].length : 0); i += 1)
      lines.push(keys.map((key) => quoted(table.columns[key][i])).join(","));
    return `${lines.join("\n")}\n`;
  }

  function download(name) {
    const address = URL.createObjectURL(new Blob([csv(data.tables[name])], { type: "text/csv" }));
    const link = element("a", { href: address, download: `${name}.csv` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  function shown(value) {
    if (typeof value !== "number") return plain(value);
    if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
    return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6 ? Number(value.toPrecision(6)).toString() : Figures.scientific(value, 6);
  }

  function written(name) {
    const table = data.tables[name];
    const keys = Object.keys(table.columns);
    const held = keys.length ? table.columns[keys[0]].length : 0;
    const rows = Math.min(held, MOST_SHOWN);
    const words = name.replaceAll("_", " ");
    const part = rows < table.rows ? `, the first ${rows} of ${table.rows} rows` : "";
    const head = element("tr", {}, ...keys.map((key) => element("th", { scope: "col", textContent: key.replaceAll("_", " ") })));
    const body = element("tbody");
    for (let i = 0; i < rows; i += 1)
      body.append(element("tr", {}, ...keys.map((key) => element("td", { textContent: shown(table.columns[key][i]) }))));
    const made = element("table", {}, element("caption", { textContent: `Table ${words}${part}` }), element("thead", {}, head), body);
    const scroll = element("div", { className: "scroll", tabIndex: 0 }, made);
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `Table ${words}`);
    return scroll;
  }

  function addTools(figure) {
    const tools = figure.querySelector(".tools");
    const names = figure.dataset.tables.split(" ").filter((name) => data.tables[name]);
    const details = element("details", {}, element("summary", { textContent: names.length > 1 ? "Tables" : "Table" }));
    // Written when it is first opened: a page of tables nobody reads would only load slowly.
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(...names.map(written));
    });
    const row = element("div", { className: "row" });
    for (const name of names) {
      const button = element("button", { type: "button", textContent: `CSV: ${name.replaceAll("_", " ")}` });
      button.dataset.download = name;
      button.addEventListener("click", () => download(name));
      row.append(button);
    }
    tools.append(details, row);
    tools.hidden = false;
  }

  function addChoice(figure, live, redraw) {
    const choices = Figures.choices[figure.dataset.figure];
    if (!choices) return;
    const select = element("select", {}, ...Object.entries(choices).map(([value, text]) => element("option", { value, textContent: text })));
    select.addEventListener("change", () => { figure.dataset.choice = select.value; redraw(); });
    live.before(element("p", { className: "choose" }, element("label", {}, "Show ", select)));
  }

  const SHAPES = {
    dot: '<circle cx="10" cy="5" r="4" fill="currentColor"/>',
    ring: '<circle cx="10" cy="5" r="4" fill="none" stroke="currentColor" stroke-width="2"/>',
    diamond: '<path d="M10 0l4 5-4 5-4-5z" fill="currentColor"/>',
    square: '<path d="M6 1h8v8H6z" fill="currentColor"/>',
    cross: '<path d="M6 1l8 8M14 1l-8 8" stroke="currentColor" stroke-width="2"/>',
    line: '<path d="M0 5h20" stroke="currentColor" stroke-width="2"/>',
    dashed: '<path d="M0 5h20" stroke="currentColor" stroke-width="2" stroke-dasharray="5 3"/>',
  };
  function addLegend(figure, live) {
    const entries = Figures.legend(data, figure.dataset.figure);
    if (!entries.length) return;
    const list = element("ul", { className: "legend" });
    for (const entry of entries) {
      const swatch = element("span");
      swatch.innerHTML = `<svg viewBox="0 0 20 10" aria-hidden="true">${SHAPES[entry.shape]}</svg>`;
      swatch.style.color = entry.fill;
      list.append(element("li", {}, swatch, entry.text));
    }
    live.before(list);
  }

  function enliven(figure) {
    const draw = Figures.draw[figure.dataset.figure];
    const live = figure.querySelector(".live");
    if (!draw || typeof Plot === "undefined") return;
    let width = 0;
    const redraw = () => {
      const drawn = draw(data, width, figure.dataset.choice);
      // One figure with a name, through whose marks keys go as a pointer does; all of them are in the table below.
      live.setAttribute("aria-label", lawfulKeys.named(drawn));
      drawn.setAttribute("aria-hidden", "true");
      live.replaceChildren(drawn);
    };
    const fit = () => {
      const box = getComputedStyle(figure);
      const room = Math.floor(figure.clientWidth - parseFloat(box.paddingLeft) - parseFloat(box.paddingRight));
      if (room > 0 && room !== width) { width = room; redraw(); }
    };
    try {
      fit();
    } catch (error) {
      console.error(`The figure ${figure.dataset.figure} stays a drawing:`, error);
      return;
    }
    live.hidden = false;
    lawfulKeys.listen(live);
    figure.classList.add("drawn");
    addLegend(figure, live);
    addChoice(figure, live, redraw);
    new ResizeObserver(() => requestAnimationFrame(fit)).observe(figure);
  }

  // A page opened as a file may not have the clipboard; selecting and asking the document to copy still works.
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = element("textarea", { value: text });
      area.style.cssText = "position: fixed; opacity: 0";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  /** @type {NodeListOf<HTMLButtonElement>} */
  const copiers = document.querySelectorAll("button.copy");
  for (const button of copiers) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      const done = await copy(source.textContent);
      const told = button.parentElement.querySelector(".told");
      told.textContent = done ? "Copied." : "Could not copy: the text below is selected, press Ctrl+C.";
      if (!done) getSelection().selectAllChildren(source);
      setTimeout(() => { told.textContent = ""; }, 4000);
    });
  }

  for (const figure of document.querySelectorAll("figure[data-figure]")) {
    enliven(figure);
    addTools(figure);
  }
})();
