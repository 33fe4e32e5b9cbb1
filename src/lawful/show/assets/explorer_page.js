"use strict";

// The page: its state, the controls that change it, its address, and what follows from a change. The state
// is one flat object of settings; everything shown is computed from it and nothing else.
const lawfulExplorer = (() => {
  const page = JSON.parse(document.getElementById("lawful-data").textContent);
  /** @type {(id: string) => any} */
  const byId = (id) => document.getElementById(id);
  const controls = new Map(page.controls.map((control) => [control.name, control]));
  const CHOICES = { design: ["sweep", "toy"], region: Object.keys(page.toy.regions) };
  const STEPS = 1000;
  const { element } = lawfulReadouts;

  const parts = {
    headline: byId("headline"), cards: byId("cards"), troubles: byId("troubles"), numbers: byId("numbers"),
    area: byId("results-area"), table: byId("results"), details: byId("details"), runs: byId("runs-table"),
  };
  /** @type {[string, HTMLElement][]} */
  const figures = ["isoflop", "params", "tokens", "miss", "toy", "forecast"]
    .map((name) => [name, byId(`figure-${name}`)]);

  /** @type {NodeListOf<HTMLElement>} */
  const designs = document.querySelectorAll("[data-design]");

  let state = { ...page.initial };
  let found = null;
  let reaction = 0;
  let chosen = -1;
  const shown = {};
  const widths = new Map();
  let onScreen = null;

  // Where a value stands on its slider, from 0 to STEPS, and back.
  function toSlider({ low, high, scale }, value) {
    if (scale === "whole") return value;
    if (scale === "log") return (STEPS * Math.log(value / low)) / Math.log(high / low);
    const part = (value - low) / (high - low);
    return STEPS * (scale === "square" ? Math.sqrt(part) : part);
  }

  // Sliders give round numbers: three significant digits, or what a step is worth.
  function fromSlider({ low, high, scale }, position) {
    if (scale === "whole") return Number(position);
    const part = position / STEPS;
    if (position <= 0) return low;
    if (position >= STEPS) return high;
    if (scale === "log") return Number((low * (high / low) ** part).toPrecision(3));
    const value = low + (high - low) * (scale === "square" ? part * part : part);
    return Number(value.toPrecision(3));
  }

  const admitted = ({ low, high, scale }, value) =>
    Math.min(Math.max(scale === "whole" ? Math.round(value) : value, low), high);

  const display = (value) => {
    const text = String(Number(value.toPrecision(6)));
    return Math.abs(value) >= 1e5 ? Number(value.toPrecision(6)).toExponential().replace("e+", "e") : text;
  };

  /** Take settings: unknown names are left out, numbers outside a range move to its end. */
  function checked(settings) {
    const taken = {};
    for (const [name, value] of Object.entries(settings)) {
      if (name in CHOICES && CHOICES[name].includes(value)) taken[name] = value;
      const control = controls.get(name);
      const number = value === "" ? NaN : Number(value);
      if (control && Number.isFinite(number)) taken[name] = admitted(control, number);
    }
    return taken;
  }

  const addressOf = (settings) =>
    new URLSearchParams(Object.entries(settings).map(([name, value]) => [name, String(value)])).toString();

  // Writing the address at every move of a slider is more than some browsers allow.
  let writing = 0;
  function writeAddress() {
    clearTimeout(writing);
    writing = setTimeout(() => history.replaceState(null, "", `#${addressOf(state)}`), 250);
  }

  function readAddress() {
    const text = location.hash.slice(1);
    clearTimeout(writing);
    const given = Object.fromEntries(new URLSearchParams(text));
    set({ ...page.initial, ...given }, { write: false });
  }

  // The polite live region speaks once the sliders rest.
  let speaking = 0;
  function announce(words) {
    clearTimeout(speaking);
    speaking = setTimeout(() => { byId("announcement").textContent = words; }, 600);
  }

  function showControls() {
    for (const [name, control] of controls) {
      if (shown[name] === state[name]) continue;
      shown[name] = state[name];
      const [slider, field] = [byId(`slider-${name}`), byId(`field-${name}`)];
      slider.value = toSlider(control, state[name]);
      slider.setAttribute("aria-valuetext", `${display(state[name])} ${control.unit}`);
      if (document.activeElement !== field) setField(field, state[name]);
    }
    byId("design").value = state.design;
    byId("region").value = state.region;
    for (const box of designs) box.hidden = box.dataset.design !== state.design;
    // Two presets may have the same numbers; the one that was chosen keeps its name.
    const holds = (preset) => Object.entries(preset.settings).every(([k, v]) => state[k] === v);
    if (chosen < 0 || !holds(page.presets[chosen])) chosen = page.presets.findIndex(holds);
    byId("preset").value = chosen < 0 ? "" : String(chosen);
  }

  function setField(field, value) {
    field.value = display(value);
    field.removeAttribute("aria-invalid");
  }

  function shownRuns() {
    if (page.runs === null || !byId("own-runs").checked) return null;
    const nearest = (budget) => found.budgets.reduce((best, b, i) =>
      (Math.abs(Math.log(b / budget)) < Math.abs(Math.log(found.budgets[best] / budget)) ? i : best), 0);
    const { params, tokens, loss, budget } = page.runs;
    return params.map((n, i) =>
      ({ params: n, tokens: tokens[i], loss: loss[i], budget: budget[i], group: nearest(budget[i]) }));
  }

  function drawFigures() {
    const pictures = found.failure ? {} : found.design === "toy" ? {
      toy: (width) => lawfulDraw.toy(found, width),
      forecast: (width) => lawfulDraw.forecast(found, width),
    } : {
      isoflop: (width) => lawfulDraw.isoflop(found, page, width, shownRuns()),
      params: (width) => lawfulDraw.frontier(found, page, width, "params"),
      tokens: (width) => lawfulDraw.frontier(found, page, width, "tokens"),
      miss: (width) => lawfulDraw.miss(found, page, width),
    };
    for (const [name, figure] of figures) figure.hidden = !(name in pictures);
    const wanted = figures.filter(([name]) => name in pictures);
    const draw = ([name, figure]) => {
      const place = figure.querySelector(".plot");
      // Asking for a width makes the browser lay the page out, so it is asked once per width of the page.
      if (!widths.has(name)) widths.set(name, Math.max(place.clientWidth, 240));
      place.replaceChildren(pictures[name](widths.get(name)));
    };
    /** @type {(figure: [string, HTMLElement]) => boolean} */
    const seen = ([name]) => onScreen === null || onScreen.has(name);
    const soon = wanted.filter((figure) => !seen(figure));
    wanted.filter(seen).forEach(draw);
    // What is off the screen follows when the sliders rest, or when it is scrolled to or printed.
    drawRest = () => {
      clearTimeout(resting);
      soon.splice(0).forEach(draw);
    };
    clearTimeout(resting);
    resting = setTimeout(drawRest, 120);
  }

  let resting = 0;
  let drawRest = () => {};

  function update({ write = true } = {}) {
    const began = performance.now();
    found = lawfulModel.numbers(state, { ...page, draws: page.draws[state.seed] });
    showControls();
    const words = lawfulReadouts.show(parts, found);
    drawFigures();
    announce(words);
    if (write) writeAddress();
    reaction = performance.now() - began;
  }

  // Several changes within a frame are drawn once.
  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  }

  function set(settings, options) {
    state = { ...state, ...checked(settings) };
    update(options);
  }

  function onField(control, field) {
    const value = field.value.trim() === "" ? NaN : Number(field.value);
    const good = Number.isFinite(value) && value === admitted(control, value);
    field.toggleAttribute("aria-invalid", false);
    if (!good) {
      field.setAttribute("aria-invalid", "true");
      const steps = control.scale === "whole" ? ", in whole numbers" : "";
      say(`${control.label} goes from ${display(control.low)} to ${display(control.high)}${steps}.`);
      return;
    }
    say("");
    state[control.name] = value;
    later();
  }

  const say = (words) => { byId("status").textContent = words; };

  function connect() {
    for (const [name, control] of controls) {
      const [slider, field] = [byId(`slider-${name}`), byId(`field-${name}`)];
      slider.addEventListener("input", () => {
        state[name] = fromSlider(control, Number(slider.value));
        setField(field, state[name]);
        later();
      });
      field.addEventListener("input", () => onField(control, field));
      field.addEventListener("blur", () => { setField(field, state[name]); say(""); });
    }
    for (const name of Object.keys(CHOICES)) {
      byId(name).addEventListener("change", (event) => set({ [name]: event.target.value }));
    }
    byId("preset").addEventListener("change", (event) => {
      if (event.target.value === "") return;
      chosen = Number(event.target.value);
      set(page.presets[chosen].settings);
    });
    byId("own-runs")?.addEventListener("change", () => update());
    byId("settings").addEventListener("submit", (event) => event.preventDefault());
    byId("reset").addEventListener("click", () => {
      set(page.initial, { write: false });
      clearTimeout(writing);
      history.replaceState(null, "", location.pathname + location.search);
      say("Back to the beginning.");
    });
    byId("copy").addEventListener("click", copyLink);
    byId("skip").addEventListener("click", () => parts.area.focus());
    parts.details.addEventListener("toggle", () => {
      if (parts.details.open && !found.failure) lawfulReadouts.runsTable(parts.runs, found);
    });
    addEventListener("hashchange", readAddress);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => update({ write: false }));
    const watch = new IntersectionObserver((entries) => {
      onScreen ??= new Set();
      for (const { target, isIntersecting } of entries) {
        const name = target.id.replace("figure-", "");
        if (isIntersecting) onScreen.add(name);
        else onScreen.delete(name);
      }
      drawRest();
    });
    for (const [, figure] of figures) watch.observe(figure);
    addEventListener("beforeprint", () => drawRest());
    let width = parts.area.clientWidth || innerWidth;
    new ResizeObserver(() => {
      const now = parts.area.clientWidth || innerWidth;
      if (now === width) return;
      width = now;
      widths.clear();
      drawFigures();
    }).observe(document.body);
  }

  async function copyLink() {
    clearTimeout(writing);
    history.replaceState(null, "", `#${addressOf(state)}`);
    const field = byId("link");
    field.value = location.href;
    try {
      await navigator.clipboard.writeText(location.href);
      say("Link copied. It opens this page with these settings.");
    } catch {
      // Where the clipboard is closed to pages, the link is shown, selected, ready to be copied.
      field.hidden = false;
      field.select();
      say("Copy the link from the field.");
    }
  }

  function addPresets() {
    const groups = new Map();
    page.presets.forEach((preset, i) => {
      if (!groups.has(preset.group)) groups.set(preset.group, element("optgroup", "", { label: preset.group }));
      groups.get(preset.group).append(element("option", preset.label, { value: String(i) }));
    });
    byId("preset").append(element("option", "custom", { value: "" }), ...groups.values());
    for (const { label, settings } of page.links) {
      const item = document.createElement("li");
      item.append(element("a", label, { href: `#${addressOf(settings)}` }));
      byId("links").append(item);
    }
  }

  addPresets();
  connect();
  readAddress();

  return {
    /** Every number of the page at these settings, which need not be complete. */
    compute: (settings) => {
      const whole = { ...page.initial, ...settings };
      return lawfulModel.numbers(whole, { ...page, draws: page.draws[whole.seed] });
    },
    presets: page.presets,
    reaction: () => reaction,
    set,
    settings: () => ({ ...state }),
  };
})();
