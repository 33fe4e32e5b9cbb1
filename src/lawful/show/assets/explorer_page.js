"use strict";

// The page: its state, the controls that change it, its address, and what follows from a change. The state
// is one flat object of settings; everything shown is computed from it and nothing else.
const lawfulExplorer = (() => {
  const page = JSON.parse(document.getElementById("lawful-data").textContent);
  /** @type {(id: string) => any} */
  const byId = (id) => document.getElementById(id);
  const controls = new Map(page.controls.map((control) => [control.name, control]));
  const { CHOICES, addressOf, admitted, checked, display, fromSlider, toSlider } = lawfulSettings(page, controls);
  const { element } = lawfulReadouts;

  const parts = {
    headline: byId("headline"), cards: byId("cards"), troubles: byId("troubles"), numbers: byId("numbers"),
    area: byId("results-area"), table: byId("results"), details: byId("details"), runs: byId("runs-table"),
  };
  /** @type {[string, HTMLElement][]} */
  const figures = ["isoflop", "params", "tokens", "miss", "toy", "forecast", "own", "own-params", "own-losses", "own-map"]
    .map((name) => [name, byId(`figure-${name}`)]);

  /** @type {NodeListOf<HTMLElement>} */
  const designs = document.querySelectorAll("[data-design]");

  let table = lawfulYours.embedded(page.own);
  let state = { ...page.initial };
  let found = null;
  let reaction = 0;
  let chosen = -1;
  const shown = {};
  const widths = new Map();
  let onScreen = null;

  // Writing the address at every move of a slider is more than some browsers allow.
  let writing = 0;
  function writeAddress() {
    clearTimeout(writing);
    writing = setTimeout(() => history.replaceState(null, "", `#${addressOf(state)}`), 250);
  }

  // An address that cannot be taken whole says what of it was not; the rest counts, and the sentence stays.
  function readAddress() {
    clearTimeout(writing);
    /** @type {string[]} */
    const told = [];
    const given = checked(new URLSearchParams(location.hash.slice(1)), told);
    if (given.design === "own" && table === null) {
      told.push("its runs are not in this page: choose their file");
      delete given.design;
    }
    state = { ...page.initial, ...given };
    update({ write: false });
    say(told.length ? `The address was not taken whole: ${told.slice(0, 5).join("; ")}.` : "");
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
    for (const name of Object.keys(CHOICES)) byId(name).value = state[name];
    for (const box of designs) box.hidden = !box.dataset.design.split(" ").includes(state.design);
    // Two presets may have the same numbers; the one that was chosen keeps its name.
    const holds = (preset) => Object.entries(preset.settings).every(([k, v]) => state[k] === v);
    if (chosen < 0 || !holds(page.presets[chosen])) chosen = page.presets.findIndex(holds);
    byId("preset").value = chosen < 0 ? "" : String(chosen);
  }

  function setField(field, value) {
    field.value = display(value);
    field.removeAttribute("aria-invalid");
    if (amiss.delete(field.id)) say("");
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
    } : found.design === "own" ? {
      own: (width) => lawfulOwnDraw.isoflop(found, page, width, toggle),
      "own-map": (width) => lawfulOwnDraw.map(found, page, width, aim),
      "own-params": (width) => lawfulOwnDraw.sizes(found, page, width),
      "own-losses": (width) => lawfulOwnDraw.losses(found, page, width),
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
      const drawn = pictures[name](widths.get(name));
      place.replaceChildren(drawn ?? element("p", "These runs do not tell it.", { class: "small" }));
      place.setAttribute("aria-label", drawn ? lawfulKeys.named(drawn) : "These runs do not tell it.");
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

  // The page as these settings have it: their draw of the noise, and their price of compute.
  function pageOf(settings) {
    const dollars_per_flop = settings.price / (page.hardware[settings.gpu] * settings.mfu * 3600);
    return { ...page, draws: page.draws[settings.seed], cost: { ...page.cost, dollars_per_flop } };
  }

  const numbersOf = (settings) => (settings.design === "own" ? lawfulOwn.numbers(settings, page, table) :
    lawfulModel.numbers(settings, pageOf(settings)));

  function showTerms({ cost }) {
    const peak = page.hardware[state.gpu] / 1e12;
    const kind = page.cost.rate === "dense" ? "dense bf16" : "bf16 with sparsity";
    const terms = `${state.gpu}, ${kind} ${display(peak)} TFLOP/s, ${Math.round(100 * state.mfu)}% MFU, $${display(state.price)} per GPU hour`;
    const hours = state.target / (page.hardware[state.gpu] * state.mfu * 3600);
    byId("terms").textContent = terms;
    byId("price-of-target").textContent = `The target takes ${lawfulNumbers.count(hours)} GPU hours, ` +
      `${lawfulReadouts.dollars(state.target * cost.dollars_per_flop)}.`;
  }

  function update({ write = true } = {}) {
    const began = performance.now();
    found = numbersOf(state);
    showControls();
    const priced = pageOf(state);
    showTerms(priced);
    const words = lawfulReadouts.show(parts, found, priced.cost);
    if (state.design === "own") {
      lawfulYours.show(table, found, state);
      if (parts.details.open && found.all) lawfulYours.list(found, toggle);
    }
    lawfulYours.report(table, found, state);
    drawFigures();
    announce(words);
    if (write) writeAddress();
    reaction = performance.now() - began;
  }

  // Rows out, or back where all of them were out.
  function toggle(rows) {
    if (!rows.length) return;
    const gone = new Set(lawfulTable.rowsOf(state.out));
    const back = rows.every((row) => gone.has(row));
    for (const row of rows) {
      if (back) gone.delete(row);
      else gone.add(row);
    }
    set({ out: lawfulTable.ranges(gone) });
    say(`${rows.length === 1 ? `Row ${rows[0]}` : `${rows.length} runs`} ${back ? "brought back" : "left out"}.`);
  }

  // The map's target, in three digits as a slider gives it.
  function aim(budget) {
    const target = Number(admitted(controls.get("target"), budget).toPrecision(3));
    if (target === state.target) return;
    state.target = target;
    later();
  }

  async function takeFile(file) {
    if (!file) return;
    try {
      table = await lawfulYours.take(file, page.names);
    } catch (refusal) {
      if (!(refusal instanceof lawfulTable.Refused)) throw refusal;
      say(`“${file.name}” was not taken: ${refusal.message}`);
      return;
    }
    const most = table.runs.reduce((high, run) => Math.max(high, run.budget), 0);
    const target = Number(admitted(controls.get("target"), 1e3 * most).toPrecision(3));
    set({ design: "own", out: "", only: "", target });
    say(`${table.runs.length} runs read from “${file.name}”. They stay on this machine.`);
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

  // A value that cannot be taken stays in its field, with what is wrong with it, until it is mended or another is set.
  const amiss = new Map();

  function onField(control, field) {
    const value = field.value.trim() === "" ? NaN : Number(field.value);
    const good = Number.isFinite(value) && value === admitted(control, value);
    field.toggleAttribute("aria-invalid", false);
    amiss.delete(field.id);
    if (!good) {
      field.setAttribute("aria-invalid", "true");
      const steps = control.scale === "whole" ? ", in whole numbers" : "";
      amiss.set(field.id, `${control.label} goes from ${display(control.low)} to ${display(control.high)}${steps}.`);
      say("");
      return;
    }
    say("");
    state[control.name] = value;
    later();
  }

  function say(words) {
    byId("status").textContent = [...amiss.values(), words].filter(Boolean).join(" ");
  }

  function connect() {
    for (const [name, control] of controls) {
      const [slider, field] = [byId(`slider-${name}`), byId(`field-${name}`)];
      slider.addEventListener("input", () => {
        state[name] = fromSlider(control, Number(slider.value));
        setField(field, state[name]);
        later();
      });
      field.addEventListener("input", () => onField(control, field));
      field.addEventListener("blur", () => { if (!amiss.has(field.id)) setField(field, state[name]); });
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
    connectTable();
    byId("skip").addEventListener("click", () => parts.area.focus());
    parts.details.addEventListener("toggle", () => {
      if (!parts.details.open) return;
      if (found.design === "own") {
        if (found.all) lawfulYours.list(found, toggle);
      } else if (!found.failure) lawfulReadouts.runsTable(parts.runs, found);
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
    for (const [, figure] of figures) {
      watch.observe(figure);
      lawfulKeys.listen(figure.querySelector(".plot"));
    }
    // On the map the target is dragged; keys move it as they move its slider.
    byId("figure-own-map").querySelector(".plot").addEventListener("keydown", (event) => {
      const slider = byId("slider-target"), steps = { ArrowLeft: -10, ArrowRight: 10 }[event.key];
      if (!steps) return;
      event.preventDefault();
      slider.value = String(Number(slider.value) + steps);
      slider.dispatchEvent(new Event("input"));
    });
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

  function connectTable() {
    byId("file").addEventListener("change", (event) => { takeFile(event.target.files[0]); event.target.value = ""; });
    byId("only").addEventListener("change", (event) => set({ only: event.target.value, out: "" }));
    byId("all-back").addEventListener("click", () => { set({ out: "" }); say("All runs are back."); });
    byId("flagged").addEventListener("click", () => toggle(found.all.filter((run) => run.flag && !found.gone.has(run.row)).map((run) => run.row)));
    byId("save").addEventListener("click", () => {
      const name = `${table.source.replace(/^.*[/\\]/, "").replace(/\.[^.]*$/, "") || "runs"}-kept.csv`;
      lawfulYours.save(found, table.named, name);
      say(`Saved as ${name}: ${lawfulOwn.command(table, found, state, name)}`);
    });
    byId("copy-command").addEventListener("click", () => copy(byId("own-command").textContent, "Command copied."));
    // A page that takes a file by a drop anywhere must keep the browser from opening it instead.
    addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
    addEventListener("dragleave", (event) => { if (event.relatedTarget === null) document.body.classList.remove("dropping"); });
    addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      takeFile(event.dataTransfer.files[0]);
    });
  }

  async function copy(text, words) {
    try {
      await navigator.clipboard.writeText(text);
      say(words);
    } catch {
      const field = byId("link");
      field.hidden = false;
      field.value = text;
      field.select();
      say("Copy it from the field.");
    }
  }

  async function copyLink() {
    clearTimeout(writing);
    history.replaceState(null, "", `#${addressOf(state)}`);
    await copy(location.href, "Link copied. It opens this page with these settings.");
  }

  function addPresets() {
    const groups = new Map();
    page.presets.forEach((preset, i) => {
      if (!groups.has(preset.group)) groups.set(preset.group, element("optgroup", "", { label: preset.group }));
      groups.get(preset.group).append(element("option", preset.label, { value: String(i) }));
    });
    byId("preset").append(element("option", "custom", { value: "" }), ...groups.values());
  }

  addPresets();
  connect();
  readAddress();

  return {
    /** Every number of the page at these settings, which need not be complete. */
    compute: (settings) => {
      const whole = { ...page.initial, ...settings };
      return numbersOf(whole);
    },
    presets: page.presets,
    reaction: () => reaction,
    set,
    settings: () => ({ ...state }),
  };
})();
